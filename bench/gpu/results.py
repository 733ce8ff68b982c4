"""Results on disk: one JSON file for each machine and part, there whole or not at all."""

import json
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from common import Figure, finite, machine

from sakuga.engine.gpu import Gpu
from sakuga.engine.platform import write_file_atomic

RESULTS = Path(__file__).resolve().parents[1] / "results"
_PACKAGES = ("cuda-core", "cuda-bindings", "tensorrt", "tensorrt-rtx", "transformers", "triton")
_MODULE = Path("/proc/driver/nvidia/version")

Answer = dict[str, Any]


def about(gpu: Gpu) -> dict[str, Any]:
    """The machine, its driver and the versions a figure belongs to."""
    return machine() | {
        "gpu": gpu.name,
        "capability": gpu.capability,
        "memory_gb": round(gpu.memory_bytes / 1e9, 1),
        "cuda_of_driver": gpu.driver,
        "driver": _driver(),
        "system": platform.platform(),
        **{package: _version(package) for package in _PACKAGES},
    }


def folder_of(gpu: Gpu, out: Path) -> Path:
    """Where results of this machine lie below `out`."""
    return out / re.sub(r"[^a-z0-9]+", "-", gpu.name.lower()).strip("-")


def answer_of(
    part: str, about: dict[str, Any], figures: Sequence[Figure], details: dict[str, Any]
) -> Answer:
    """A part's result as JSON has it."""
    rows = [asdict(figure) | {"met": figure.met} for figure in figures]
    answer: Answer = finite(
        {"bench": "gpu", "part": part, "machine": about, "figures": rows, **details}
    )
    return answer


def write_answer(answer: Answer, folder: Path) -> Path:
    """Write PART.json, there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{answer['part']}.json"
    write_file_atomic(path, (json.dumps(answer, indent=1) + "\n").encode())
    return path


def known_answer(part: str, folders: Sequence[Path]) -> Answer | None:
    """The part's result where one of the folders has it."""
    for folder in folders:
        path = folder / f"{part}.json"
        if path.is_file():
            answer: Answer = json.loads(path.read_text(encoding="utf-8"))
            return answer
    return None


def _driver() -> str | None:
    """The kernel module's release, where Linux shows it."""
    try:
        found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", _MODULE.read_text(encoding="utf-8"))
    except OSError:
        return None
    return found.group() if found else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
