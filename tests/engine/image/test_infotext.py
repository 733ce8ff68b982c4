"""The `parameters` text, read back with the expression A1111 reads it with."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.image.infotext import Infotext, write_infotext
from sakuga.profiles.buckets import Size

SETTING = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')

ASUKA = Infotext(
    prompt="1girl, souryuu asuka langley, neon genesis evangelion, solo, upper body",
    negative_prompt="nsfw, lowres, (bad), text, [abstract]",
    steps=28,
    sampler="Euler a",
    schedule="Automatic",
    guidance=7.0,
    seed=42,
    size=Size(832, 1216),
    model_hash="e3c47aedb0",
    model="animagine-xl-3.1",
    rng="NV",
    version="sakuga 0.1.0",
)


def read_settings(text: str) -> dict[str, str]:
    last = text.split("\n")[-1]
    pairs = SETTING.findall(last)
    assert len(pairs) >= 3, "A1111 takes a line for settings from three pairs on"
    return {key: json.loads(value) if value[:1] == '"' else value for key, value in pairs}


def test_whole_text() -> None:
    assert write_infotext(ASUKA) == (
        "1girl, souryuu asuka langley, neon genesis evangelion, solo, upper body\n"
        "Negative prompt: nsfw, lowres, (bad), text, [abstract]\n"
        "Steps: 28, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 42, "
        "Size: 832x1216, Model hash: e3c47aedb0, Model: animagine-xl-3.1, RNG: NV, "
        'Version: sakuga 0.1.0, Hashes: {"model": "e3c47aedb0"}'
    )


def test_noise_is_named_as_a1111_names_it() -> None:
    settings = read_settings(write_infotext(replace(ASUKA, eta=0.5, s_noise=1.02)))
    assert (settings["Eta"], settings["Sigma noise"]) == ("0.5", "1.02")
    assert "Eta DDIM" not in settings
    settings = read_settings(write_infotext(replace(ASUKA, sampler="DDIM", eta=1.0)))
    assert settings["Eta DDIM"] == "1" and "Eta" not in settings


def test_no_negative_prompt_has_no_line() -> None:
    text = write_infotext(replace(ASUKA, negative_prompt=""))
    assert text.count("\n") == 1
    assert "Negative prompt" not in text


def test_empty_prompt_is_settings_alone() -> None:
    text = write_infotext(replace(ASUKA, prompt="", negative_prompt=""))
    assert text.startswith("Steps: 28")


def test_what_a_missing_key_means_is_left_out() -> None:
    usual = Infotext(prompt="", steps=1, sampler="Euler", guidance=1, seed=0, size=Size(8, 8))
    line = "Steps: 1, Sampler: Euler, Schedule type: Automatic, CFG scale: 1, Seed: 0, Size: 8x8"
    assert write_infotext(usual) == line
    assert write_infotext(replace(usual, clip_skip=2, ensd=31337)) == (
        f"{line}, Clip skip: 2, ENSD: 31337"
    )


def test_compat_is_named_where_it_is_not_a1111() -> None:
    settings = read_settings(write_infotext(replace(ASUKA, compat="diffusers")))
    assert settings["Compat"] == "diffusers"
    assert [key for key in settings if key in ("RNG", "Compat", "Version")] == [
        *("RNG", "Compat", "Version")
    ]


@pytest.mark.parametrize(
    ("guidance", "shown"), [(7.0, "7"), (5.5, "5.5"), (12, "12"), (0.1, "0.1")]
)
def test_guidance_is_written_short(guidance: float, shown: str) -> None:
    assert read_settings(write_infotext(replace(ASUKA, guidance=guidance)))["CFG scale"] == shown


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1))
def test_any_model_name_comes_back(name: str) -> None:
    assert read_settings(write_infotext(replace(ASUKA, model=name)))["Model"] == name


@given(
    prompt=st.text(max_size=60).filter(lambda text: "\n" not in text),
    guidance=st.floats(0, 30),
    seed=st.integers(0, 2**64 - 1),
)
def test_settings_come_back(prompt: str, guidance: float, seed: int) -> None:
    text = write_infotext(replace(ASUKA, prompt=prompt, guidance=guidance, seed=seed))
    settings = read_settings(text)
    assert float(settings["CFG scale"]) == guidance
    assert int(settings["Seed"]) == seed
    assert settings["Size"] == "832x1216"


FULL = replace(
    ASUKA,
    prompt="1girl <lora:Thick Lines:0.8>, easynegative",
    vae="sdxl, fixed.safetensors",
    vae_hash="235745af8d",
    variation_seed=7,
    variation_strength=0.25,
    seed_resize=Size(512, 768),
    ensd=31337,
    eta=0.5,
    s_noise=1.01,
    loras={"Thick Lines": "0a1b2c3d4e5f", "a}b": "112233445566"},
    embeddings={"easynegative": "c74b4e810b03"},
    emphasis="No norm",
    lora_weights={"Thick Lines": "0.8", "a}b": "1/0.5"},
    negative_zeroed=True,
    precision="float16",
    bundle="0123456789",
    backend="onnxruntime 1.23.2 cpu",
    extra={"Hires upscale": "2", "ADetailer prompt": "a, b: c"},
)


def test_all_keys_in_order() -> None:
    settings = read_settings(write_infotext(FULL).partition(", Hashes: ")[0])
    names = (
        "Steps",
        "Sampler",
        "Schedule type",
        "CFG scale",
        "Seed",
        "Size",
        "Model hash",
        "Model",
        "VAE hash",
    )
    assert list(settings) == [
        *(*names, "VAE", "Variation seed", "Variation seed strength", "Seed resize from", "ENSD"),
        *("RNG", "Eta", "Sigma noise", "Lora hashes", "TI hashes", "Emphasis", "Lora weights"),
        *(
            "Negative zeroed",
            "Precision",
            "Bundle",
            "Backend",
            "Hires upscale",
            "ADetailer prompt",
            "Version",
        ),
    ]
    assert settings["Lora hashes"] == "Thick Lines: 0a1b2c3d4e5f, a}b: 112233445566"
    assert settings["Lora weights"] == "Thick Lines: 0.8, a}b: 1/0.5"
    assert settings["Seed resize from"] == "512x768" and settings["VAE"] == FULL.vae
    ddim = read_settings(write_infotext(replace(FULL, sampler="DDIM")))
    assert ddim["Eta DDIM"] == "0.5" and "Eta" not in ddim


def test_civitai_reads_the_hashes() -> None:
    """It looks for the object with this expression, which ends at the first closing brace."""
    found = re.search(r", Hashes:\s*({[^}]+})", write_infotext(FULL))
    assert found is not None
    assert json.loads(found[1]) == {
        "model": "e3c47aedb0",
        "vae": "235745af8d",
        "lora:Thick Lines": "0a1b2c3d4e5f",
        "lora:a}b": "112233445566",
        "embed:easynegative": "c74b4e810b03",
    }


def a1111_reads(text: str) -> tuple[str, str]:
    """Prompt and negative prompt as A1111 reads them: lines first, then keys of those names."""
    *lines, last = text.strip().split("\n")
    prompt, negative, in_negative = list[str](), list[str](), False
    for line in map(str.strip, lines):
        if line.startswith("Negative prompt:"):
            in_negative, line = True, line.removeprefix("Negative prompt:").strip()
        (negative if in_negative else prompt).append(line)
    settings = read_settings(last)
    return (
        settings.get("Prompt", "\n".join(prompt)),
        settings.get("Negative prompt", "\n".join(negative)),
    )


@pytest.mark.parametrize(
    "prompt",
    [
        "1girl",
        "1girl,\nsolo",
        "a\nNegative prompt: b",
        "Negative prompt: b",
        "a\n  Negative prompt:b\nSteps: 3, Sampler: x, CFG scale: 4",
        'say "Steps: 3"',
        "\nSteps: 28, Sampler: Euler a, CFG scale: 7",
    ],
)
@pytest.mark.parametrize("negative", ["", "lowres", "a\nNegative prompt: b"])
def test_a1111_reads_the_prompts(prompt: str, negative: str) -> None:
    info = replace(ASUKA, prompt=prompt, negative_prompt=negative)
    read = a1111_reads(write_infotext(info))
    assert (read[0].strip(), read[1].strip()) == (prompt.strip(), negative.strip())
