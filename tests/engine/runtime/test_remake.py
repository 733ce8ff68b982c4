"""Pictures made again from the settings in them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import MetadataError
from sakuga.engine.image.infotext import Infotext
from sakuga.engine.image.infotext_parser import parse_infotext
from sakuga.engine.image.metadata import read_infotext
from sakuga.engine.runtime.remake import with_options
from sakuga.engine.runtime.request import Request
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_TINY

A_LONG_WAY = 'a "b",\nNegative prompt: c\\\nSteps: 3, 緑 '
NOISES: list[dict[str, Any]] = [
    {"rng": "CPU"},
    {"rng": "ComfyUI", "ensd": 3},
    {"compat": "comfy", "rng": "NV"},
    {"ensd": 31337, "variation_seed": 2**64 - 1, "variation_strength": 0.1},
    {"rng": "CPU", "variation_strength": 1.0, "seed_resize": Size(136, 96)},
]
REQUESTS = [
    Request(A_LONG_WAY, A_LONG_WAY, 160, 128, 2, 5.25, "Euler", 2**64 - 1),
    Request("1girl", steps=1, width=128, height=128, seed=1),
    Request("1girl", "", steps=1, width=128, height=128, guidance=1.0, seed=1, clip_skip=2),
    Request("1girl", "x", steps=1, width=128, height=128, seed=1, compat="comfy", clip_skip=1),
    Request("1girl", steps=1, width=128, height=128, seed=1, compat="comfy"),
    Request("1girl", steps=1, width=128, height=128, seed=1, compat="diffusers"),
    Request("1girl", "", steps=1, width=128, height=128, seed=1, compat="diffusers", clip_skip=1),
    Request(
        "(cat:1.3) AND [dog|] :0.5 AND [a:b:0.5] BREAK " + "c, " * 40,
        "[low]",
        *(128, 128, 2),
        seed=1,
        emphasis="No norm",
        pad_conds=True,
    ),
    *(Request("1girl", steps=3, width=128, height=160, seed=7, **noise) for noise in NOISES),
]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("request_", REQUESTS, ids=range(len(REQUESTS)))
def test_pixels_are_the_same_to_the_byte(
    sdxl_engine: Engine, tmp_path: Path, request_: Request, suffix: str
) -> None:
    first = sdxl_engine.render(request_)
    first.save(tmp_path / f"a{suffix}")
    made = sdxl_engine.remake(read_infotext(tmp_path / f"a{suffix}"))
    assert made.notes == ()
    again = sdxl_engine.render(made.request)
    assert np.array_equal(again.pixels, first.pixels)
    assert again.parameters == first.parameters


@pytest.mark.parametrize("compat", ["a1111", "comfy", "diffusers"])
@pytest.mark.parametrize("clip_skip", [None, 1, 2])
def test_sd15_finds_the_same_layer(sd15_bundle: Bundle, compat: str, clip_skip: int | None) -> None:
    asked = Request("1girl", "x", 128, 128, 1, seed=1, compat=compat, clip_skip=clip_skip)
    with Engine.open(sd15_bundle.path, threads=1) as engine:
        first = engine.render(asked)
        again = engine.remake(parse_infotext(first.parameters))
        assert engine.resolve(again.request).layer == engine.resolve(asked).layer
        assert again.notes == ()
        assert np.array_equal(engine.render(again.request).pixels, first.pixels)


@pytest.fixture
def info(sdxl_engine: Engine) -> Infotext:
    """What a small picture of the tiny bundle says."""
    picture = sdxl_engine.render(Request("1girl", width=128, height=128, steps=1, seed=1))
    return parse_infotext(picture.parameters)


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    """A folder with one for sdxl-tiny."""
    generator = np.random.default_rng(0)
    keys = zip(("clip_l", "clip_g"), SDXL_TINY.text_encoders, strict=True)
    tensors = {
        key: generator.standard_normal((3, encoder.hidden)).astype(np.float32)
        for key, encoder in keys
    }
    save_file(tensors, tmp_path / "easynegative.safetensors")
    return tmp_path


def test_a_picture_says_what_computed_it(sdxl_engine: Engine, info: Infotext) -> None:
    manifest = sdxl_engine.bundle.manifest
    assert (info.precision, info.bundle) == ("float32", manifest.bundle_hash)
    assert info.backend is not None and info.backend.startswith("onnxruntime 1.")
    assert info.backend.endswith(" cpu")
    assert info.version is not None and info.version.startswith("sakuga ")
    assert info.clip_skip is None and info.rng == "NV" and info.extra == {}


def test_another_build_of_the_model_is_a_note(
    sdxl_fp16_bundle: Bundle, sdxl_bundle: Bundle, info: Infotext
) -> None:
    with Engine.open(sdxl_fp16_bundle.path, threads=1) as engine:
        (note,) = engine.remake(info).notes
    assert "Precision float32, here float16" in note
    assert f"Bundle {sdxl_bundle.manifest.bundle_hash}, here" in note
    assert "Backend" not in note and "last digits" in note


def test_another_model_is_refused(sd15_bundle: Bundle, info: Infotext) -> None:
    with Engine.open(sd15_bundle.path, threads=1) as engine:
        with pytest.raises(MetadataError, match="cannot be made again") as caught:
            engine.remake(info)
        assert str(info.model_hash) in caught.value.note
        assert sd15_bundle.manifest.checkpoint.model_hash in caught.value.note
        assert "--ignore model" in caught.value.hint
        made = engine.remake(info, ignore=["Model"])
        assert made.request.prompt == "1girl" and "Left out" in made.notes[0]


@pytest.mark.parametrize(
    ("change", "words", "topic"),
    [
        ({"sampler": "DPM++ 9M"}, "Sampler DPM++ 9M", "sampler"),
        ({"schedule": "Turbo"}, "Schedule type Turbo", "schedule"),
        ({"compat": "invoke"}, "Compat invoke", "compat"),
        ({"rng": "TPU"}, "RNG TPU", "rng"),
        ({"variation_strength": 0.5}, "Variation seed is not told", "variation"),
        ({"vae": "kl-f8-anime2"}, "VAE kl-f8-anime2", "vae"),
        ({"loras": {"thick": "0a1b"}}, "Lora hashes thick: 0a1b", "lora"),
        ({"embeddings": {"easy": "0a1b"}}, "TI hashes easy: 0a1b", "ti"),
        ({"emphasis": "Loud"}, "Emphasis Loud", "emphasis"),
        ({"extra": {"Hires upscale": "2", "Hires upscaler": "DAT"}}, "Hires upscaler DAT", "hires"),
        ({"extra": {"ADetailer model": "face.pt"}}, "ADetailer model face.pt", "adetailer"),
        ({"extra": {"Denoising strength": "0.5"}}, "Denoising strength 0.5", "denoising"),
    ],
    ids=str,
)
def test_what_cannot_be_made_is_listed(
    sdxl_engine: Engine, info: Infotext, change: dict[str, object], words: str, topic: str
) -> None:
    asked = replace(info, **change)
    with pytest.raises(MetadataError) as caught:
        sdxl_engine.remake(asked, ignore=["model"])
    assert words in caught.value.note and f"--ignore {topic} leaves" in caught.value.hint
    made = sdxl_engine.remake(asked, ignore=[topic])
    assert words in made.notes[0]
    sdxl_engine.resolve(made.request)


def test_emphasis_and_padding_are_followed(sdxl_engine: Engine, info: Infotext) -> None:
    assert sdxl_engine.remake(info).request.emphasis is None
    made = sdxl_engine.remake(replace(info, emphasis="No norm", pad_conds=True)).request
    assert (made.emphasis, made.pad_conds) == ("No norm", True)
    other = sdxl_engine.remake(replace(info, compat="comfy", pad_conds=True)).request
    assert not other.pad_conds
    sdxl_engine.resolve(other)


def test_embeddings_are_followed_where_they_are_the_same(
    sdxl_bundle: Bundle, embeddings: Path, info: Infotext
) -> None:
    with Engine.open(sdxl_bundle.path, threads=1, embeddings=embeddings) as engine:
        request = engine.remake(info).request
        picture = engine.render(replace(request, prompt="1girl, easynegative"))
        plain = engine.render(request)
        said = parse_infotext(picture.parameters)
        assert list(said.embeddings) == ["easynegative"]
        assert parse_infotext(plain.parameters).embeddings == {}
        again = engine.render(engine.remake(said).request)
        assert np.array_equal(again.pixels, picture.pixels)
        assert not np.array_equal(plain.pixels, picture.pixels)
        with pytest.raises(MetadataError, match="cannot be made again"):
            engine.remake(replace(said, embeddings={"easynegative": "0a1b"}))
    with Engine.open(sdxl_bundle.path, threads=1) as engine:
        with pytest.raises(MetadataError, match="cannot be made again") as caught:
            engine.remake(said)
        assert "TI hashes easynegative: " in caught.value.note
        assert "--ignore ti leaves" in caught.value.hint


def test_everything_is_listed_at_once(sdxl_engine: Engine, info: Infotext) -> None:
    extra = {"Hires checkpoint": "2", "User": "me", "Tiling": "True"}
    asked = replace(info, model_hash="0123456789", sampler="x", extra=extra)
    with pytest.raises(MetadataError) as caught:
        sdxl_engine.remake(asked)
    assert "--ignore model,sampler,hires,tiling leaves" in caught.value.hint
    assert "User" not in caught.value.note


def test_pictures_of_other_tools_come_with_a_note(sdxl_engine: Engine, info: Infotext) -> None:
    made = sdxl_engine.remake(replace(info, version="v1.10.1", rng="GPU", bundle=None))
    assert [note.split()[0] for note in made.notes] == ["v1.10.1", "Its"]
    assert made.request.clip_skip == 1
    unnamed = sdxl_engine.remake(replace(info, version=None, model_hash=None))
    assert "does not say which model" in unnamed.notes[0]
    assert unnamed.notes[1].startswith("Another tool made")


def test_a_picture_of_a1111_tells_its_noise(sdxl_engine: Engine, info: Infotext) -> None:
    assert sdxl_engine.remake(replace(info, rng="GPU")).request.rng == "NV"
    text = (
        "1girl\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 128x128, "
        "Variation seed: 8, Variation seed strength: 0.3, Seed resize from: 96x160, "
        "ENSD: 31337, RNG: CPU, Version: v1.10.1"
    )
    asked = sdxl_engine.remake(parse_infotext(text)).request
    assert (asked.seed, asked.rng, asked.ensd) == (5, "CPU", 31337)
    assert (asked.variation_seed, asked.variation_strength) == (8, 0.3)
    assert asked.seed_resize == Size(96, 160)
    again = parse_infotext(sdxl_engine.render(replace(asked, steps=1)).parameters)
    assert (again.variation_seed, again.variation_strength, again.rng) == (8, 0.3, "CPU")
    assert again.seed_resize == Size(96, 160)
    assert again.ensd == 0  # a single step adds no noise


def test_a_variation_is_told_only_where_there_is_one(sdxl_engine: Engine) -> None:
    asked = Request("", steps=1, width=128, height=128, variation_seed=3, variation_strength=0)
    assert "Variation" not in sdxl_engine.render(asked).parameters


def test_options_take_the_place_of_settings(sdxl_engine: Engine, info: Infotext) -> None:
    changed = with_options(info, {"width": 160, "seed": 2, "negative_prompt": "x"})
    assert changed == replace(info, size=Size(160, 128), seed=2, negative_prompt="x")
    zeroed = replace(info, compat="diffusers", negative_zeroed=True)
    assert sdxl_engine.remake(zeroed).request.negative_prompt is None
    given = with_options(zeroed, {"negative_prompt": "x"})
    assert sdxl_engine.remake(given).request.negative_prompt == "x"
    varied = with_options(info, {"variation_strength": 0.5})
    assert varied.variation_seed is not None
    assert sdxl_engine.remake(varied).request.variation_seed == varied.variation_seed


def test_a_lora_that_is_left_out_is_left_out_of_the_prompt(sdxl_engine: Engine) -> None:
    prompt = "1girl <lora:kosame:0.8>, night"
    info = Infotext(
        prompt=prompt, steps=1, sampler="Euler", guidance=5.0, seed=1, size=Size(128, 128),
        loras={"kosame": "ec914199806f"},
    )  # fmt: skip
    with pytest.raises(MetadataError, match="--ignore lora"):
        sdxl_engine.remake(info)
    made = sdxl_engine.remake(info, ignore=["lora"])
    assert made.request.prompt == "1girl , night"
    assert sdxl_engine.render(made.request).pixels.std() > 5
