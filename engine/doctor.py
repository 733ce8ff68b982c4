"""What this machine has: versions, processors, optional packages, disk."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sakuga.engine.backend.onnxruntime import onnxruntime_library
from sakuga.engine.bundle import open_bundle
from sakuga.engine.errors import MissingDependencyError
from sakuga.engine.gpu import Gpu, driver_version
from sakuga.engine.plans import PACKAGES, Here, here, mismatch, rebuild_command
from sakuga.engine.platform import cache_folder
from sakuga.engine.version import VERSION

_NEEDED = ("numpy", "onnxruntime", "tokenizers", "pillow", "onnx")
_VERIFY = ("torch", "diffusers", "transformers")  # the `verify` extra, for build --verify


def examine(bundles: Sequence[Path] = ()) -> dict[str, str]:
    """Findings by topic, in words; with `bundles`, whether their plans run here.

    Raises BundleError where one of the bundles cannot be opened.
    """
    machine = here()
    findings = {
        "sakuga": VERSION,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "processors": f"{os.cpu_count()} ({platform.machine()})",
        "gpu": _gpu(machine.gpu),
    }
    findings |= {name: _version(name) or "missing: reinstall sakuga" for name in _NEEDED}
    findings["onnxruntime"] = _onnxruntime()
    for name in _VERIFY:
        findings[name] = _version(name) or "not installed; only build --verify needs it"
    for backend, packages in PACKAGES.items():
        missing = f"not installed; only --backend {backend} needs it"
        findings[packages[0]] = machine.versions.get(backend, missing)
    findings["providers"] = _providers()
    findings["cache"] = _cache()
    findings |= _store()
    findings["free disk here"] = f"{shutil.disk_usage(Path.cwd()).free / 1e9:.1f} GB"
    for path in bundles:
        findings |= _bundle_plans(path, machine)
    return findings


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _onnxruntime() -> str:
    """Two distributions bring the same module, and the last one installed wins half of it."""
    plain, gpu = _version("onnxruntime"), _version("onnxruntime-gpu")
    if plain and gpu:
        return (
            f"both onnxruntime {plain} and onnxruntime-gpu {gpu} are installed, and neither works "
            "for certain: pip uninstall -y onnxruntime onnxruntime-gpu, then install one of them"
        )
    if gpu:
        return f"{gpu} (onnxruntime-gpu)"
    return plain or "missing: pip install onnxruntime, or onnxruntime-gpu for an NVIDIA GPU"


def _gpu(gpu: Gpu | None) -> str:
    if gpu is not None:
        memory = f"{gpu.memory_bytes / 1e9:.0f} GB"
        return f"{gpu.name}, {gpu.capability}, {memory}; the driver supports CUDA {gpu.driver}"
    driver = driver_version()
    if driver is None:
        return "none: pictures are rendered on the processor"
    return f"none that starts, though a driver for CUDA {driver} is installed"


def _bundle_plans(path: Path, machine: Here) -> dict[str, str]:
    """Whether each plan set of a bundle runs here, by its path. Raises what opening it raises."""
    bundle = open_bundle(path)
    found = {}
    for name, plans in bundle.manifest.plans.items():
        reason = mismatch(plans, machine)
        if reason is None:
            words = "ready to run"
        elif machine.gpu is None:
            words = f"for {' and '.join(plans.targets)}; here is no GPU, the processor renders"
        else:
            words = f"cannot run here, {reason}; {rebuild_command(bundle, machine)}"
        found[f"{path}/plans/{name}"] = words
    return found or {str(path): "no plans in it: it runs on ONNX Runtime"}


def _store() -> dict[str, str]:
    """Finished plans kept for later builds, by library and target."""
    try:
        folder = cache_folder() / "plans"
        sizes = dict[str, list[int]]()
        for facts in folder.glob("*.json"):
            key = json.loads(facts.read_text(encoding="utf-8"))["key"]
            kind = f"{key['backend']} {key['version']} for {' '.join(key['targets'])}"
            sizes.setdefault(kind, []).append(facts.with_suffix(".plan").stat().st_size)
    except (OSError, ValueError, KeyError) as error:
        return {"plan store": f"cannot be read ({error})"}
    found = {"plan store": f"{folder}; plans unused for two weeks go, and all may be deleted"}
    for kind, bytes_each in sorted(sizes.items()):
        found[f"  {kind}"] = f"{len(bytes_each)} plans, {sum(bytes_each) / 1e9:.2f} GB"
    return found


def _providers() -> str:
    try:
        library = onnxruntime_library()
    except MissingDependencyError as error:
        return f"{error.what} {error.note}"
    return ", ".join(library.get_available_providers())


def _cache() -> str:
    try:
        return str(cache_folder())
    except OSError as error:
        return f"cannot be written ({error.strerror}): bundles are read in full at every start"
