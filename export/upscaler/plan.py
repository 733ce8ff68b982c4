"""The plan of an upscaler: one network, one input, tiles of every size up to the whole tile."""

from dataclasses import dataclass
from pathlib import Path

from sakuga.engine.manifest import FileEntry
from sakuga.engine.platform import cache_folder
from sakuga.engine.upscaler_folder import SideRule, UpscalerPlan, UpscalerPrecision
from sakuga.export.plans.builder import Desk, Recipe, build_plan
from sakuga.export.plans.job import Targets, folder_name
from sakuga.export.plans.log import BuildLog
from sakuga.export.plans.stages import Stages
from sakuga.export.plans.timings import timings
from sakuga.profiles.networks import ShapeRange

_NETWORK = "upscaler"
_LOG = "upscaler-plan.log"  # in the cache folder: it outlives a build that failed


@dataclass(frozen=True)
class PlanTask:
    """What to plan: the graph `graph` of `folder`, which computes in `precision`, for tiles from
    the smallest sides the network takes to `tile`."""

    folder: Path
    graph: str
    precision: UpscalerPrecision
    sides: SideRule
    tile: int


def plan_upscaler(task: PlanTask, aims: Targets) -> tuple[UpscalerPlan, FileEntry]:
    """Build the plan into the task's folder; what the manifest says of it and of its file.

    Raises PlanBuildError where TensorRT refuses the network.
    """
    least, most = task.sides.fitting(0), task.sides.tile(task.tile)
    shapes = ShapeRange(_shape(least), _shape(most), _shape(most))
    recipe = Recipe(
        _NETWORK, task.folder / task.graph, ({"image": shapes},), aims.names, refittable=False
    )
    file = f"plans/{folder_name(aims)}/{_NETWORK}.plan"
    (task.folder / file).parent.mkdir(parents=True)
    with BuildLog(cache_folder() / _LOG) as log:
        desk = Desk(task.folder / file, log, Stages(), timings(aims.flavour, aims.tuned_on))
        facts = build_plan(aims.flavour, recipe, desk)
    plan = UpscalerPlan(
        file=file,
        backend=aims.flavour.backend,
        version=aims.flavour.version,
        targets=aims.names,
        gpu=str(aims.tuned_on) if aims.tuned_on else None,
        precision=task.precision,
        smallest=least,
        largest=most,
        activation_bytes=facts.activation_bytes,
    )
    return plan, FileEntry(facts.size_bytes, facts.sha256)


def _shape(side: int) -> tuple[int, ...]:
    return 1, 3, side, side
