"""Build the plans of a bundle that is being written: one for each network, from the store or new.

A finished plan goes into the store first, so that an interrupted build goes on behind it.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx

from sakuga.engine.manifest import FileEntry, Manifest, PlanEntry, PlanSetEntry
from sakuga.engine.platform import free_memory_bytes, peak_memory_bytes
from sakuga.export.assemble import Progress
from sakuga.export.bind import WEIGHTS_FILE
from sakuga.export.plans.builder import Recipe
from sakuga.export.plans.estimate import Estimate, check_room, estimate, estimate_plan
from sakuga.export.plans.graph_facts import graph_facts
from sakuga.export.plans.job import PlanJob
from sakuga.export.plans.key import PlanKey, plan_key
from sakuga.export.plans.process import run_worker
from sakuga.export.plans.report import BuildReport, NetworkReport
from sakuga.export.plans.store import PlanStore, Stored, put
from sakuga.export.plans.timings import timings
from sakuga.export.plans.worker import Record, Task
from sakuga.profiles.families import FAMILIES
from sakuga.profiles.networks import networks
from sakuga.profiles.plan_shapes import profiles_of

_PERMILLE = 1000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """What a build of plans adds to a bundle."""

    entry: PlanSetEntry
    files: dict[str, FileEntry]
    report: BuildReport


@dataclass(frozen=True, eq=False)
class Site:
    """Where plans are built, and who is told of it."""

    job: PlanJob
    folder: Path
    manifest: Manifest
    store: PlanStore
    progress: Progress
    say: Say


def build_plans(site: Site) -> Made:
    """Plans of all networks of the bundle in the site's folder, put below `plans/`.

    Raises BuildError where disk or memory cannot suffice or a value overflows float16,
    PlanBuildError where TensorRT fails. Finished plans stay in the store whatever happens.
    """
    start, store = time.monotonic(), site.store
    store.forget_unused()
    recipes = {network: _recipe(site, network) for network in site.manifest.networks}
    _foretell(site, recipes)
    entries: dict[str, PlanEntry] = {}
    files: dict[str, FileEntry] = {}
    rows: list[NetworkReport] = []
    for network, (recipe, key) in recipes.items():
        stored = _take(site, recipe, key)
        place = f"plans/{site.job.name}/{network}.plan"
        put(stored, site.folder / place)
        facts = stored.record.facts
        files[place] = FileEntry(facts.size_bytes, facts.sha256)
        entries[network] = PlanEntry(
            place, key.digest, _weights_bytes(site, network), facts.activation_bytes,
            key.profiles,
        )  # fmt: skip
        rows.append(_row(site, recipe, stored))
    seconds = time.monotonic() - start
    report = BuildReport(site.job.name, seconds, peak_memory_bytes(), tuple(rows), {})
    return Made(_entry(site.job, entries), files, report)


def _recipe(site: Site, network: str) -> tuple[Recipe, PlanKey]:
    job, graph = site.job, site.manifest.networks[network].graph
    family = FAMILIES[site.manifest.family]
    shapes = profiles_of(networks(family)[network], job.shapes)
    graph_file, names = site.folder / graph, job.targets.names
    recipe = Recipe(network, graph_file, shapes, names, job.refittable)
    digests = site.manifest.files[graph].sha256, site.manifest.files[_weights(graph)].sha256
    return recipe, plan_key(job.targets.flavour, recipe, digests, job.targets.tuned_on)


def _weights(graph: str) -> str:
    return f"{graph.rpartition('/')[0]}/{WEIGHTS_FILE}"


def _weights_bytes(site: Site, network: str) -> int:
    return site.manifest.files[_weights(site.manifest.networks[network].graph)].size_bytes


def _expected(site: Site, recipe: Recipe) -> Estimate:
    return estimate_plan(_weights_bytes(site, recipe.network), len(recipe.profiles))


def _foretell(site: Site, recipes: dict[str, tuple[Recipe, PlanKey]]) -> None:
    """Say what the plans that are not there yet will take; refuse what cannot end well."""
    missing = [recipe for recipe, key in recipes.values() if not site.store.has(key)]
    if not missing:
        site.say(f"Plans {site.job.name}: all are there already.")
        return
    wanted = estimate(_expected(site, recipe) for recipe in missing)
    site.say(f"Plans {site.job.name}, {len(missing)} of {len(recipes)} to build: {wanted}.")
    place = site.store.folder
    check_room(wanted, shutil.disk_usage(place).free, free_memory_bytes(), str(place))
    if place.stat().st_dev != site.folder.stat().st_dev:  # then they are copied
        free = shutil.disk_usage(site.folder).free
        check_room(wanted, free, None, str(site.folder.parent))


def _take(site: Site, recipe: Recipe, key: PlanKey) -> Stored:
    stage = f"plan {recipe.network}"

    def advance(share: float) -> None:
        site.progress(stage, round(share * _PERMILLE), _PERMILLE)

    def build(out: Path, log: Path) -> Record:
        return run_worker(_task(site, recipe, site.store.donor(key), out, log), advance)

    def waiting() -> None:
        site.say(f"Another process builds the plan of {recipe.network}; waiting for it.")

    stored = site.store.take(key, build, waiting)
    advance(1.0)
    return stored


def _task(site: Site, recipe: Recipe, donor: Stored | None, out: Path, log: Path) -> Task:
    aims, manifest = site.job.targets, site.manifest
    known = timings(aims.flavour, aims.tuned_on)
    return Task(
        backend=aims.flavour.backend,
        family=manifest.family,
        recipe=recipe,
        encoders={
            name: (str(site.folder / manifest.networks[name].graph), str(site.folder / table))
            for name, table in manifest.token_embeddings.items()
        },
        timings=None if known is None else str(known.path),
        donor=None if donor is None else _as_donor(donor),
        out=str(out),
        log=str(log),
        seconds=_expected(site, recipe).seconds,
    )


def _as_donor(stored: Stored) -> dict[str, object]:
    return {"plan": str(stored.path), "facts": asdict(stored.record.facts)}


def _row(site: Site, recipe: Recipe, stored: Stored) -> NetworkReport:
    return NetworkReport(
        recipe.network,
        site.manifest.networks[recipe.network].precision,
        _weights_bytes(site, recipe.network),
        len(recipe.profiles),
        stored.reused,
        graph_facts(onnx.load(recipe.graph, load_external_data=False)),
        stored.record,
    )


def _entry(job: PlanJob, plans: dict[str, PlanEntry]) -> PlanSetEntry:
    gpu, flavour = job.targets.tuned_on, job.targets.flavour
    return PlanSetEntry(
        backend=flavour.backend,
        version=flavour.version,
        targets=job.targets.names,
        gpu=str(gpu) if gpu else None,
        shapes=job.shapes.kind,
        sizes=tuple(map(str, job.shapes.sizes)),
        max_batch=job.shapes.max_batch,
        plans=plans,
    )
