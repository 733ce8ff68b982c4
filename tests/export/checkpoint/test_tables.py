"""Every name table against diffusers' own converters: all keys, and the values behind them.

Each tensor of a made-up checkpoint holds numbers of its own, so that a swap of two tensors, or of
the thirds of one, cannot go unseen. Full families use the same layouts with every width small.
"""

import dataclasses
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.loaders import single_file_utils

from sakuga.export import diffusers_configs
from sakuga.export.checkpoint.folder_names import folder_tables
from sakuga.export.checkpoint.single_file import single_file_tables
from sakuga.export.checkpoint.sources import (
    Array,
    Operation,
    Table,
    canonical_shape,
    stored_rows,
    stored_shape,
    to_canonical,
    to_stored,
)
from sakuga.profiles.families import FAMILIES, SD15, SDXL, Family
from sakuga.profiles.weights import weights


def narrow(family: Family) -> Family:
    """The same blocks and layers with small widths: names stay, numbers shrink."""
    encoders = tuple(
        dataclasses.replace(
            config, hidden=8, heads=2, projection=None if config.projection is None else 8
        )
        for config in family.text_encoders
    )
    unet = dataclasses.replace(
        family.unet,
        channels=tuple(width // 10 for width in family.unet.channels),
        context=16,
        time_id_width=None if family.unet.time_id_width is None else 4,
    )
    vae = dataclasses.replace(family.vae, channels=(8, 16, 24, 24), groups=4)
    return dataclasses.replace(family, text_encoders=encoders, unet=unet, vae=vae)


FULL_NARROW = [narrow(SDXL), narrow(SD15)]
ALL = [*(family for family in FAMILIES.values() if family.name.endswith("tiny")), *FULL_NARROW]


def made_up(family: Family) -> dict[str, dict[str, Array]]:
    generator = np.random.default_rng(5)
    return {
        component: {
            name: generator.standard_normal(shape, np.float32) for name, shape in shapes.items()
        }
        for component, shapes in weights(family).items()
    }


def stored(table: Table, canonical: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    """The single file's tensors, by the inverse of the table."""
    parts: dict[str, dict[Operation, Array]] = {}
    for name, (source, *_) in table.items():
        parts.setdefault(source.key, {})[source.operation] = canonical[name]
    return {key: torch.from_numpy(to_stored(found)) for key, found in parts.items()}


def assert_same(converted: Mapping[str, torch.Tensor], expected: Mapping[str, Array]) -> None:
    assert set(converted) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(converted[name].numpy(), array, err_msg=name)


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_unet_names_are_those_diffusers_converts(family: Family) -> None:
    expected = made_up(family)["unet"]
    file = stored(single_file_tables(family)["unet"], expected)
    config = diffusers_configs.unet_config(family)
    assert_same(single_file_utils.convert_ldm_unet_checkpoint(file, config), expected)


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_vae_names_are_those_diffusers_converts(family: Family) -> None:
    expected = made_up(family)["vae"]
    file = stored(single_file_tables(family)["vae"], expected)
    config = diffusers_configs.vae_config(family.vae, 512)
    assert_same(single_file_utils.convert_ldm_vae_checkpoint(file, config), expected)


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_clip_names_are_those_diffusers_converts(family: Family) -> None:
    expected = made_up(family)["text_encoder"]
    file = stored(single_file_tables(family)["text_encoder"], expected)
    assert_same(single_file_utils.convert_ldm_clip_checkpoint(file), expected)


@pytest.mark.parametrize("family", [f for f in ALL if f.kind == "sdxl"], ids=lambda f: f.name)
def test_open_clip_names_are_those_diffusers_converts(family: Family) -> None:
    expected = made_up(family)["text_encoder_2"]
    file = stored(single_file_tables(family)["text_encoder_2"], expected)
    model = SimpleNamespace(config=SimpleNamespace(hidden_size=family.text_encoders[1].hidden))
    prefix = "conditioner.embedders.1.model."
    assert_same(single_file_utils.convert_open_clip_checkpoint(model, file, prefix), expected)


@pytest.mark.parametrize("family", [SDXL, SD15], ids=lambda family: family.name)
def test_narrow_families_have_the_names_of_the_full_ones(family: Family) -> None:
    full, small = weights(family), weights(narrow(family))
    assert {part: set(names) for part, names in full.items()} == {
        part: set(names) for part, names in small.items()
    }


def keys_of(family: Family) -> set[str]:
    tables = single_file_tables(family).values()
    return {source.key for table in tables for source, *_ in table.values()}


@pytest.mark.parametrize(
    ("family", "prefix", "count"),
    [
        (SDXL, "model.diffusion_model.", 1680),
        (SDXL, "conditioner.embedders.0.transformer.text_model.", 196),
        (SDXL, "conditioner.embedders.1.model.", 32 * 12 + 5),
        (SDXL, "first_stage_model.", 248),
        (SD15, "model.diffusion_model.", 686),
        (SD15, "cond_stage_model.transformer.text_model.", 196),
        (SD15, "first_stage_model.", 248),
    ],
)
def test_published_counts_of_single_files(family: Family, prefix: str, count: int) -> None:
    assert sum(key.startswith(prefix) for key in keys_of(family)) == count


def test_keys_by_which_diffusers_knows_the_families_are_in_the_tables() -> None:
    names = single_file_utils.CHECKPOINT_KEY_NAMES
    assert names["xl_base"] in keys_of(SDXL)
    assert names["v1"] in keys_of(SD15)
    assert names["xl_refiner"] not in keys_of(SDXL) | keys_of(SD15)
    assert names["inpainting"] in keys_of(SDXL) & keys_of(SD15)


@pytest.mark.parametrize(
    ("family", "context", "depth", "added"),
    [(SDXL, 2048, [0, 0, 2, 2, 10, 10], 2816), (SD15, 768, [1, 1, 1, 1, 1, 1, 0, 0], None)],
    ids=lambda value: getattr(value, "name", None),
)
def test_shapes_by_which_comfyui_knows_the_families(
    family: Family, context: int, depth: list[int], added: int | None
) -> None:
    """`transformer_depth` counts the layers of each residual block on the way down."""
    shapes = {
        source.key: weights(family)["unet"][name]
        for name, (source,) in single_file_tables(family)["unet"].items()
    }
    start = "model.diffusion_model."
    widths = {shape[1] for key, shape in shapes.items() if key.endswith("attn2.to_k.weight")}
    assert widths == {context}
    blocks = [
        number
        for number in range(1, 12)
        if f"{start}input_blocks.{number}.0.in_layers.0.weight" in shapes
    ]
    assert depth == [
        sum(
            key.startswith(f"{start}input_blocks.{number}.1.transformer_blocks.")
            and key.endswith(".norm1.weight")
            for key in shapes
        )
        for number in blocks
    ]
    found = shapes.get(f"{start}label_emb.0.0.weight", (0, None))[1]
    assert found == added


def test_published_shapes_of_openclip() -> None:
    """`in_proj_weight` is q, k and v of 1280 rows each; the projection is used as x @ P."""
    table = single_file_tables(SDXL)["text_encoder_2"]
    first, layer = "conditioner.embedders.1.model.", "text_model.encoder.layers.0.self_attn."
    shapes = weights(SDXL)["text_encoder_2"]
    found = {}
    for name in (f"{layer}q_proj.weight", "text_projection.weight"):
        source = table[name][0]
        found[source.key.removeprefix(first)] = stored_shape(source.operation, shapes[name])
    assert found == {
        "transformer.resblocks.0.attn.in_proj_weight": (3840, 1280),
        "text_projection": (1280, 1280),
    }
    order = [table[f"{layer}{letter}_proj.weight"][0].operation for letter in "qkv"]
    assert order == ["first third", "second third", "last third"]


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_reading_undoes_writing(family: Family) -> None:
    for component, expected in made_up(family).items():
        table = single_file_tables(family)[component]
        file = stored(table, expected)
        for name, (source, *_) in table.items():
            array = file[source.key].numpy()
            assert canonical_shape(source.operation, array.shape) == expected[name].shape
            assert stored_shape(source.operation, expected[name].shape) == array.shape
            rows = stored_rows(source.operation, array.shape)
            part = array if rows is None else array[rows]
            found = to_canonical(source.operation, part)
            np.testing.assert_array_equal(found, expected[name], err_msg=name)


def test_projection_written_as_a_linear_is_taken_as_it_is() -> None:
    transposed, linear = single_file_tables(SDXL)["text_encoder_2"]["text_projection.weight"]
    assert (transposed.operation, linear.operation) == ("transposed", "same")
    assert linear.key == transposed.key + ".weight"


def test_old_vae_attention_names_are_known() -> None:
    sources = folder_tables(SDXL)["vae"]["decoder.mid_block.attentions.0.to_out.0.weight"]
    assert [source.key for source in sources] == [
        "decoder.mid_block.attentions.0.to_out.0.weight",
        "decoder.mid_block.attentions.0.proj_attn.weight",
    ]
