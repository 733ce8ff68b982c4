"""`build-upscaler`: an upscaler's file becomes a folder the engine runs, once.

Written into a hidden folder beside the target, which takes its place in one rename, as bundles are.
"""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from sakuga.engine.digests import file_sha256
from sakuga.engine.manifest import MANIFEST, FileEntry
from sakuga.engine.platform import replace_folder
from sakuga.engine.upscaler_folder import (
    UpscalerFolder,
    UpscalerManifest,
    UpscalerPrecision,
    is_upscaler,
    open_upscaler,
)
from sakuga.engine.version import VERSION
from sakuga.export.assemble import unchanged
from sakuga.export.bind import MODEL_FILE, bind
from sakuga.export.plans.job import Targets, targets
from sakuga.export.target import check_contents, check_place
from sakuga.export.upscaler.library import check_installed
from sakuga.export.upscaler.options import UpscalerOptions, usual_overlap
from sakuga.export.upscaler.plan import PlanTask, plan_upscaler
from sakuga.export.upscaler.weights_file import read_weights
from sakuga.export.workshop import disk_failures, settle, workshop

_FOLDERS: dict[UpscalerPrecision, str] = {
    "float32": "onnx/upscaler",
    "float16": "onnx/upscaler_fp16",
}
_LIBRARIES = ("torch", "spandrel", "onnx", "onnxscript", "onnx-ir")


def build_upscaler(
    file: str | Path, out: str | Path, options: UpscalerOptions | None = None
) -> UpscalerFolder:
    """Build an upscaler's folder at `out` from a .pth or .safetensors file.

    Replaces an upscaler that is there. Raises what `read_weights`, `load_network`, `trace_upscaler`
    and `verified` raise, UsageError where `out` is something else than an upscaler or holds files
    no build wrote, BusyError while another process writes it, BuildError where the disk fails,
    MissingDependencyError without torch and spandrel; with a backend TargetError for a GPU it does
    not build for and PlanBuildError where it refuses the network.
    """
    check_installed()
    source, target, options = Path(file), Path(out).resolve(), options or UpscalerOptions()
    aims = targets(options.backend, options.gpu) if options.backend else None
    check_place(target, is_upscaler, "upscaler")
    check_contents(target)
    with disk_failures(target), workshop(target) as folder:
        made = folder / "upscaler"
        manifest = _write(source, made, options)
        if aims is not None:
            manifest = _planned(manifest, made, aims)
        (made / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        settle(made)
        check_contents(target)  # a build takes a while, and somebody may have been there
        replace_folder(made, target)
    return open_upscaler(target)


def _write(source: Path, folder: Path, options: UpscalerOptions) -> UpscalerManifest:
    """Write every file but the manifest, and return what the manifest says."""
    from sakuga.export.upscaler.network import load_network  # these need torch
    from sakuga.export.upscaler.trace import trace_upscaler
    from sakuga.export.upscaler.verify import verified

    network = load_network(source, read_weights(source))
    traced = trace_upscaler(network)
    files: dict[str, FileEntry] = {}
    errors: dict[str, float] = {}
    for precision in network.precisions:
        place = _FOLDERS[precision]
        graph = traced.graph(precision)
        bound = bind(graph, traced, folder / place, unchanged, lambda written: None)
        for name, digest in bound.sha256.items():
            files[f"{place}/{name}"] = FileEntry(bound.size_bytes[name], digest)
        errors[precision] = verified(network, folder / place / MODEL_FILE, precision)
    return UpscalerManifest(
        format="sakuga-upscaler-1",
        name=options.name or source.stem,
        architecture=network.architecture,
        scale=network.scale,
        source=source.name,
        sha256=file_sha256(source),
        sides=network.sides,
        window=network.window,
        tile=options.tile,
        overlap=usual_overlap(network.sides, network.window)
        if options.overlap is None
        else options.overlap,
        licence=options.licence or "unknown",
        exporter={"sakuga": VERSION} | {name: version(name) for name in _LIBRARIES},
        graphs={each: f"{_FOLDERS[each]}/{MODEL_FILE}" for each in network.precisions},
        errors=errors,
        plan=None,
        files=files,
    )


def _planned(manifest: UpscalerManifest, folder: Path, aims: Targets) -> UpscalerManifest:
    """The manifest with a plan of the graph in the fewest bits."""
    precision: UpscalerPrecision = "float16" if "float16" in manifest.graphs else "float32"
    graph = manifest.graphs[precision]
    plan, entry = plan_upscaler(
        PlanTask(folder, graph, precision, manifest.sides, manifest.tile), aims
    )
    return replace(manifest, plan=plan, files={**manifest.files, plan.file: entry})
