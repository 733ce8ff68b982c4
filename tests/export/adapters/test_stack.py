"""LoRAs of a build: what is merged, in what order, what is told of them, what is refused."""

import hashlib
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import (
    CheckpointError,
    FileFormatError,
    SakugaError,
    TensorError,
    UnknownFamilyError,
    UsageError,
)
from sakuga.export.adapters.choice import LoraChoice
from sakuga.export.adapters.stack import open_loras
from sakuga.export.assemble import unchanged
from sakuga.export.build import BuildOptions, build
from sakuga.export.demo import DEMO_CHECKPOINT, DEMO_LORA
from sakuga.profiles.families import SD15, SD15_TINY, SDXL, SDXL_TINY, Family
from sakuga.profiles.weights import weights

WriteLora = Callable[..., Path]
Tensors = dict[str, torch.Tensor]

KEY = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
NAME = "unet/down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight"
TEXT = "lora_te1_text_model_encoder_layers_0_mlp_fc1"


def pair(module: str = KEY, out: int = 64, width: int = 96) -> Tensors:
    generator = torch.Generator().manual_seed(out)
    return {
        f"{module}.lora_up.weight": torch.randn(out, 2, generator=generator),
        f"{module}.lora_down.weight": torch.randn(2, width, generator=generator),
    }


def refused(
    path: Path, family: Family = SDXL_TINY, kind: type[SakugaError] = TensorError
) -> SakugaError:
    """The error of opening a LoRA, which must say what, the facts and what to do."""
    with pytest.raises(kind) as caught, open_loras([LoraChoice(path)], family, strict=False):
        pass
    assert type(caught.value) is kind and caught.value.hint and str(path) in caught.value.what
    return caught.value


def test_dora_follows_the_order_given(write_lora: WriteLora) -> None:
    one = write_lora(pair(), "one")
    two = write_lora(pair() | {f"{KEY}.dora_scale": torch.full((64, 1), 3.0)}, "two")
    values = np.ones((64, 96), np.float32)
    results = []
    for files in ((one, two), (two, one)):
        with open_loras([LoraChoice(file) for file in files], SDXL_TINY, strict=True) as loras:
            results.append(loras.before(unchanged)(NAME, values))
    lengths = [np.linalg.norm(result, axis=1) for result in results]
    assert np.allclose(lengths[0], 3) and not np.allclose(lengths[1], 3)


def test_a_zero_row_has_no_direction_and_stays(write_lora: WriteLora) -> None:
    lora = write_lora({f"{KEY}.diff": torch.zeros(64, 96), f"{KEY}.dora_scale": torch.ones(64, 1)})
    with open_loras([LoraChoice(lora)], SDXL_TINY, strict=True) as loras:
        assert not loras.before(unchanged)(NAME, np.zeros((64, 96), np.float32)).any()


def test_tensors_without_a_change_come_as_they_are(write_lora: WriteLora) -> None:
    values = np.ones((64, 96), np.float16)
    with open_loras([LoraChoice(write_lora(pair()))], SDXL_TINY, strict=True) as loras:
        assert loras.before(unchanged)("unet/conv_in.weight", values) is values
        assert values.all()


def test_a_file_is_never_in_memory_as_a_whole(write_lora: WriteLora) -> None:
    """Twenty large differences, of which one is merged."""
    shapes = weights(SDXL)["unet"].items()
    linear = [name for name, shape in shapes if shape == (640, 640)][:20]
    file = write_lora({f"unet.{name[:-7]}.diff": torch.ones(640, 640) for name in linear})
    values = np.ones((640, 640), np.float32)
    tracemalloc.start()
    with open_loras([LoraChoice(file)], SDXL, strict=True) as loras:
        found = loras.before(unchanged)(f"unet/{linear[7]}", values)
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found == 2).all() and peak < file.stat().st_size / 2


def test_weight_zero_changes_no_byte(sdxl_file: Path, sdxl_bundle: Bundle, tmp_path: Path,
                                     write_lora: WriteLora) -> None:  # fmt: skip
    lora = write_lora(pair() | pair(TEXT, 128, 32))
    for text, unet, changed in (
        (0, 0, set[str]()),
        (0, 1, {"unet"}),
        (0.5, 0, {"text_encoder"}),
        (1, -1, {"text_encoder", "unet"}),
    ):
        options = BuildOptions(backend="onnx", loras=(LoraChoice(lora, text, unet),))
        built = build(sdxl_file, tmp_path / "b", options).manifest
        before = sdxl_bundle.manifest.files
        assert {name for name in before if built.files[name] != before[name]} == {
            f"onnx/{network}/weights.bin" for network in changed
        }
        assert (built.bundle_hash == sdxl_bundle.manifest.bundle_hash) == (not changed)


def test_the_manifest_tells_of_them(write_lora: WriteLora, tmp_path: Path) -> None:
    easy = {
        "bundle_emb.easy.clip_l": torch.ones(1, 32),
        "bundle_emb.easy.clip_g": torch.ones(1, 64),
    }
    tensors = pair() | easy | {"bundle_emb.odd.string_to_param.*": torch.ones(1, 32)}
    file = write_lora(tensors | pair("lora_unet_nowhere") | {"what": torch.ones(1)}, "a b.v2")
    with open_loras([LoraChoice(file, 0.5, 2)], SDXL_TINY, strict=False) as loras:
        (entry,) = loras.entries
    data = file.read_bytes()
    payload = data[8 + int.from_bytes(data[:8], "little") :]
    assert entry.name == "a b.v2" and (entry.text_weight, entry.unet_weight) == (0.5, 2)
    assert entry.sha256 == hashlib.sha256(data).hexdigest()
    assert entry.hash == hashlib.sha256(payload).hexdigest()[:12]
    assert entry.embeddings == ("easy",)
    assert entry.unmatched == (
        "bundle_emb.odd.string_to_param.*",
        "lora_unet_nowhere.lora_down.weight",
        "lora_unet_nowhere.lora_up.weight",
        "what",
    )


@pytest.mark.parametrize("stated", ["0A1b2c3d4e5f" + "0" * 52, "no hash"])
def test_kohya_s_own_hash_comes_first(write_lora: WriteLora, stated: str) -> None:
    file = write_lora(pair(), metadata={"sshs_model_hash": stated})
    with open_loras([LoraChoice(file)], SDXL_TINY, strict=True) as loras:
        found = loras.entries[0].hash
    assert re.fullmatch("[0-9a-f]{12}", found)
    assert (found == "0a1b2c3d4e5f") == (stated != "no hash")


def test_strict_refuses_a_part_that_means_nothing(write_lora: WriteLora) -> None:
    file = write_lora(pair() | pair("lora_unet_nowhere"))
    with (
        pytest.raises(TensorError, match=r"2 keys of .*lora\.safetensors mean nothing") as caught,
        open_loras([LoraChoice(file)], SDXL_TINY, strict=True),
    ):
        pass
    assert "lora_unet_nowhere.lora_up.weight" in caught.value.note


def test_two_of_one_name_are_refused(write_lora: WriteLora, tmp_path: Path) -> None:
    choice = LoraChoice(write_lora(pair()))
    with pytest.raises(UsageError, match="2 LoRAs are named lora"):  # noqa: SIM117
        with open_loras([choice, choice], SDXL_TINY, strict=False):
            pass


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_is_a_number(write_lora: WriteLora, weight: float) -> None:
    with (
        pytest.raises(UsageError, match="no finite number"),
        open_loras([LoraChoice(write_lora(pair()), 1, weight)], SDXL_TINY, strict=False),
    ):
        pass


def test_no_file(tmp_path: Path) -> None:
    assert "--lora FILE:0.8" in refused(tmp_path / "a:b", kind=CheckpointError).hint


def test_no_safetensors(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"PK\x03\x04 and so on")
    refused(tmp_path / "a.pt", kind=FileFormatError)


@pytest.mark.parametrize(
    ("tensors", "what"),
    [
        ({"encoder.conv_in.weight": (8, 3, 3, 3)}, "is a VAE, not a LoRA"),
        ({"emb_params": (2, 32)}, "is a textual inversion embedding, not a LoRA"),
        ({"clip_l": (2, 32), "clip_g": (2, 64)}, "is a textual inversion embedding, not a LoRA"),
        ({f"{KEY}.dora_scale": (2, 2)}, "is an adapter of a kind Sakuga does not merge"),
        ({f"{KEY}.oft_diag": (2, 2, 2)}, "is the OFT of LyCORIS before its blocks, a kind of"),
        ({"base_model.model.a.oft_R.weight": (2, 6)}, "is PEFT's OFT, a kind of adapter"),
        ({"base_model.model.a.boft_R": (1, 2, 2, 2)}, "is PEFT's BOFT, a kind of adapter"),
        ({"base_model.model.a.ia3_l": (1, 2)}, "is PEFT's IA3, a kind of adapter"),
        ({"base_model.model.a.vera_lambda_b": (2,)}, "is VeRA, a kind of adapter"),
        ({"x": (1,)}, "is not a LoRA"),
        ({}, "is not a LoRA"),
    ],
    ids=str,
)
def test_something_else(
    write_lora: WriteLora, tensors: dict[str, tuple[int, ...]], what: str
) -> None:
    file = write_lora({key: torch.ones(shape) for key, shape in tensors.items()})
    assert what in refused(file, kind=UnknownFamilyError).what


def test_a_checkpoint() -> None:
    error = refused(DEMO_CHECKPOINT, kind=UnknownFamilyError)
    assert "is a checkpoint, not a LoRA" in error.what and "MODEL" in error.hint


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (pair(out=64, width=95), f"{KEY}.lora_up.weight [64, 2]"),
        (pair(out=63, width=96), f"give [63, 96], {NAME} is [64, 96]"),
        ({f"{KEY}.lora_up.weight": torch.ones(64, 2)}, "down is missing"),
        (
            {
                f"{KEY}.lora_up.weight": torch.ones(64, 3),
                f"{KEY}.lora_down.weight": torch.ones(2, 96),
            },
            "do not go together",
        ),
        (pair() | {f"{KEY}.alpha": torch.ones(2)}, "alpha is one number"),
        (pair() | {f"{KEY}.dora_scale": torch.ones(7, 1)}, "dora_scale [7, 1]"),
        ({f"{KEY}.diff": torch.ones(96, 64)}, "give [96, 64]"),
        ({f"{KEY}.lokr_w1": torch.ones(8, 8), f"{KEY}.lokr_w2": torch.ones(8, 8)}, "give [64, 64]"),
        ({f"{KEY}.hada_w1_a": torch.ones(64, 2)}, "w1_b is missing"),
        ({f"{KEY}.oft_blocks": torch.ones(4, 8, 8)}, "blocks [4, 8, 8] for 64 outputs"),
        ({f"{KEY}.oft_blocks": torch.ones(8, 8, 4)}, "square blocks"),
        ({f"{KEY}.oft_blocks": torch.ones(8, 8)}, "square blocks"),
        ({f"{KEY}.oft_blocks": torch.ones(5, 8, 8, 8)}, "5 layers of blocks of 8"),
        (
            {f"{KEY}.oft_blocks": torch.ones(8, 8, 8), f"{KEY}.rescale": torch.ones(3)},
            "rescale [3] for 64 outputs",
        ),
        ({f"{KEY}.set_weight": torch.ones(96, 64)}, "give [96, 64]"),
        ({f"{KEY}.a1.weight": torch.ones(96, 2)}, "a2, b1, b2 missing"),
        ({f"{KEY}.weight": torch.ones(7), f"{KEY}.on_input": torch.tensor(1)}, "7 factors"),
        ({f"{KEY}.on_input": torch.tensor(1)}, "a factor and on_input make IA3"),
        ({f"{TEXT}.diff_b": torch.ones(3)} | pair(), "text_model.encoder.layers.0.mlp.fc1.bias"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_shapes_that_do_not_fit(write_lora: WriteLora, tensors: Tensors, words: str) -> None:
    assert words in refused(write_lora(tensors)).note


@pytest.mark.parametrize(
    ("tensors", "family", "origin"),
    [
        (pair(KEY, 640, 768), SDXL, "Stable Diffusion 1.x"),
        (pair(KEY, 640, 1024), SDXL, "Stable Diffusion 2.x"),
        (pair(KEY, 640, 2048), SD15, "SDXL"),
        (pair("lora_te_text_model_encoder_layers_0_mlp_fc1"), SDXL, "Stable Diffusion 1.x"),
        (pair("lora_te2_text_model_encoder_layers_0_mlp_fc1"), SD15, "SDXL"),
        (pair("lora_unet_double_blocks_0_img_attn_proj"), SDXL, "a transformer"),
        (pair("transformer.transformer_blocks.0.attn.to_q"), SDXL, "a transformer"),
    ],
    ids=str,
)
def test_another_family(
    write_lora: WriteLora, tensors: Tensors, family: Family, origin: str
) -> None:
    error = refused(write_lora(tensors), family, UnknownFamilyError)
    assert f"It seems made for {origin}" in error.note


def test_metadata_tell_where_nothing_else_does(write_lora: WriteLora) -> None:
    base = {"ss_base_model_version": "sdxl_base_v1-0"}
    error = refused(write_lora(pair("x"), metadata=base), SD15_TINY, UnknownFamilyError)
    assert "It seems made for SDXL" in error.note and "x" in error.note
    assert "seems" not in refused(write_lora(pair("x")), SD15_TINY, UnknownFamilyError).note


@pytest.mark.parametrize("part", ["lora_up.weight", "lora_down.weight", "alpha"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite(
    write_lora: WriteLora, sdxl_file: Path, tmp_path: Path, part: str, value: float
) -> None:
    tensors = pair() | {f"{KEY}.alpha": torch.tensor(1.0)}
    tensors[f"{KEY}.{part}"].reshape(-1)[-1] = value
    options = BuildOptions(backend="onnx", loras=(LoraChoice(write_lora(tensors)),))
    with pytest.raises(TensorError, match=rf"{KEY}\.{part} of .* holds NaN or infinity"):
        build(sdxl_file, tmp_path / "b", options)
    assert [path.name for path in tmp_path.iterdir()] == ["lora.safetensors"]


def test_a_merge_that_overflows_is_told(write_lora: WriteLora) -> None:
    file = write_lora({key: value * 1e30 for key, value in pair().items()})
    with open_loras([LoraChoice(file)], SDXL_TINY, strict=True) as loras:  # noqa: SIM117
        with pytest.raises(TensorError, match="overflows with"):
            loras.before(unchanged)(NAME, np.ones((64, 96), np.float32))


def test_ia3_says_on_which_side_it_is_before_it_is_read(write_lora: WriteLora) -> None:
    file = write_lora({f"{KEY}.weight": torch.ones(64), f"{KEY}.on_input": torch.tensor(1)})
    with open_loras([LoraChoice(file)], SDXL_TINY, strict=True) as loras:  # noqa: SIM117
        with pytest.raises(TensorError, match="does not fit"):
            loras.before(unchanged)(NAME, np.ones((64, 96), np.float32))


def test_a_broken_config_of_peft_is_told(write_lora: WriteLora) -> None:
    file = write_lora(pair(), metadata={"lora_adapter_metadata": "["})
    with open_loras([LoraChoice(file)], SDXL_TINY, strict=True) as loras:  # noqa: SIM117
        with pytest.raises(FileFormatError, match="lora_adapter_metadata"):
            loras.before(unchanged)(NAME, np.ones((64, 96), np.float32))


def test_peft_s_config_lies_beside_its_own_files(write_lora: WriteLora, tmp_path: Path) -> None:
    module = f"base_model.model.{NAME.removeprefix('unet/').removesuffix('.weight')}"
    up, down = pair().values()
    file = write_lora({f"{module}.lora_B.weight": up, f"{module}.lora_A.weight": down})
    (tmp_path / "adapter_config.json").write_text('{"r": 2, "lora_alpha": 6}')
    values = np.zeros((64, 96), np.float32)
    with open_loras([LoraChoice(file)], SDXL_TINY, strict=True) as loras:
        found = loras.before(unchanged)(NAME, values)
    assert np.allclose(found, 3 * (up @ down).numpy(), rtol=1e-5, atol=1e-5)


def test_the_demo_s_own_lora_fits_in_full(tmp_path: Path) -> None:
    options = BuildOptions(backend="onnx", loras=(LoraChoice(DEMO_LORA),), strict_loras=True)
    (entry,) = build("demo", tmp_path / "b", options).manifest.loras
    assert entry.name == "kosame" and entry.unmatched == () and entry.unet_weight == 1
