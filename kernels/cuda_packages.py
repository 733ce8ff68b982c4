"""NVIDIA's Python packages, loaded when first needed; they carry no types a checker can read."""

import importlib
from typing import Any, Literal


def cuda_package(name: Literal["core", "bindings.driver", "bindings.nvrtc", "pathfinder"]) -> Any:  # noqa: ANN401
    """The module `cuda.NAME`. Raises ImportError without the `cuda` extra."""
    return importlib.import_module(f"cuda.{name}")
