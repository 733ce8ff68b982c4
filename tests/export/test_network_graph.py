"""Which graph and precision each network gets."""

from typing import Literal

import pytest

from sakuga.engine.manifest import AxisEntry
from sakuga.export.network_graph import NetworkGraph, network_graphs
from sakuga.profiles.families import FAMILIES, SDXL, SDXL_TINY, Family
from sakuga.profiles.networks import networks
from sakuga.profiles.weights import weights

Precision = Literal["fp32", "fp16"]


def plans_of(family: Family, precision: Precision) -> dict[str, NetworkGraph]:
    return {plan.network.name: plan for plan in network_graphs(family, "onnx", precision)}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_every_network_has_a_plan(family: Family) -> None:
    assert list(plans_of(family, "fp32")) == list(networks(family))


def test_fp32_means_every_network() -> None:
    assert {plan.precision for plan in plans_of(SDXL_TINY, "fp32").values()} == {"float32"}


def test_fp16_leaves_the_vae_in_float32() -> None:
    precisions = {name: plan.precision for name, plan in plans_of(SDXL_TINY, "fp16").items()}
    assert precisions == {
        "text_encoder": "float16",
        "text_encoder_2": "float16",
        "unet": "float16",
        "vae_decoder": "float32",
        "vae_encoder": "float32",
    }


def test_both_halves_of_the_vae_read_one_component() -> None:
    plans = plans_of(SDXL_TINY, "fp32")
    assert {name: plan.component for name, plan in plans.items()} == {
        "text_encoder": "text_encoder",
        "text_encoder_2": "text_encoder_2",
        "unet": "unet",
        "vae_decoder": "vae",
        "vae_encoder": "vae",
    }


@pytest.mark.parametrize("precision, item_bytes", [("fp32", 4), ("fp16", 2)])
def test_the_size_of_a_full_unet_is_known_before_it_is_built(
    precision: Precision, item_bytes: int
) -> None:
    parameters = 0
    for shape in weights(SDXL)["unet"].values():
        count = 1
        for side in shape:
            count *= side
        parameters += count
    assert parameters == 2_567_463_684  # published for SDXL base 1.0
    plain = next(g for g in network_graphs(SDXL, "rtx", precision) if g.network.name == "unet")
    assert plain.size_bytes == item_bytes * parameters
    # In float32 4 · 2 · 2 taps instead of 3 · 3 in both upsamplers, of 1280 and 640 channels.
    folded = 7 * (1280**2 + 640**2) if precision == "fp32" else 0
    assert plans_of(SDXL, precision)["unet"].size_bytes == item_bytes * (parameters + folded)


def test_the_manifest_entry_says_what_crosses_the_border() -> None:
    plan = plans_of(SDXL_TINY, "fp16")["unet"]
    entry = plan.entry()
    assert entry.graph == "onnx/unet/model.onnx"
    assert entry.precision == "float16"
    assert {tensor.name: tensor.dtype for tensor in entry.inputs} == {
        "sample": "float16",
        "timestep": "float32",
        "encoder_hidden_states": "float16",
        "text_embeds": "float32",
        "time_ids": "float32",
    }
    assert [(t.name, t.dtype, t.dims) for t in entry.outputs] == [
        ("noise_pred", "float16", ("rows", 4, "latent_height", "latent_width"))
    ]
    assert entry.axes == {
        "rows": AxisEntry(1, 63, 1),
        "context": AxisEntry(77, 231, 77),
        "latent_height": AxisEntry(16, 64, 4),
        "latent_width": AxisEntry(16, 64, 4),
    }
