"""LoRA files of a module or two, and what a tensor becomes when they are merged."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sakuga.export.adapters.choice import LoraChoice
from sakuga.export.adapters.stack import open_loras
from sakuga.export.assemble import unchanged
from sakuga.profiles.families import SDXL_TINY

Tensors = Mapping[str, torch.Tensor]
WriteLora = Callable[..., Path]
Merge = Callable[..., torch.Tensor]


@pytest.fixture
def write_lora(tmp_path: Path) -> WriteLora:
    """`write_lora(tensors, name="lora", metadata=None)`: a file of these tensors."""

    def write(tensors: Tensors, name: str = "lora", metadata: dict[str, str] | None = None) -> Path:
        path = tmp_path / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata)
        return path

    return write


@pytest.fixture
def merge(write_lora: WriteLora) -> Merge:
    """`merge(lora, name, values, weight=1.0)`: a tensor of sdxl-tiny with a LoRA merged."""

    def merged(
        tensors: Tensors, name: str, values: torch.Tensor, weight: float = 1.0
    ) -> torch.Tensor:
        choice = LoraChoice(write_lora(tensors), weight)
        with open_loras([choice], SDXL_TINY, strict=True) as loras:
            found = loras.before(unchanged)(name, values.numpy())
        assert found.dtype == np.float32 and found.shape == tuple(values.shape)
        return torch.from_numpy(found)

    return merged
