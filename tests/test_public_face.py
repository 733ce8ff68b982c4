"""What `import sakuga` promises, and what it must not bring along."""

import inspect
import json
import subprocess
import sys

import pytest

import sakuga
from sakuga.engine import errors

PUBLIC = [
    "BuildError",
    "Bundle",
    "BundleDamagedError",
    "BundleError",
    "BundleFormatError",
    "BusyError",
    "CheckpointError",
    "DeadlineError",
    "Detail",
    "DeviceMemoryError",
    "Engine",
    "EngineFault",
    "FileFormatError",
    "Hires",
    "Infotext",
    "Init",
    "Limits",
    "Mask",
    "MetadataError",
    "MissingDependencyError",
    "OutputError",
    "OverloadedError",
    "Picture",
    "PictureFileError",
    "PlanBuildError",
    "PlanMismatchError",
    "Progress",
    "Remake",
    "RenderError",
    "Request",
    "SakugaError",
    "SizeError",
    "Source",
    "Statistics",
    "StoppedError",
    "TargetError",
    "TensorError",
    "Ticket",
    "UnknownFamilyError",
    "Upscale",
    "UsageError",
    "__version__",
    "open_bundle",
    "read_infotext",
]
EXPORTER_ONLY = {"torch", "diffusers", "transformers", "onnx", "onnxscript", "onnx_ir"}
NEVER_IN_A_BUILD = EXPORTER_ONLY - {"onnx"}


def modules_after(statement: str) -> set[str]:
    """Top-level modules a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    return {module.partition(".")[0] for module in json.loads(done.stdout)}


def test_the_public_names_are_these() -> None:
    assert sakuga.__all__ == PUBLIC
    assert sorted(PUBLIC) == PUBLIC
    assert all(hasattr(sakuga, name) for name in PUBLIC)


def test_every_error_is_public() -> None:
    defined = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert defined <= set(PUBLIC)
    for name in defined:
        assert issubclass(getattr(sakuga, name), sakuga.SakugaError)


def test_every_public_object_is_documented() -> None:
    documented = [name for name in PUBLIC if name != "__version__"]
    assert [name for name in documented if not inspect.getdoc(getattr(sakuga, name))] == []


@pytest.mark.parametrize(
    "module", ["sakuga", "sakuga.engine.engine", "sakuga.engine.cli", "sakuga.engine.jobs.run"]
)
def test_rendering_brings_no_exporter(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert loaded & EXPORTER_ONLY == set()


def test_rendering_loads_nothing_of_export() -> None:
    code = (
        "import sys, sakuga.engine.cli, sakuga.engine.jobs.run, sakuga.engine.backend.onnxruntime\n"
        "assert not [m for m in sys.modules if m.startswith('sakuga.export')]"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


@pytest.mark.parametrize("module", ["sakuga.export.build", "sakuga.export.cli"])
def test_building_brings_no_torch(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert loaded & NEVER_IN_A_BUILD == set()
