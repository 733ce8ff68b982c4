"""`build`: a checkpoint becomes a bundle, once.

Everything is written into a hidden folder beside the target and takes its place in one rename
under a lock, so a killed build leaves the old bundle, or none.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.digests import DigestMemory, file_sha256
from sakuga.engine.errors import (
    BuildError,
    MissingDependencyError,
    SakugaError,
    StoppedError,
    UsageError,
    install_hint,
)
from sakuga.engine.manifest import MANIFEST, FileEntry, LoraEntry, Manifest
from sakuga.engine.platform import replace_folder
from sakuga.export.adapters.bundled import BundledVectors
from sakuga.export.adapters.choice import LoraChoice
from sakuga.export.adapters.stack import open_loras
from sakuga.export.assemble import Assembly, Progress, assemble, unchanged
from sakuga.export.bind import Adapt
from sakuga.export.checkpoint.layouts import Checkpoint, open_checkpoint
from sakuga.export.checkpoint.overrides import Overrides
from sakuga.export.demo import DEMO_CHECKPOINT
from sakuga.export.network_graph import Backend, network_graphs
from sakuga.export.plans.build_plans import Say, Site, build_plans
from sakuga.export.plans.flavour import CURRENT
from sakuga.export.plans.job import (
    PlanJob,
    Targets,
    check_refit,
    default_backend,
    plan_shapes,
    targets,
)
from sakuga.export.plans.report import REPORT
from sakuga.export.plans.store import PlanStore
from sakuga.export.target import check_contents, check_place
from sakuga.export.workshop import disk_failures, settle, workshop

DEMO = "demo"
DEFAULT_SHAPES, DEFAULT_BATCH = "range", 4


def _silent_words(words: str) -> None:
    return None


@dataclass(frozen=True)
class BuildOptions:
    """How to build. None: what suits the machine, and then the backend.

    `backend`: `rtx` where a `gpu` is named, `tensorrt` or `rtx` where there is a GPU and the
    library, else `onnx`. `precision`: `fp32` for `onnx`, else `fp16`; the VAE then computes in
    float32 or mixed. The rest is for backends with plans. `gpu`: `current` (the default), `any`,
    or capabilities such as `sm89,sm120`. `shapes`: `range` (the default), `buckets`, or sizes such
    as `832x1216,1024x1024`. `max_batch`: pictures at once, 4 by default. `refit`: plans on
    the GPU at hand that take another checkpoint's weights in seconds, perhaps at a loss of speed.
    `preset`: the name of one, `none` for none, and where None the one that knows the checkpoint's
    hash. `overrides`: what is to hold of the checkpoint where its files say nothing or are wrong.
    `loras` are merged in their order; `strict_loras` refuses one with keys that mean nothing
    to the model, which are listed otherwise. `vae`: a file whose VAE takes the place of the
    checkpoint's own.
    """

    backend: Backend | None = None
    precision: Literal["fp32", "fp16"] | None = None
    verify: bool = False
    gpu: str | None = None
    shapes: str | None = None
    max_batch: int | None = None
    refit: bool = False
    preset: str | None = None
    overrides: Overrides = field(default_factory=Overrides)
    loras: tuple[LoraChoice, ...] = ()
    vae: Path | None = None
    strict_loras: bool = False


def build(
    model: str | Path,
    out: str | Path,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
    *,
    adapt: Adapt = unchanged,
    say: Say = _silent_words,
) -> Bundle:
    """Build a bundle at `out` from a .safetensors file, a diffusers folder, or the word `demo`.

    Replaces a bundle that is there. `adapt` is the one place where tensors may be changed on their
    way: it is given each as `component/name` with its values, LoRAs merged, and returns values of
    the same shape (with `verify` a second time, for the reference). `say` is told what was repaired
    or read otherwise than the checkpoint states and, before plans are built, what they will take.

    Raises CheckpointError and its kinds for what is wrong with the model, a LoRA or the VAE, or not
    supported yet, UsageError where `out` is something else than a bundle, holds files no build
    wrote or lies inside a bundle, for a preset that is unknown, broken or for another family, for
    two LoRAs of one name, and for options that contradict the model or the machine (TargetError,
    SizeError), MissingDependencyError without a library the options need, BusyError while another
    process writes the bundle, BuildError where disk or memory are too small or fail, a value
    overflows float16, TensorRT fails (PlanBuildError), or a network does not pass `verify`;
    StoppedError where a build with plans is interrupted, KeyboardInterrupt for one without.
    """
    options = options or BuildOptions()
    backend = _backend(options)
    aims = None if backend == "onnx" else targets(backend, options.gpu or CURRENT)
    if aims is not None and options.refit:
        check_refit(aims)
    work = _Work(backend, options, aims, progress or _silent, adapt, say)
    if options.verify:
        _check_reference()
    target = Path(out).resolve()
    with disk_failures(target), _resumable(work):
        check_place(target)
        path = DEMO_CHECKPOINT if str(model) == DEMO else Path(model)
        # The model comes first: what is wrong with it leaves no trace at all.
        with (
            open_checkpoint(path, options.overrides, options.vae) as checkpoint,
            open_loras(options.loras, checkpoint.family, options.strict_loras) as loras,
            workshop(target) as folder,
        ):
            for note in checkpoint.notes:
                say(f"Note: {note}")
            work = replace(
                work, adapt=loras.before(adapt), loras=loras.entries, bundled=loras.embeddings
            )
            _replace(checkpoint, folder / "bundle", target, work)
    return open_bundle(target)


def _backend(options: BuildOptions) -> Backend:
    """The backend asked for or meant. Raises UsageError for plan options without plans."""
    meant = options.backend or ("rtx" if options.gpu else default_backend()) or "onnx"
    given: dict[str, object] = {
        "--gpu": options.gpu,
        "--shapes": options.shapes,
        "--max-batch": options.max_batch,
        "--refit": options.refit or None,
    }
    idle = [name for name, value in given.items() if value is not None]
    if meant == "onnx" and idle:
        raise UsageError(
            f"{' and '.join(idle)} say how plans are built, and --backend onnx has none.",
            note="Without --backend, plans are built where there is a GPU or --gpu names one.",
            hint="Leave them out, or give --backend rtx or --backend tensorrt.",
        )
    return meant


@dataclass(frozen=True, eq=False)
class _Work:
    backend: Backend
    options: BuildOptions
    targets: Targets | None
    progress: Progress
    adapt: Adapt
    say: Say
    loras: tuple[LoraEntry, ...] = ()
    bundled: BundledVectors = field(default_factory=dict)


def _replace(checkpoint: Checkpoint, folder: Path, target: Path, work: _Work) -> None:
    check_contents(target)
    manifest = _write(checkpoint, folder, work)
    check_contents(target)  # a build takes minutes, and pictures may be rendered meanwhile
    replace_folder(folder, target)
    _remember(target, manifest)


def _write(checkpoint: Checkpoint, folder: Path, work: _Work) -> Manifest:
    job, options = _plan_job(checkpoint, work), work.options
    precision = options.precision or ("fp32" if work.backend == "onnx" else "fp16")
    graphs = network_graphs(checkpoint.family, work.backend, precision)
    assembly = Assembly(checkpoint, graphs, folder, options.preset, work.loras, work.bundled)
    _check_disk(assembly.size_bytes, folder.parent)
    manifest = assemble(assembly, work.progress, work.adapt)
    made = None
    if job is not None:
        made = build_plans(Site(job, folder, manifest, PlanStore(), work.progress, work.say))
        files = {**manifest.files, **made.files}
        manifest = replace(manifest, plans={job.name: made.entry}, files=files)
    if options.verify:
        from sakuga.export.verify import Weights, verify

        weights = Weights(checkpoint, work.adapt)
        manifest = replace(manifest, verification=verify(weights, folder, manifest, work.progress))
    if made is not None:
        replace(made.report, verification=manifest.verification).write(folder)
        entry = FileEntry((folder / REPORT).stat().st_size, file_sha256(folder / REPORT))
        manifest = replace(manifest, files={**manifest.files, REPORT: entry})
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    settle(folder)
    return manifest


def _plan_job(checkpoint: Checkpoint, work: _Work) -> PlanJob | None:
    if work.targets is None:
        return None
    shapes, batch = work.options.shapes or DEFAULT_SHAPES, work.options.max_batch
    batch = DEFAULT_BATCH if batch is None else batch
    return PlanJob(work.targets, plan_shapes(shapes, batch, checkpoint.family), work.options.refit)


@contextmanager
def _resumable(work: _Work) -> Iterator[None]:
    """An interruption of a build with plans says what is kept of it."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if work.targets is None:
            raise
        raise StoppedError(
            "The build was stopped.",
            note="Plans that were finished are kept, one under way starts again; no bundle was "
            "changed.",
            hint="Run the same command again: it goes on behind them.",
        ) from stop


def _check_reference() -> None:
    missing = [name for name in ("torch", "diffusers", "transformers") if not find_spec(name)]
    if missing:
        raise MissingDependencyError(
            f"Verifying needs {', '.join(missing)}.",
            note="The networks are compared with diffusers; a build without --verify needs none.",
            hint=install_hint("verify"),
        )


def _check_disk(size_bytes: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size_bytes > free:
        raise BuildError(
            "The disk is too small for the bundle.",
            note=f"It needs {size_bytes / 1e9:.2f} GB, {free / 1e9:.2f} GB are free.",
            hint="Free space, choose another folder with --out, or build with --precision fp16.",
        )


def _remember(target: Path, manifest: Manifest) -> None:
    digests = {target / name: entry.sha256 for name, entry in manifest.files.items()}
    try:
        DigestMemory().remember(digests)
    except (OSError, SakugaError):
        return


def _silent(stage: str, done: int, total: int) -> None:
    return None
