"""LoRA files of a module or two, and what a tensor becomes when they are merged."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.external_data_helper import load_external_data_for_model
from safetensors.torch import save_file

from sakuga.engine.bundle import Bundle
from sakuga.export.adapters.choice import LoraChoice
from sakuga.export.adapters.stack import open_loras
from sakuga.export.assemble import TOKEN_EMBEDDING, unchanged
from sakuga.export.bind import weights_of
from sakuga.export.weight_forms import TRANSPOSED
from sakuga.profiles.families import SDXL_TINY

Tensors = Mapping[str, torch.Tensor]
WriteLora = Callable[..., Path]
Merge = Callable[..., torch.Tensor]
ReadBundle = Callable[[Bundle], dict[str, NDArray[Any]]]


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


@pytest.fixture
def read_bundle() -> ReadBundle:
    """`read_bundle(bundle)`: its weights by `component/name`, in the checkpoint's layout; but those
    that are folded as they are, by the names they have then."""
    return _read_bundle


def _read_bundle(bundle: Bundle) -> dict[str, NDArray[Any]]:
    found = {
        f"{encoder}/{TOKEN_EMBEDDING}": np.load(bundle.token_embedding(encoder))
        for encoder in bundle.manifest.token_embeddings
    }
    for network in bundle.manifest.networks:
        component = "vae" if network.startswith("vae") else network
        model = onnx.load(bundle.graph(network), load_external_data=False)
        names = {weight.name for weight in weights_of(model)}
        load_external_data_for_model(model, str(bundle.graph(network).parent))
        for tensor in model.graph.initializer:
            if tensor.name in names:
                values = numpy_helper.to_array(tensor)
                name = tensor.name.removesuffix(TRANSPOSED)
                found[f"{component}/{name}"] = values if name == tensor.name else values.T
    return found
