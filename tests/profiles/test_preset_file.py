"""A preset file is read strictly: what is wrong is told with file and key."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.profiles.buckets import Size, SizeRule
from sakuga.profiles.preset import Avoid, Licence, Preset, Slot, Tag, TagGroup
from sakuga.profiles.preset_file import PresetFileError, read_preset

GOOD = """
title = "T"
source = "S"
family = "sdxl"
size = "1024x1024"
steps = 28
guidance = 7
sampler = "Euler a"
licence = { name = "L", meaning = "M" }
"""


def test_a_file_of_a_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        GOOD
        + """
hashes = ["0123456789"]
guidance_range = [5, 7.5]
sides = { minimum = 512, maximum = 1024, step = 32 }
sizes = ["832x1216"]
order = [{ slot = "by", like = ["by *"], several_last = true }, { slot = "rest", example = "x" }]
avoid = [{ what = "blurry", where = "negative prompt", reason = "R", delete = true, words = 3 }]
advice = ["A"]

[[tags]]
group = "rating"
meaning = "M"
exclusive = true
tags = [{ tag = "general", aliases = ["safe"], retired = ["rating: general"], poor = true }]
"""
    )
    assert read_preset(path) == Preset(
        name="mine",
        file=str(path),
        title="T",
        source="S",
        licence=Licence(name="L", meaning="M"),
        family="sdxl",
        hashes=("0123456789",),
        size=Size(1024, 1024),
        sizes=(Size(832, 1216),),
        sides=SizeRule(512, 1024, 32),
        sampler="Euler a",
        steps=28,
        guidance=7.0,
        guidance_range=(5.0, 7.5),
        order=(
            Slot(slot="by", like=("by *",), several_last=True),
            Slot(slot="rest", example="x"),
        ),
        tags=(
            TagGroup(
                group="rating",
                meaning="M",
                tags=(
                    Tag(tag="general", aliases=("safe",), retired=("rating: general",), poor=True),
                ),
                exclusive=True,
            ),
        ),
        avoid=(Avoid(what="blurry", where="negative prompt", reason="R", delete=True, words=3),),
        advice=("A",),
    )


TAGS = '\n[[tags]]\ngroup = "g"\nmeaning = "m"\ntags = '


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (GOOD + "step = 3", "step", "is unknown; did you mean 'steps'?"),
        (GOOD + 'name = "x"', "name", "is unknown"),
        (GOOD + "zzzz = 1", "zzzz", "there are title, source, licence"),
        (GOOD.replace("steps = 28", ""), "steps", "is missing"),
        (GOOD.replace("28", "0"), "steps", "must be from 1 to 1000, not 0"),
        (GOOD.replace("28", "true"), "steps", "must be a whole number, not True"),
        (GOOD.replace("28", "28.0"), "steps", "must be a whole number, not 28.0"),
        (GOOD.replace("guidance = 7", "guidance = nan"), "guidance", "from 0 to 100, not nan"),
        (GOOD.replace("guidance = 7", "guidance = true"), "guidance", "a number, not True"),
        (GOOD.replace("guidance = 7", "guidance = -1"), "guidance", "from 0 to 100, not -1"),
        (GOOD.replace('"sdxl"', '"flux"'), "family", "must be one of sdxl, sd15"),
        (GOOD.replace('"T"', '" "'), "title", "must be text that is not blank"),
        (GOOD.replace("1024x1024", "1000x1024"), "size", "1000x1024, which sdxl does not render"),
        (GOOD.replace("1024x1024", "1024"), "size", "must be a size such as"),
        (GOOD + 'sizes = ["832x1216", "900x1600"]', "sizes", "holds 900x1600"),
        (GOOD + 'sizes = ["832x1216", 7]', "sizes[1]", "must be a size"),
        (GOOD + 'sizes = "832x1216"', "sizes", "must be a list"),
        (GOOD + "guidance_range = [5]", "guidance_range", "a lowest and a highest"),
        (GOOD + "guidance_range = [9, 5]", "guidance_range", "must rise"),
        (GOOD + "guidance_range = [8, 9]", "guidance", "is 7, which guidance_range does not hold"),
        (GOOD + "steps_range = [1, 2]", "steps", "is 28, which steps_range does not hold"),
        (GOOD + "clip_skip = 13", "clip_skip", "from 1 to 12"),
        (GOOD + 'hashes = ["XYZ"]', "hashes[0]", "ten hex digits in lower case, not 'XYZ'"),
        (GOOD + "prefix = 7", "prefix", "must be text, not 7"),
        (GOOD + "sides = { minimum = 9, maximum = 8, step = 1 }", "sides.minimum", "is larger"),
        (GOOD + "sides = { minimum = 9, maximum = 8 }", "sides.step", "is missing"),
        (GOOD + "sides = 32", "sides", "must be a table"),
        (GOOD.replace('name = "L"', 'nam = "L"'), "licence.nam", "did you mean 'name'?"),
        (GOOD.replace(', meaning = "M"', ""), "licence.meaning", "is missing"),
        (GOOD + 'avoid = [{ what = "x", where = "vea", reason = "r" }]', "avoid[0].where", "'vae'"),
        (GOOD + TAGS + '[{ tag = "a" }, { tga = "b" }]', "tags[0].tags[1].tga", "mean 'tag'?"),
        (GOOD + TAGS + '[{ tag = "a", poor = 1 }]', "tags[0].tags[0].poor", "true or false, not 1"),
        (GOOD + TAGS + '[{ tag = "a", retired = [1] }]', "tags[0].tags[0].retired[0]", "text"),
        (GOOD + TAGS + "[]" + TAGS + "[]", "tags", "holds the group 'g' twice"),
        (GOOD + "=", "", "is not a TOML file"),
        (GOOD + "steps = 3", "", "is not a TOML file"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(
    tmp_path: Path, text: str, key: str, words: str
) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(PresetFileError) as caught:
        read_preset(path)
    assert caught.value.path == path and caught.value.key == key
    assert words in caught.value.fault
    assert str(path) in str(caught.value) and key in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PresetFileError, match="cannot be read: No such file"):
        read_preset(tmp_path / "none-such.toml")
    (tmp_path / "latin.toml").write_bytes(GOOD.replace("T", "\xe9").encode("latin-1"))
    with pytest.raises(PresetFileError, match="is not a TOML file"):
        read_preset(tmp_path / "latin.toml")


def test_no_preset_is_called_none(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text(GOOD)
    with pytest.raises(PresetFileError, match="cannot be called none"):
        read_preset(tmp_path / "none.toml")


WRONG = st.sampled_from(["7.5", "-1", '""', "[]", "[1, 2]", "{}", "true", "1979-05-27", "[[[]]]"])
KEYS = [each.name for each in dataclasses.fields(Preset)]


@given(st.sampled_from(KEYS), WRONG)
def test_any_value_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    """Nothing but PresetFileError comes out, and whatever is read has the type it should."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key} ")]
    path.write_text("\n".join([*lines, f"{key} = {value}"]))
    try:
        preset = read_preset(path)
    except PresetFileError as error:
        assert error.key.startswith(key) or error.key in ("steps", "guidance")
    else:
        assert hash(preset) == hash(read_preset(path))
