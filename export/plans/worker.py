"""`python -m sakuga.export.plans.worker`: one plan, built in a process of its own.

A builder takes gigabytes, minutes, and no interruption; in its own process it can be killed at
once, gives its memory back, and takes nobody with it when it crashes. Its task comes as one line
of JSON; its answers are lines of JSON: shares done, then a record or an error. It ends when its
input does, so it never outlives who started it.
"""

import contextlib
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
from sakuga.engine.errors import SakugaError
from sakuga.export.plans.builder import Desk, PlanFacts, Recipe, build_plan
from sakuga.export.plans.flavour import PlanBackend, load_flavour
from sakuga.export.plans.log import BuildLog
from sakuga.export.plans.stages import Stages
from sakuga.export.plans.timings import Timings
from sakuga.export.samples import Inputs, decoder_inputs, encoder_inputs, text_inputs, unet_inputs
from sakuga.export.scan import Scan, check_scan, scan
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import FAMILIES, Family
from sakuga.profiles.networks import ShapeRange

_TICK_S = 0.5
_CLIP_SKIP = 2  # the layer SDXL is conditioned on


@dataclass(frozen=True)
class Task:
    """What a worker needs. `encoders`: graph and token embedding of each text encoder by name.

    `seconds` is what the build is expected to take; progress is told by it, since TensorRT's own
    steps are over in the first second of most builds.
    """

    backend: PlanBackend
    family: str
    recipe: Recipe
    encoders: Mapping[str, tuple[str, str]]
    timings: str | None
    out: str
    log: str
    seconds: float

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), default=str)


@dataclass(frozen=True)
class Record:
    """What is known of a plan: what came of building it, and the scan of its graph before."""

    facts: PlanFacts
    scan: Scan


def read_task(line: str) -> Task:
    """The task of a line."""
    raw = json.loads(line)
    recipe = raw.pop("recipe")
    profiles = tuple(
        {name: ShapeRange(**_shapes(shape)) for name, shape in profile.items()}
        for profile in recipe["profiles"]
    )
    targets = tuple(recipe["targets"])
    return Task(**raw, recipe=Recipe(recipe["network"], Path(recipe["graph"]), profiles, targets))


def read_record(raw: Mapping[str, Any]) -> Record:
    """A record from its JSON. Raises KeyError or TypeError for anything else."""
    return Record(PlanFacts(**raw["facts"]), Scan(**raw["scan"]))


def _shapes(raw: Mapping[str, list[int]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, shape in raw.items()}


def work(task: Task, stages: Stages) -> Record:
    """Scan the graph, then build its plan."""
    found = scan(task.recipe.graph, _inputs(task))
    check_scan(task.recipe.network, found)
    flavour = load_flavour(task.backend)
    known = None if task.timings is None else Timings(Path(task.timings))
    with BuildLog(Path(task.log)) as log:
        desk = Desk(Path(task.out), log, stages, known)
        return Record(build_plan(flavour, task.recipe, desk), found)


def _inputs(task: Task) -> Inputs:
    network, family = task.recipe.network, FAMILIES[task.family]
    side = family.sizes.minimum // 2  # magnitudes hardly depend on the size
    size = Size(side, side)
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
