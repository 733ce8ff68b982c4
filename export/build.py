"""`build`: a checkpoint becomes a bundle, once.

Everything is written into a hidden folder beside the target and takes its place in one rename
under a lock, so a killed build leaves the old bundle, or none.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.digests import DigestMemory
from sakuga.engine.errors import BuildError, MissingDependencyError, SakugaError, UsageError
from sakuga.engine.manifest import MANIFEST, Manifest
from sakuga.engine.platform import exclusive, fsync_file, fsync_folder, replace_folder
from sakuga.export.assemble import Assembly, Progress, assemble
from sakuga.export.checkpoint.layouts import Checkpoint, open_checkpoint
from sakuga.export.demo import write_demo
from sakuga.export.network_plan import network_plans

DEMO = "demo"


@dataclass(frozen=True)
class BuildOptions:
    """How to build. `precision` is that of the UNet and the text encoders."""

    backend: Literal["onnx"] = "onnx"
    precision: Literal["fp32", "fp16"] = "fp32"
    verify: bool = False


def build(
    model: str | Path,
    out: str | Path,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """Build a bundle at `out` from a .safetensors file, a diffusers folder, or the word `demo`.

    Replaces a bundle that is there. Raises CheckpointError and its kinds for what is wrong with
    the model, UsageError where `out` is something else than a bundle, BusyError while another
    process writes it, BuildError where the disk is too small or fails.
    """
    options = options or BuildOptions()
    if options.verify:
        _check_reference()
    target = Path(out).resolve()
    with _disk_failures(target):
        _check_target(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(target.with_name(f".{target.name}.lock")), _workshop(target) as folder:
            with _model(model, folder) as checkpoint:
                manifest = _write(checkpoint, folder / "bundle", options, progress or _silent)
            replace_folder(folder / "bundle", target)
            _remember(target, manifest)
    return open_bundle(target)


def _write(
    checkpoint: Checkpoint, folder: Path, options: BuildOptions, progress: Progress
) -> Manifest:
    plans = network_plans(checkpoint.family, options.backend, options.precision)
    assembly = Assembly(checkpoint, plans, folder)
    _check_disk(assembly.size_bytes, folder.parent)
    manifest = assemble(assembly, progress)
    if options.verify:
        from sakuga.export.verify import verify

        manifest = replace(manifest, verification=verify(checkpoint, folder, manifest, progress))
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    for file in (*manifest.files, MANIFEST):
        fsync_file(folder / file)
    for path in {folder, *((folder / file).parent for file in manifest.files)}:
        fsync_folder(path)
    return manifest


@contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target; one that a killed build left is cleared first."""
    folder = target.with_name(f".{target.name}.building")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _disk_failures(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"The build failed: {error.strerror or error}.",
            note=f"It happened at {error.filename or target.parent}; {target.name} is as it was.",
            hint="Check space and permissions there, or choose another --out, and build again.",
        ) from error


@contextmanager
def _model(model: str | Path, folder: Path) -> Iterator[Checkpoint]:
    path = write_demo(folder) if str(model) == DEMO else Path(model)
    with open_checkpoint(path) as checkpoint:
        yield checkpoint


def _check_reference() -> None:
    missing = [name for name in ("torch", "diffusers", "transformers") if not find_spec(name)]
    if missing:
        raise MissingDependencyError(
            f"Verifying needs {', '.join(missing)}.",
            note="The networks are compared with diffusers; a build without --verify needs none.",
            hint="Install the extra: pip install 'sakuga[verify]', in a clone '.[verify]'.",
        )


def _check_target(target: Path) -> None:
    empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not empty and not _is_bundle(target):
        raise UsageError(
            f"{target} is there already and is no bundle.",
            note="A build replaces bundles and nothing else.",
            hint="Give another --out, or move what is there away.",
        )


def _is_bundle(folder: Path) -> bool:
    """Of any schema, whole or not; web applications have a manifest.json too."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and "sakuga" in manifest


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
