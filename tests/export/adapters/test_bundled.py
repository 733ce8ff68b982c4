"""Textual inversions in a LoRA's file: a bundle keeps them, and prompts say their names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import TensorError, UsageError
from sakuga.engine.image.infotext_parser import parse_infotext
from sakuga.engine.runtime.defaults import bundle_embeddings
from sakuga.engine.runtime.request import Request
from sakuga.export.adapters.choice import LoraChoice
from sakuga.export.adapters.stack import open_loras
from sakuga.export.build import BuildOptions, build
from sakuga.profiles.families import SD15_TINY, SDXL_TINY, Family

WriteLora = Callable[..., Path]
Tensors = dict[str, torch.Tensor]

L, G = SDXL_TINY.text_encoders
(ONE,) = SD15_TINY.text_encoders


def adapter(width: int = 96) -> Tensors:
    key = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    return {
        f"{key}.lora_up.weight": torch.ones(64, 1),
        f"{key}.lora_down.weight": torch.ones(1, width),
    }


def easy(seed: int = 0, name: str = "easy") -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {
        f"bundle_emb.{name}.{encoder}": torch.randn(2, width, generator=generator)
        for encoder, width in (("clip_l", L.hidden), ("clip_g", G.hidden))
    }


def build_with(model: Path, out: Path, *loras: Path) -> Bundle:
    return build(model, out, BuildOptions(backend="onnx", loras=tuple(map(LoraChoice, loras))))


@pytest.fixture
def bundle(sdxl_file: Path, tmp_path: Path, write_lora: WriteLora) -> Bundle:
    return build_with(sdxl_file, tmp_path / "b", write_lora(adapter() | easy(), "girl"))


def test_a_bundle_keeps_them(bundle: Bundle, sdxl_bundle: Bundle) -> None:
    assert bundle.manifest.loras[0].embeddings == ("easy",)
    assert bundle.manifest.loras[0].unmatched == ()
    (found, _) = bundle_embeddings(open_bundle(bundle.path), None).called("easy")
    for encoder, given in zip((L, G), easy().values(), strict=True):
        np.testing.assert_array_equal(found.vectors[encoder.name], given.numpy())
    assert sdxl_bundle.embeddings is None and bundle_embeddings(sdxl_bundle, None).hashes == {}


def test_prompts_say_their_names(bundle: Bundle) -> None:
    def asked(prompt: str, compat: str = "a1111") -> Request:
        return Request(prompt, "", 128, 128, 2, 5.0, seed=1, compat=compat)

    with Engine.open(bundle.path, threads=1) as engine:
        picture = engine.render(asked("1girl, easy"))
        (digest,) = bundle_embeddings(bundle, None).hashes.values()
        assert f"TI hashes: easy: {digest}" in picture.parameters.replace('"', "")
        again = engine.remake(parse_infotext(picture.parameters))
        assert np.array_equal(engine.render(again.request).pixels, picture.pixels)
        word = engine.render(asked("1girl, easy", "comfy"))
        vectors = engine.render(asked("1girl, embedding:easy", "comfy"))
        assert not np.array_equal(word.pixels, vectors.pixels)


def test_a_folder_s_goes_before_the_bundle_s(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "embeddings"
    folder.mkdir()
    (folder / "easy.pt").write_bytes(b"damaged")
    assert bundle_embeddings(bundle, folder).called("easy")[0].count == 2
    given = {"clip_l": torch.ones(3, L.hidden), "clip_g": torch.ones(3, G.hidden)}
    torch.save(given, folder / "easy.pt")
    assert bundle_embeddings(bundle, folder).called("easy")[0].count == 3


def test_sd15_s(sd15_file: Path, tmp_path: Path, write_lora: WriteLora) -> None:
    given = torch.randn(1, ONE.hidden).half()
    tensors = adapter(ONE.hidden) | {"bundle_emb.easy.string_to_param.*": given}
    bundle = build_with(sd15_file, tmp_path / "b", write_lora(tensors))
    assert bundle.embeddings is not None
    (found,) = load_file(bundle.embeddings).values()
    np.testing.assert_array_equal(found, given.float().numpy())


@pytest.mark.parametrize(
    ("family", "tensors"),
    [
        (SDXL_TINY, {"easy.clip_l": (1, 32)}),
        (SDXL_TINY, {"easy.clip_l": (1, 32), "easy.clip_g": (2, 64)}),
        (SDXL_TINY, {"easy.string_to_param.*": (1, 32)}),
        (SDXL_TINY, {".clip_l": (1, 32), ".clip_g": (1, 64)}),
        (SD15_TINY, {"easy.string_to_param.*": (1, 33)}),
        (SD15_TINY, {"easy": (1, 32, 1)}),
        (SD15_TINY, {"easy.string_to_param.*": (76, 32)}),
        (SD15_TINY, {"easy.string_to_param.*": (1 << 16, 32)}),
    ],
    ids=str,
)
def test_what_is_none_for_the_family_is_listed(
    write_lora: WriteLora, family: Family, tensors: dict[str, tuple[int, ...]]
) -> None:
    given = {f"bundle_emb.{key}": torch.zeros(shape) for key, shape in tensors.items()}
    choice = LoraChoice(write_lora(adapter(family.unet.context) | given))
    with open_loras([choice], family, strict=False) as loras:
        assert loras.entries[0].unmatched == tuple(sorted(given))
        assert loras.entries[0].embeddings == () and loras.embeddings == {}
    with (
        pytest.raises(TensorError, match="mean nothing to"),
        open_loras([choice], family, strict=True),
    ):
        pass


def test_numbers_that_are_none_are_listed(write_lora: WriteLora) -> None:
    whole = {key: torch.ones(tensor.shape, dtype=torch.int32) for key, tensor in easy().items()}
    lost = {key: torch.full(tensor.shape, torch.nan) for key, tensor in easy(name="b").items()}
    choice = LoraChoice(write_lora(adapter() | whole | lost))
    with open_loras([choice], SDXL_TINY, strict=False) as loras:
        assert set(loras.entries[0].unmatched) == whole.keys() | lost.keys()


def test_two_loras_may_bring_the_same_but_not_different_ones(write_lora: WriteLora) -> None:
    one, two, three = (
        LoraChoice(write_lora(adapter() | easy(seed), f"lora{number}"))
        for number, seed in enumerate((0, 0, 1))
    )
    with open_loras([one, two], SDXL_TINY, strict=True) as loras:
        assert list(loras.embeddings) == ["easy"]
    with (
        pytest.raises(UsageError, match="Two LoRAs bring an embedding called easy") as caught,
        open_loras([one, three], SDXL_TINY, strict=True),
    ):
        pass
    assert str(three.path) in caught.value.note
