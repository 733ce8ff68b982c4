"""Writes checkpoints in both layouts: a single file, or a diffusers folder.

Tensor by tensor, so the full SDXL file of 6.9 GB takes the memory of its largest tensor.
"""

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from sakuga.engine.errors import UsageError
from sakuga.engine.platform import replace_folder
from sakuga.export import diffusers_configs
from sakuga.export.checkpoint.safetensors_writer import PlannedTensor, write_safetensors
from sakuga.export.checkpoint.single_file import single_file_tables
from sakuga.export.checkpoint.sources import (
    Array,
    Operation,
    Shape,
    Table,
    stored_shape,
    to_stored,
)
from sakuga.export.checkpoint.tokenizer_folder import tokenizer_name, write_tokenizer_folder
from sakuga.profiles.families import CHUNK, Family
from sakuga.profiles.weights import Shapes, weights

Layout = Literal["diffusers", "single"]
Precision = Literal["fp16", "fp32"]
Values = Callable[[str, str, Shape], Array]  # (component, canonical name, shape) -> tensor

_DTYPES: Mapping[str, Literal["F16", "F32"]] = {"fp16": "F16", "fp32": "F32"}
_POSITION_IDS = {
    "sdxl": "conditioner.embedders.0.transformer.text_model.embeddings.position_ids",
    "sd15": "cond_stage_model.transformer.text_model.embeddings.position_ids",
}


def write_checkpoint(
    family: Family,
    layout: Layout,
    dtype: Precision,
    values: Values,
    metadata: Mapping[str, str],
    out: Path,
) -> None:
    """Write a checkpoint at `out`, whole or not at all; `values` gives each canonical tensor.

    `metadata` goes into a single file's header. An older checkpoint at `out` is replaced;
    UsageError where something else stands there.
    """
    _check_target(layout, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    if layout == "single":
        _write_single(family, _DTYPES[dtype], values, metadata, out)
    else:
        _write_folder(family, _DTYPES[dtype], values, out)


def _check_target(layout: Layout, out: Path) -> None:
    if not out.exists():
        return
    replaceable = out.is_file() if layout == "single" else (out / "model_index.json").is_file()
    if not replaceable:
        kind = "file" if layout == "single" else "diffusers folder"
        raise UsageError(f"{out} exists and is no {kind}.", hint="Give another path with --out.")


def _write_single(
    family: Family,
    dtype: Literal["F16", "F32"],
    values: Values,
    metadata: Mapping[str, str],
    out: Path,
) -> None:
    planned: dict[str, PlannedTensor] = {}
    shapes = weights(family)
    for component, table in single_file_tables(family).items():
        planned |= _plan_stored(component, table, shapes[component], dtype, values)
    planned[_POSITION_IDS[family.kind]] = PlannedTensor("I64", (1, CHUNK), _position_ids)
    write_safetensors(out, planned, metadata)


def _plan_stored(
    component: str, table: Table, shapes: Shapes, dtype: Literal["F16", "F32"], values: Values
) -> dict[str, PlannedTensor]:
    names: dict[str, dict[Operation, str]] = {}
    for name, (usual, *_) in table.items():
        names.setdefault(usual.key, {})[usual.operation] = name
    planned: dict[str, PlannedTensor] = {}
    for key, parts in names.items():
        operation, name = next(iter(parts.items()))
        make = partial(_stored, values, component, parts, shapes)
        planned[key] = PlannedTensor(dtype, stored_shape(operation, shapes[name]), make)
    return planned


def _stored(
    values: Values, component: str, parts: Mapping[Operation, str], shapes: Mapping[str, Shape]
) -> Array:
    made: dict[Operation, Array] = {
        operation: values(component, name, shapes[name]) for operation, name in parts.items()
    }
    return to_stored(made)


def _write_folder(family: Family, dtype: Literal["F16", "F32"], values: Values, out: Path) -> None:
    new = out.with_name(f".{out.name}.{secrets.token_hex(8)}.tmp")
    try:
        for component, shapes in weights(family).items():
            (new / component).mkdir(parents=True)
            planned = {
                name: PlannedTensor(dtype, shape, partial(values, component, name, shape))
                for name, shape in shapes.items()
            }
            stem = "model" if component.startswith("text") else "diffusion_pytorch_model"
            path = new / component / f"{stem}.safetensors"
            write_safetensors(path, planned, {"format": "pt"})
        _write_configs(family, new)
        replace_folder(new, out)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write_configs(family: Family, folder: Path) -> None:
    configs: dict[str, diffusers_configs.Config] = {
        "model_index.json": diffusers_configs.model_index(family),
        "scheduler/scheduler_config.json": diffusers_configs.scheduler_config(),
        "unet/config.json": diffusers_configs.unet_config(family),
        "vae/config.json": diffusers_configs.vae_config(family.vae, family.buckets[0].width),
    }
    for config in family.text_encoders:
        path = f"{config.name}/config.json"
        configs[path] = diffusers_configs.text_encoder_config(config)
        write_tokenizer_folder(config, folder / tokenizer_name(config))
    for path, content in configs.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _position_ids() -> Array:
    return np.arange(CHUNK, dtype=np.int64)[None]
