"""The `parameters` text, read back with the expression A1111 reads it with."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.image.infotext import Infotext, write_infotext

SETTING = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')

ASUKA = Infotext(
    prompt="1girl, souryuu asuka langley, neon genesis evangelion, solo, upper body",
    negative_prompt="nsfw, lowres, (bad), text, [abstract]",
    steps=28,
    sampler="Euler a",
    schedule="Automatic",
    guidance=7.0,
    seed=42,
    width=832,
    height=1216,
    model_hash="e3c47aedb0",
    model="animagine-xl-3.1",
    rng="NV",
    version="0.1.0",
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
        "Version: sakuga 0.1.0"
    )


def test_noise_is_named_as_a1111_names_it() -> None:
    settings = read_settings(write_infotext(replace(ASUKA, eta=0.5, s_noise=1.02)))
    assert (settings["Eta"], settings["Sigma noise"]) == ("0.5", "1.02")
    assert "Eta DDIM" not in settings
    settings = read_settings(write_infotext(replace(ASUKA, sampler="DDIM", eta=1.0)))
    assert settings["Eta DDIM"] == "1" and "Eta" not in settings


@pytest.mark.parametrize("negative", [None, ""])
def test_no_negative_prompt_has_no_line(negative: str | None) -> None:
    text = write_infotext(replace(ASUKA, negative_prompt=negative))
    assert text.count("\n") == 1
    assert "Negative prompt" not in text


def test_empty_prompt_is_settings_alone() -> None:
    text = write_infotext(replace(ASUKA, prompt="", negative_prompt=None))
    assert text.startswith("Steps: 28")


@pytest.mark.parametrize(("clip_skip", "shown"), [(None, None), (1, None), (2, "2")])
def test_clip_skip_of_one_is_the_default(clip_skip: int | None, shown: str | None) -> None:
    text = write_infotext(replace(ASUKA, clip_skip=clip_skip))
    assert read_settings(text).get("Clip skip") == shown


def test_compat_is_named_where_it_is_not_a1111() -> None:
    settings = read_settings(write_infotext(replace(ASUKA, compat="diffusers")))
    assert settings["Compat"] == "diffusers"
    assert list(settings)[-3:] == ["RNG", "Compat", "Version"]


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


def test_what_only_diffusers_tells_apart_is_written() -> None:
    """There clip skip 1 is not the default, and an absent negative prompt is not an empty one."""
    diffusers = replace(ASUKA, compat="diffusers", clip_skip=1, negative_zeroed=True)
    text = write_infotext(diffusers)
    assert "Clip skip: 1, " in text and "Negative zeroed: True, " in text
    usual = replace(diffusers, clip_skip=None, negative_zeroed=False)
    assert "Clip skip" not in write_infotext(usual) and "zeroed" not in write_infotext(usual)
    assert "zeroed" not in write_infotext(replace(ASUKA, negative_zeroed=True))
