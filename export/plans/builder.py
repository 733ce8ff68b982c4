"""Build one plan: parse the bound graph, add the profiles, name the target, serialize to a file."""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sakuga.engine.errors import PlanBuildError
from sakuga.export.plans.flavour import Flavour
from sakuga.export.plans.log import BuildLog, logger
from sakuga.export.plans.monitor import Stages, monitor
from sakuga.export.plans.timings import Timings
from sakuga.profiles.networks import ShapeRange

Profiles = tuple[Mapping[str, ShapeRange], ...]
Written = tuple[int, str]  # bytes and SHA-256 of a plan
_POLL_S = 0.1


@dataclass(frozen=True)
class Recipe:
    """What to build: a bound graph for some targets at some shapes, with what is known of times."""

    network: str
    graph: Path
    profiles: Profiles
    targets: tuple[str, ...]
    timings: Timings | None = None


@dataclass(frozen=True)
class PlanFacts:
    """What came of a build. Bytes; `fused_attentions` over all profiles and targets."""

    seconds: float
    size_bytes: int
    sha256: str
    weights_bytes: int
    activation_bytes: int
    fused_attentions: int


def build_plan(
    flavour: Flavour, recipe: Recipe, out: Path, log: Path, advance: Callable[[float], None]
) -> PlanFacts:
    """Write the plan of `recipe` to `out`; `advance` is told the share done, 0 to 1.

    TensorRT's messages go to the file `log`. An interruption (Ctrl-C) stops the builder at its
    next step and leaves no file. Raises PlanBuildError with what TensorRT says where it refuses
    the graph, the profiles or the build.
    """
    start, stages = time.monotonic(), Stages(advance)
    try:
        with BuildLog(log) as written:
            size, digest = _interruptible(
                lambda: _serialize(flavour, recipe, out, written, stages), stages
            )
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    return PlanFacts(
        seconds=time.monotonic() - start,
        size_bytes=size,
        sha256=digest,
        weights_bytes=written.weights_bytes,
        activation_bytes=written.activation_bytes,
        fused_attentions=written.fused_attentions,
    )


def _serialize(
    flavour: Flavour, recipe: Recipe, out: Path, log: BuildLog, stages: Stages
) -> Written:
    library, messages = flavour.library, logger(flavour.library, log)
    builder = library.Builder(messages)
    network = flavour.create_network(builder)
    parser = library.OnnxParser(network, messages)
    if not parser.parse_from_file(str(recipe.graph)):
        raise _failure(recipe, "TensorRT cannot read the graph of", _parser_errors(parser), log)
    config = builder.create_builder_config()
    flavour.set_targets(config, recipe.targets)
    # The layers of the finished engine are named in the log, and its report counts them.
    config.profiling_verbosity = library.ProfilingVerbosity.DETAILED
    config.progress_monitor = watch = monitor(library, stages)
    if recipe.timings is not None:
        recipe.timings.load_into(config)
    for profile in recipe.profiles:
        _add_profile(builder, config, network, profile, recipe, log)
    with out.open("xb") as file:
        writer = _writer(library, file)
        done = builder.build_serialized_network_to_stream(network, config, writer)
    if not done and stages.stopped:
        raise KeyboardInterrupt
    if not done:
        raise _failure(recipe, "TensorRT cannot build", log.errors, log)
    if recipe.timings is not None:
        recipe.timings.save_from(config)
    del watch  # the config does not keep it alive
    return writer.position, writer.digest.hexdigest()


def _add_profile(
    builder: Any,  # noqa: ANN401
    config: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    shapes: Mapping[str, ShapeRange],
    recipe: Recipe,
    log: BuildLog,
) -> None:
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        name = network.get_input(index).name
        shape = shapes[name]
        profile.set_shape(name, shape.minimum, shape.optimum, shape.maximum)
    if config.add_optimization_profile(profile) < 0:
        raise _failure(recipe, "TensorRT refuses a profile of", log.errors, log)


def _parser_errors(parser: Any) -> list[str]:  # noqa: ANN401
    errors = (parser.get_error(index) for index in range(parser.num_errors))
    return [f"{e.node_name()} ({e.node_operator()}): {e.desc()}" for e in errors]


def _failure(recipe: Recipe, what: str, reasons: list[str], log: BuildLog) -> PlanBuildError:
    return PlanBuildError(
        f"{what} the network {recipe.network}.",
        note=" ".join(reasons) or "It gives no reason.",
        hint=f"Its log is {log.path}. `--backend onnx` builds without TensorRT.",
    )


def _writer(library: Any, file: Any) -> Any:  # noqa: ANN401
    """An IStreamWriter to a file: the plan is never in memory as one piece."""

    class Writer(library.IStreamWriter):  # type: ignore[misc]  # its base is known at run time
        def __init__(self) -> None:
            super().__init__()
            self.position = 0
            self.digest = hashlib.sha256()

        def write(self, data: bytes) -> int:
            file.write(data)
            self.digest.update(data)
            self.position += len(data)
            return len(data)

    return Writer()


def _interruptible(work: Callable[[], Written], stages: Stages) -> Written:
    """Run `work` on a thread, so that Ctrl-C reaches the builder as a request to stop."""
    results: list[Written] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed to the caller's thread below
            failures.append(error)

    thread = threading.Thread(target=run, name="sakuga-plan")
    thread.start()
    while thread.is_alive():
        try:
            thread.join(_POLL_S)
        except KeyboardInterrupt:
            stages.stopped = True
    if stages.stopped:
        raise KeyboardInterrupt
    if failures:
        raise failures[0]
    return results[0]
