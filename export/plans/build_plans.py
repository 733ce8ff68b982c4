"""Build the plans of a bundle that is being written: one for each network, from the store or new.

A finished plan goes into the store first, so that an interrupted build goes on behind it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from sakuga.engine.backend.base import Array
from sakuga.engine.digests import file_sha256
from sakuga.engine.errors import StoppedError
from sakuga.engine.manifest import FileEntry, Manifest, PlanEntry, PlanSetEntry
from sakuga.engine.platform import peak_memory_bytes
from sakuga.export.bind import WEIGHTS_FILE
from sakuga.export.plans.builder import Recipe, build_plan
from sakuga.export.plans.graph_facts import graph_facts
from sakuga.export.plans.job import PlanJob
from sakuga.export.plans.key import PlanKey, plan_key
from sakuga.export.plans.report import REPORT, BuildReport, NetworkReport
from sakuga.export.plans.store import PlanStore, Record, Stored, put
from sakuga.export.plans.timings import timings
from sakuga.export.samples import network_inputs
from sakuga.export.scan import check_scan, scan
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import FAMILIES, Family
from sakuga.profiles.networks import networks
from sakuga.profiles.plan_shapes import profiles_of

_PERMILLE = 1000
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Made:
    """What a build of plans adds to a bundle."""

    entry: PlanSetEntry
    files: dict[str, FileEntry]
    report: BuildReport


@dataclass(frozen=True, eq=False)
class _Bench:
    """What every network of one build needs."""

    job: PlanJob
    folder: Path
    manifest: Manifest
    store: PlanStore
    progress: Progress

    @property
    def family(self) -> Family:
        return FAMILIES[self.manifest.family]


def build_plans(job: PlanJob, folder: Path, manifest: Manifest, progress: Progress) -> Made:
    """Plans of all networks of the bundle in `folder`, put below `plans/`, and their report.

    Raises BuildError where a value overflows float16, PlanBuildError where TensorRT fails,
    StoppedError where the user interrupts; finished plans are then in the store.
    """
    start = time.monotonic()
    bench = _Bench(job, folder, manifest, PlanStore(), progress)
    bench.store.forget_unused()
    entries: dict[str, PlanEntry] = {}
    files: dict[str, FileEntry] = {}
    rows: list[NetworkReport] = []
    for network in manifest.networks:
        recipe, key = _recipe(bench, network)
        try:
            stored = _take(bench, recipe, key)
        except KeyboardInterrupt as stop:
            raise _stopped(list(entries)) from stop
        place = f"plans/{job.name}/{network}.plan"
        put(stored, folder / place)
        facts = stored.record.facts
        files[place] = FileEntry(facts.size_bytes, facts.sha256)
        entries[network] = PlanEntry(place, key.digest, key.profiles)
        rows.append(_row(bench, recipe, stored))
    report = BuildReport(job.name, time.monotonic() - start, peak_memory_bytes(), tuple(rows))
    report.write(folder)
    written = folder / REPORT
    files[REPORT] = FileEntry(written.stat().st_size, file_sha256(written))
    return Made(_entry(job, entries), files, report)


def _stopped(finished: list[str]) -> StoppedError:
    return StoppedError(
        "The build was stopped.",
        note=f"Finished and kept: the plans of {', '.join(finished) or 'no network'}.",
        hint="Run the same command again: it goes on behind them.",
    )


def _recipe(bench: _Bench, network: str) -> tuple[Recipe, PlanKey]:
    job, graph = bench.job, bench.manifest.networks[network].graph
    shape = profiles_of(networks(bench.family)[network], job.shapes)
    aims = job.targets
    known = timings(aims.flavour, aims.tuned_on)
    recipe = Recipe(network, bench.folder / graph, shape, aims.names, known)
    weights = f"{graph.rpartition('/')[0]}/{WEIGHTS_FILE}"
    digests = bench.manifest.files[graph].sha256, bench.manifest.files[weights].sha256
    return recipe, plan_key(job.targets.flavour, recipe, digests, job.targets.tuned_on)


def _take(bench: _Bench, recipe: Recipe, key: PlanKey) -> Stored:
    stage = f"plan {recipe.network}"

    def advance(share: float) -> None:
        bench.progress(stage, round(share * _PERMILLE), _PERMILLE)

    def build(out: Path, log: Path) -> Record:
        found = scan(recipe.graph, _inputs(bench, recipe.network))
        check_scan(recipe.network, found)
        return Record(build_plan(bench.job.targets.flavour, recipe, out, log, advance), found)

    def waiting() -> None:
        bench.progress(f"{stage} (another process builds it)", 0, _PERMILLE)

    stored = bench.store.take(key, build, waiting)
    advance(1.0)
    return stored


def _inputs(bench: _Bench, network: str) -> dict[str, Array]:
    side = bench.family.sizes.minimum // 2  # magnitudes hardly depend on the size
    tables: dict[str, Array] = {
        name: np.load(bench.folder / file, mmap_mode="r")
        for name, file in bench.manifest.token_embeddings.items()
        if name == network
    }
    return network_inputs(network, bench.family, Size(side, side), tables)


def _row(bench: _Bench, recipe: Recipe, stored: Stored) -> NetworkReport:
    graph = onnx.load(recipe.graph, load_external_data=False)
    precision = bench.manifest.networks[recipe.network].precision
    return NetworkReport(
        recipe.network,
        precision,
        len(recipe.profiles),
        stored.reused,
        graph_facts(graph),
        stored.record,
    )


def _entry(job: PlanJob, plans: dict[str, PlanEntry]) -> PlanSetEntry:
    gpu, flavour = job.targets.tuned_on, job.targets.flavour
    return PlanSetEntry(
        backend=flavour.backend,
        version=flavour.version,
        targets=job.targets.names,
        gpu=f"{gpu.name} ({gpu.capability})" if gpu else None,
        driver=gpu.driver if gpu else None,
        shapes=job.shapes.kind,
        sizes=tuple(map(str, job.shapes.sizes)),
        max_batch=job.shapes.max_batch,
        plans=plans,
    )
