"""`python -m sakuga.export.plans.worker`: one plan, built in a process of its own.

A builder takes gigabytes, minutes, and no interruption; in its own process it can be killed at
once, gives its memory back, and takes nobody with it when it crashes. Its task comes as one line
of JSON; its answers are lines of JSON: shares done, then a record or an error. It ends when its
input does, so it never outlives who started it.
"""

import contextlib
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sakuga.engine.backend.base import Array
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.errors import PlanBuildError, SakugaError
from sakuga.export.plans.builder import Desk, PlanFacts, Recipe, build_plan
from sakuga.export.plans.flavour import CURRENT, Flavour, PlanBackend, load_flavour
from sakuga.export.plans.log import BuildLog
from sakuga.export.plans.plan_run import PlanRun
from sakuga.export.plans.refit import refit_plan
from sakuga.export.plans.stages import Stages
from sakuga.export.plans.timings import Timings
from sakuga.export.relative_error import relative_error
from sakuga.export.samples import Inputs, decoder_inputs, encoder_inputs, text_inputs, unet_inputs
from sakuga.export.scan import Scan, check_scan, scan
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import FAMILIES, VAE_FACTOR, Family
from sakuga.profiles.networks import ShapeRange

_TICK_S = 0.5
# Of a plan against its graph: float16 rounds by about 1e-3, synthetic full-size weights amplify
# it to 6e-2, and a plan that is wrong is off by about 1.
_BAR = 0.2
_CLIP_SKIP = 2  # the layer SDXL is conditioned on


@dataclass(frozen=True)
class Task:
    """What a worker needs. `encoders`: graph and token embedding of each text encoder by name.

    `donor`: path and facts of a plan that can take this one's weights. `seconds` is what the
    build is expected to take; progress is told by it, since TensorRT's own
    steps are over in the first second of most builds.
    """

    backend: PlanBackend
    family: str
    recipe: Recipe
    encoders: Mapping[str, tuple[str, str]]
    timings: str | None
    donor: Mapping[str, Any] | None
    out: str
    log: str
    seconds: float

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), default=str)


@dataclass(frozen=True)
class Record:
    """What is known of a plan: what came of building it, and the scan of its graph before.

    `error`: relative error of the plan, run on the GPU it was built for, against its graph on
    ONNX Runtime; None for plans built ahead of time. `refitted`: the plan is an earlier one with
    these weights put into it.
    """

    facts: PlanFacts
    scan: Scan
    error: float | None
    refitted: bool


def read_task(line: str) -> Task:
    """The task of a line."""
    raw = json.loads(line)
    recipe = raw.pop("recipe")
    profiles = tuple(
        {name: ShapeRange(**_shapes(shape)) for name, shape in profile.items()}
        for profile in recipe["profiles"]
    )
    recipe |= {
        "graph": Path(recipe["graph"]),
        "targets": tuple(recipe["targets"]),
        "profiles": profiles,
    }
    return Task(**raw, recipe=Recipe(**recipe))


def read_record(raw: Mapping[str, Any]) -> Record:
    """A record from its JSON. Raises KeyError or TypeError for anything else."""
    return Record(PlanFacts(**raw["facts"]), Scan(**raw["scan"]), raw["error"], raw["refitted"])


def _shapes(raw: Mapping[str, list[int]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, shape in raw.items()}


def work(task: Task, stages: Stages) -> Record:
    """Scan the graph, then build its plan, then try the plan where its GPU is here."""
    side = FAMILIES[task.family].sizes.minimum // 2  # magnitudes hardly depend on the size
    found = scan(task.recipe.graph, _inputs(task, Size(side, side)))
    check_scan(task.recipe.network, found)
    flavour = load_flavour(task.backend)
    known = None if task.timings is None else Timings(Path(task.timings))
    with BuildLog(Path(task.log)) as log:
        desk = Desk(Path(task.out), log, stages, known)
        if refitted := _refitted(flavour, task, desk):
            facts, error = refitted
            return Record(facts, found, error, refitted=True)
        facts = build_plan(flavour, task.recipe, desk)
        tried = task.recipe.targets == (CURRENT,)
        return Record(facts, found, _error(flavour, task, log) if tried else None, refitted=False)


def _refitted(flavour: Flavour, task: Task, desk: Desk) -> tuple[PlanFacts, float] | None:
    """The donor's plan with this one's weights and its error, where that is small enough."""
    if task.donor is None:
        return None
    try:
        known = PlanFacts(**task.donor["facts"])
        facts = refit_plan(flavour, Path(task.donor["plan"]), known, task.recipe, desk)
        return facts, _error(flavour, task, desk.log)
    except PlanBuildError as error:
        desk.log.write("WARNING", f"Built anew: {error.what} {error.note}")
        Path(task.out).unlink(missing_ok=True)
        return None


def _error(flavour: Flavour, task: Task, log: BuildLog) -> float:
    """The plan against its graph on ONNX Runtime. Raises PlanBuildError above the bar."""
    recipe = task.recipe
    inputs = _inputs(task, _smallest(recipe))
    session = OnnxSession(recipe.graph)
    wanted = session.run(session.in_types(inputs))
    with PlanRun(flavour, Path(task.out), log) as plan:
        got = plan.run(inputs)
    error = max(relative_error(got[name], array) for name, array in wanted.items())
    if not error <= _BAR:
        raise PlanBuildError(
            f"The plan of {recipe.network} is not what its graph computes.",
            note=f"Its relative error is {error:.1e}, the bar is {_BAR:g}.",
            hint="Build with --precision fp32, and report this.",
        )
    return error


def _smallest(recipe: Recipe) -> Size:
    """The smallest picture of the first profile; of no matter to a text encoder."""
    for name, factor in (("sample", VAE_FACTOR), ("latent", VAE_FACTOR), ("image", 1)):
        if name in recipe.profiles[0]:
            height, width = recipe.profiles[0][name].minimum[-2:]
            return Size(width * factor, height * factor)
    return Size(0, 0)


def _inputs(task: Task, size: Size) -> Inputs:
    network, family = task.recipe.network, FAMILIES[task.family]
    if network in task.encoders:
        return text_inputs(_table(task, network), clip_skip=1)
    if network == "unet":
        return unet_inputs(family, size) | _text_states(task, family)
    return decoder_inputs(family, size) if network == "vae_decoder" else encoder_inputs(size)


def _text_states(task: Task, family: Family) -> Inputs:
    """What the checkpoint's own text encoders give: their outliers are far from normal numbers."""
    states: list[Array] = []
    pooled: Inputs = {}
    skip = _CLIP_SKIP if family.kind == "sdxl" else 1
    for name, (graph, _) in task.encoders.items():
        session = OnnxSession(Path(graph), optimization="none")
        outputs = session.run(session.in_types(text_inputs(_table(task, name), skip)))
        states.append(outputs["hidden" if family.kind == "sdxl" else "hidden_normed"])
        if "pooled" in outputs:
            pooled = {"text_embeds": outputs["pooled"]}
    return {"encoder_hidden_states": np.concatenate(states, axis=-1), **pooled}


def _table(task: Task, encoder: str) -> Array:
    table: Array = np.load(task.encoders[encoder][1], mmap_mode="r")
    return table


def main() -> None:
    """Read the task, work, answer."""
    gc.disable()  # as callbacks.no_garbage_collection says, for all this short-lived process does
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    task, stages, done = read_task(sys.stdin.readline()), Stages(), threading.Event()
    threading.Thread(target=_end_with_input, daemon=True).start()
    ticker = threading.Thread(target=_tick, args=(task, stages, answers, done), daemon=True)
    ticker.start()
    answer: dict[str, Any]
    try:
        answer = {"record": asdict(work(task, stages))}
    except SakugaError as error:
        parts = {"what": error.what, "note": error.note, "hint": error.hint}
        answer = {"error": {"kind": type(error).__name__, **parts}}
    except OSError as error:
        answer = {"os": [error.errno, error.strerror, error.filename or task.out]}
    done.set()
    ticker.join()
    _say(answers, answer)


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(1)


def _tick(task: Task, stages: Stages, answers: Any, done: threading.Event) -> None:  # noqa: ANN401
    start = time.monotonic()
    while not done.wait(_TICK_S):
        elapsed = (time.monotonic() - start) / task.seconds
        _say(answers, {"share": min(0.1 * stages.share + 0.88 * elapsed, 0.98)})


def _say(answers: Any, message: Mapping[str, Any]) -> None:  # noqa: ANN401
    with contextlib.suppress(BrokenPipeError):
        answers.write(json.dumps(message) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
