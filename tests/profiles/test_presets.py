"""The shipped presets against the numbers of the model cards, and what a broken file says."""

from pathlib import Path

import pytest

from sakuga.engine.text.clip_skip import choose_layer
from sakuga.profiles.buckets import ANIMAGINE_BUCKETS, Size
from sakuga.profiles.families import FAMILIES
from sakuga.profiles.presets import (
    Preset,
    all_presets,
    load_preset,
    preset_for_hash,
    read_preset,
)

GOOD = """
title = "T"
source = "S"
licence = "L"
family = "sdxl"
width = 1024
height = 1024
steps = 28
guidance = 7
sampler = "Euler a"
"""


def numbers(preset: Preset) -> tuple[object, ...]:
    return (
        preset.family,
        str(preset.size),
        preset.steps,
        preset.guidance,
        preset.guidance_range,
        preset.sampler,
    )


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("animagine-xl-3.1", ("sdxl", "832x1216", 28, 7, (5, 7), "Euler a")),
        ("aidxl", ("sdxl", "832x1216", 28, 7, (7, 9), "Euler a")),
        ("baxl-v3", ("sdxl", "832x1216", 25, 6, (4, 7), "Euler a")),
        ("anything-v3.1", ("sd15", "512x728", 50, 12, None, "DPM++ 2M")),
    ],
)
def test_numbers_of_the_cards(name: str, card: tuple[object, ...]) -> None:
    assert numbers(load_preset(name)) == card


def test_shipped_presets() -> None:
    names = ["aidxl", "animagine-xl-3.1", "anything-v3.1", "baxl-v3", "sd15", "sdxl"]
    assert list(all_presets()) == names
    assert [preset.name for preset in all_presets().values()] == names


def test_animagine_prompts() -> None:
    preset = load_preset("animagine-xl-3.1")
    assert preset.prefix == "masterpiece, best quality, very aesthetic, absurdres"
    assert preset.negative_prompt.startswith("nsfw, lowres, (bad), text, error, fewer, extra")
    assert preset.negative_prompt.endswith("artistic error, username, scan, [abstract]")
    assert preset.size in ANIMAGINE_BUCKETS


def test_licences_are_stated() -> None:
    assert load_preset("animagine-xl-3.1").licence == "Fair AI Public License 1.0-SD"
    assert "non-commercial" in load_preset("baxl-v3").licence
    assert load_preset("anything-v3.1").licence == "CreativeML OpenRAIL-M"


def test_clip_skip_of_aidxl_is_the_usual_layer() -> None:
    assert load_preset("aidxl").clip_skip == 1
    assert choose_layer("sdxl", "a1111", 1, 12) == choose_layer("sdxl", "a1111", None, 12)


@pytest.mark.parametrize("preset", all_presets().values(), ids=lambda preset: preset.name)
def test_sizes_are_sizes_of_the_family(preset: Preset) -> None:
    assert FAMILIES[preset.family].sizes.allows(preset.size)


def test_hashes_find_presets() -> None:
    found = [preset_for_hash(text) for text in ("e3c47aedb0", "95AFFD8C8F", "0000000000")]
    assert found == [load_preset("animagine-xl-3.1"), load_preset("baxl-v3"), None]


def test_hashes_belong_to_one_preset() -> None:
    hashes = [text for preset in all_presets().values() for text in preset.hashes]
    assert len(set(hashes)) == len(hashes)


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'animagine-xl-3\.1'"):
        load_preset("animagine-xl")
    with pytest.raises(ValueError, match="there are aidxl, animagine"):
        load_preset("zzzz")


def test_file_of_a_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + 'hashes = ["0123456789"]\nguidance_range = [5, 7.5]')
    preset = read_preset(path)
    assert (preset.name, preset.size) == ("mine", Size(1024, 1024))
    assert preset.hashes == ("0123456789",)
    assert preset.guidance_range == (5, 7.5)
    assert preset.clip_skip is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "step = 3", "unknown key 'step'; did you mean 'steps'"),
        (GOOD + 'name = "x"', "unknown key 'name'"),
        (GOOD.replace("steps = 28", ""), "key 'steps' is missing"),
        (GOOD.replace("28", "0"), "key 'steps' cannot be 0"),
        (GOOD.replace("28", "true"), "key 'steps' cannot be True"),
        (GOOD.replace("guidance = 7", "guidance = nan"), "key 'guidance' cannot be nan"),
        (GOOD.replace("guidance = 7", "guidance = true"), "key 'guidance' cannot be True"),
        (GOOD.replace('"sdxl"', '"flux"'), "key 'family' cannot be 'flux'"),
        (GOOD.replace('"T"', '""'), "key 'title' cannot be ''"),
        (GOOD.replace("width = 1024", "width = 1000"), "sdxl does not render 1000x1024"),
        (GOOD + "guidance_range = [5]", "key 'guidance_range' cannot be"),
        (GOOD + "guidance_range = [8, 9]", "guidance 7 is outside 8 to 9"),
        (GOOD + 'hashes = ["XYZ"]', "key 'hashes' cannot be"),
        (GOOD + "prefix = 7", "key 'prefix' cannot be 7"),
        (GOOD + "=", "not a TOML file"),
    ],
)
def test_broken_file_is_named_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_preset(path)
    assert "broken.toml" in str(caught.value)
