"""Build one plan: parse the bound graph, add the profiles, name the target, serialize to a file."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sakuga.engine.errors import PlanBuildError
from sakuga.export.hashing_writer import HashingWriter
from sakuga.export.plans.callbacks import Guard, logger, monitor, no_garbage_collection
from sakuga.export.plans.flavour import Flavour
from sakuga.export.plans.log import BuildLog
from sakuga.export.plans.stages import Stages
from sakuga.export.plans.timings import Timings
from sakuga.profiles.networks import ShapeRange

Profiles = tuple[Mapping[str, ShapeRange], ...]


@dataclass(frozen=True)
class Recipe:
    """What to build: a bound graph for some targets at some shapes.

    `refittable`: so that it takes other weights later, which may cost speed.
    """

    network: str
    graph: Path
    profiles: Profiles
    targets: tuple[str, ...]
    refittable: bool


@dataclass(frozen=True)
class PlanFacts:
    """What came of a build. Bytes; `fused_attentions` over all profiles."""

    seconds: float
    size_bytes: int
    sha256: str
    activation_bytes: int
    fused_attentions: int


@dataclass(frozen=True, eq=False)
class Desk:
    """Where a build puts what it has to say: plan, log, progress, what it learnt of times."""

    out: Path
    log: BuildLog
    stages: Stages
    timings: Timings | None


def build_plan(flavour: Flavour, recipe: Recipe, desk: Desk) -> PlanFacts:
    """Write the plan of `recipe`.

    Raises PlanBuildError with what TensorRT says where it refuses the graph, the profiles or the
    build, and OSError where the plan or the log cannot be written.
    """
    start, guard = time.monotonic(), Guard()
    with no_garbage_collection(), desk.out.open("xb") as file:
        writer = HashingWriter(file)
        _serialize(flavour, recipe, desk, writer, guard)
    return PlanFacts(
        seconds=time.monotonic() - start,
        size_bytes=writer.position,
        sha256=writer.sha256,
        activation_bytes=desk.log.activation_bytes,
        fused_attentions=desk.log.fused_attentions,
    )


def _serialize(
    flavour: Flavour, recipe: Recipe, desk: Desk, writer: HashingWriter, guard: Guard
) -> None:
    library, log = flavour.library, desk.log
    messages = logger(library, log, guard)
    builder = library.Builder(messages)
    network = flavour.create_network(builder)
    parser = library.OnnxParser(network, messages)
    if not parser.parse_from_file(str(recipe.graph)):
        raise _failure(recipe, "TensorRT cannot read the graph of", _parser_errors(parser), log)
    config = builder.create_builder_config()
    flavour.set_targets(config, recipe.targets)
    # The layers of the finished engine are named in the log, and its report counts them.
    config.profiling_verbosity = library.ProfilingVerbosity.DETAILED
    if hasattr(library.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
        # TensorRT for RTX wants it for runs that are captured in CUDA graphs.
        config.set_flag(library.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if recipe.refittable:
        config.set_flag(library.BuilderFlag.REFIT)
    # The config does not keep its monitor alive, so the name must.
    config.progress_monitor = watching = monitor(library, desk.stages, guard)
    if desk.timings is not None:
        desk.timings.load_into(config)
    for profile in recipe.profiles:
        _add_profile(builder, config, network, profile, recipe, log)
    done = flavour.serialize(builder, network, config, writer, guard)
    guard.check()
    if not done or writer.position == 0:
        raise _failure(recipe, "TensorRT cannot build", log.errors, log)
    if desk.timings is not None:
        desk.timings.save_from(config, log)
    del watching


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
