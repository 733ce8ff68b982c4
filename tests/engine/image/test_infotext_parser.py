"""A1111's text read: what other tools wrote, and everything that Sakuga writes."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import MetadataError
from sakuga.engine.image.infotext import Infotext, write_infotext
from sakuga.engine.image.infotext_parser import parse_infotext, split_parameters
from sakuga.profiles.buckets import Size

SHORT = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x512"
USUAL = Infotext(
    prompt="", steps=20, sampler="Euler a", guidance=7, seed=965400086, size=Size(512, 512)
)

A1111 = """1girl, (solo:1.2),
green hair
Negative prompt: nsfw, lowres,
(bad)
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 42, Size: 832x1216, \
Model hash: e3c47aedb0, Model: animagine-xl-3.1, VAE hash: 235745af8d, VAE: sdxl.safetensors, \
Variation seed: 7, Variation seed strength: 0.1, Seed resize from: 512x768, \
Denoising strength: 0.5, Clip skip: 2, ENSD: 31337, RNG: CPU, \
ADetailer model: face_yolov8n.pt, ADetailer prompt: "a, \\"b\\": c", ADetailer confidence: 0.3, \
Hires upscale: 2, Hires steps: 10, Hires upscaler: DAT x2, Eta: 0.67, \
Lora hashes: "thick: 0a1b2c3d4e5f, flat: 112233445566", TI hashes: "easynegative: c74b4e810b03", \
Emphasis: No norm, Version: v1.10.1, Hashes: {"model": "e3c47aedb0", "lora:thick": "99"}"""


def test_a_whole_text_of_a1111() -> None:
    assert parse_infotext(A1111) == Infotext(
        prompt="1girl, (solo:1.2),\ngreen hair",
        negative_prompt="nsfw, lowres,\n(bad)",
        steps=28,
        sampler="DPM++ 2M",
        schedule="Karras",
        guidance=7.5,
        seed=42,
        size=Size(832, 1216),
        model_hash="e3c47aedb0",
        model="animagine-xl-3.1",
        vae_hash="235745af8d",
        vae="sdxl.safetensors",
        variation_seed=7,
        variation_strength=0.1,
        seed_resize=Size(512, 768),
        clip_skip=2,
        ensd=31337,
        rng="CPU",
        eta=0.67,
        loras={"thick": "0a1b2c3d4e5f", "flat": "112233445566"},
        embeddings={"easynegative": "c74b4e810b03"},
        emphasis="No norm",
        extra={
            "Denoising strength": "0.5",
            "ADetailer model": "face_yolov8n.pt",
            "ADetailer prompt": 'a, "b": c',
            "ADetailer confidence": "0.3",
            "Hires upscale": "2",
            "Hires steps": "10",
            "Hires upscaler": "DAT x2",
        },
        version="v1.10.1",
    )


def test_missing_keys_mean_a1111s_defaults() -> None:
    assert parse_infotext(SHORT) == USUAL
    assert (USUAL.rng, USUAL.schedule, USUAL.emphasis) == ("GPU", "Automatic", "Original")
    assert (USUAL.ensd, USUAL.variation_strength, USUAL.clip_skip) == (0, 0, None)


@pytest.mark.parametrize(
    ("name", "sampler", "schedule"),
    [
        ("DPM++ 2M Karras", "DPM++ 2M", "Karras"),
        ("DPM++ 3M SDE Exponential", "DPM++ 3M SDE", "Exponential"),
        ("Euler SGM Uniform", "Euler", "SGM Uniform"),
        ("Euler a", "Euler a", "Automatic"),
        ("DDIM", "DDIM", "Automatic"),
        ("Karras", "Karras", "Automatic"),
    ],
)
def test_old_names_hold_the_schedule(name: str, sampler: str, schedule: str) -> None:
    info = parse_infotext(SHORT.replace("Euler a", name))
    assert (info.sampler, info.schedule) == (sampler, schedule)


def test_the_eta_of_ddim_has_a_key_of_its_own() -> None:
    assert parse_infotext(f"{SHORT}, Eta DDIM: 0.3") == replace(USUAL, eta=0.3)


def test_hashes_that_only_civitais_object_tells() -> None:
    text = f'{SHORT}, Hashes: {{"model":"ab","vae":"cd","lora:x, y":"ef","embed:z":"01"}}, Model: m'
    assert parse_infotext(text) == replace(
        USUAL,
        model_hash="ab",
        model="m",
        vae_hash="cd",
        loras={"x, y": "ef"},
        embeddings={"z": "01"},
    )


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ('Tiling: "x, y"', "x, y"),
        ('Tiling: "x', '"x'),
        ('Tiling: "x" y', '"x" y'),
        ("Tiling: [1, 2]", "[1, 2]"),
        ("Tiling: [1", "[1"),
        ("Tiling: {1}", "{1}"),
        ("Tiling: " + "[" * 100_000, "[" * 100_000),
        ("Tiling:  x  ", "x"),
        ("Tiling:", ""),
        ("junk, Tiling: x", "x"),
        ("Tiling: a: b", "a: b"),
    ],
    ids=lambda text: text[:20],
)
def test_quoting(pair: str, value: str) -> None:
    for text in (f"{SHORT}, {pair}", f"{SHORT}, {pair}, Version: 1"):
        assert parse_infotext(text).extra == {"Tiling": value}


@pytest.mark.parametrize(
    ("prompt", "negative"),
    [
        ("Steps: 3, Sampler: DDIM, CFG scale: 4, Seed: 1, Size: 8x8", "lowres"),
        ("a\nSteps: 3, Sampler: DDIM, CFG scale: 4, Seed: 1, Size: 8x8", ""),
        ("a Negative prompt: b", ""),
        ("", "lowres\n\nblurry"),
        ("\n\n", "\n"),
    ],
)
def test_prompts_that_look_like_more(prompt: str, negative: str) -> None:
    above = f"{prompt}\nNegative prompt: {negative}\n" if negative else f"{prompt}\n"
    found = parse_infotext(above + SHORT)
    assert (found.prompt, found.negative_prompt) == (prompt, negative)


@pytest.mark.parametrize("text", ["", "\n", "1girl", "a: b", "a\nSteps: 3, Size: 8x8", "{}" * 99])
def test_no_settings(text: str) -> None:
    assert split_parameters(text) is None
    with pytest.raises(MetadataError, match="no settings"):
        parse_infotext(text)


def test_settings_every_tool_writes_may_not_be_missing() -> None:
    with pytest.raises(MetadataError, match=r"do not say CFG scale, Size\."):
        parse_infotext("Steps: 1, Sampler: a, Seed: 0")


@pytest.mark.parametrize(
    "piece",
    ['aa:["",', 'aa:{"a":', 'aa:"\\",', 'aa:"",', "aa:[[],", "\nNegative prompt:", " \n", "a "],
)
def test_a_megabyte_takes_no_time(piece: str) -> None:
    text = piece * (2**20 // len(piece))
    before = time.process_time()
    for head in ("", 'Steps: 1, bb:["'):
        with pytest.raises(MetadataError):
            parse_infotext(head + text)
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Steps: 20", "Steps: many"),
        ("Steps: 20", "Steps: 1_0"),
        ("Steps: 20", "Steps: " + "9" * 5000),
        ("CFG scale: 7", "CFG scale: nan"),
        ("CFG scale: 7", "CFG scale: 1e9999"),
        ("Seed: 965400086", "Seed: -1"),
        ("Seed: 965400086", "Seed: 18446744073709551616"),
        ("512x512", "512"),
        ("512x512", "512x512x512"),
    ],
)
def test_values_that_cannot_be(old: str, new: str) -> None:
    with pytest.raises(MetadataError, match="The settings say"):
        parse_infotext(SHORT.replace(old, new))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LINES = st.lists(st.sampled_from(["Negative prompt:", " ", "\n", "\r", "a", '"', ","]) | TEXT)
PROMPTS = TEXT | LINES.map("".join)
HASHES = st.dictionaries(
    st.from_regex(r"\A[^,:\s][^,:\n]*[^,:\s]\Z"), st.from_regex(r"\A[0-9a-f]{10}\Z"), max_size=2
)
SIDE = st.integers(0, 999_999)
FINITE = st.floats(-1e15, 1e15)


@given(
    st.builds(
        Infotext,
        prompt=PROMPTS,
        negative_prompt=PROMPTS,
        steps=st.integers(1, 1000),
        sampler=st.sampled_from(["Euler a", "DPM++ 2M", "DDIM"]),
        schedule=st.sampled_from(["Automatic", "Karras"]),
        guidance=FINITE,
        seed=st.integers(0, 2**64 - 1),
        size=st.builds(Size, SIDE, SIDE),
        model_hash=st.none() | TEXT,
        model=st.none() | TEXT,
        variation_seed=st.none() | st.integers(0, 2**64 - 1),
        variation_strength=FINITE,
        seed_resize=st.none() | st.builds(Size, SIDE, SIDE),
        clip_skip=st.none() | st.integers(0, 12),
        ensd=st.integers(-(2**40), 2**40),
        eta=st.none() | FINITE,
        s_noise=FINITE,
        loras=HASHES,
        embeddings=HASHES,
        negative_zeroed=st.booleans(),
        extra=st.dictionaries(st.sampled_from(["Hires upscale", "Tiling", "User"]), TEXT),
        version=st.none() | TEXT,
    )
)
def test_everything_written_is_read_back(info: Infotext) -> None:
    assert parse_infotext(write_infotext(info)) == info


@given(LINES.map("".join) | st.text(), st.text(st.sampled_from('aS:, "{[}]\\\n')))
def test_any_text_is_read_or_refused(head: str, line: str) -> None:
    for text in (head, f"{head}\n{SHORT}, {line}", f"{head}\n{line}"):
        try:
            assert isinstance(parse_infotext(text), Infotext)
        except MetadataError as error:
            assert error.note
