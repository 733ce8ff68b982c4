"""ADetailer's keys: as ADetailer writes them, and back to the same options."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import MetadataError
from sakuga.engine.image.infotext import Infotext, write_infotext
from sakuga.engine.image.infotext_parser import parse_infotext
from sakuga.engine.refine.detail import Detail, Merge, Sort, TopBy
from sakuga.engine.refine.detail_keys import VERSION, detail_keys, read_details
from sakuga.profiles.buckets import Size

# What ADetailer 25.3.0 writes for its defaults and one model.
DEFAULTS = {
    "ADetailer model": "face_yolov8n.pt",
    "ADetailer confidence": "0.3",
    "ADetailer dilate erode": "4",
    "ADetailer mask blur": "4",
    "ADetailer denoising strength": "0.4",
    "ADetailer inpaint only masked": "True",
    "ADetailer inpaint padding": "32",
    "ADetailer version": "25.3.0",
}
RATIOS = st.integers(0, 100).map(lambda value: value / 100)
NAMES = st.lists(st.text("abc ", min_size=1).map(str.strip).filter(bool), max_size=3).map(tuple)


@st.composite
def some_details(draw: st.DrawFn) -> Detail:
    low, high = sorted((draw(RATIOS), draw(RATIOS)))
    sized = draw(st.booleans())
    top_k, only_masked = draw(st.integers(0, 4)), draw(st.booleans())
    return Detail(
        model=draw(st.sampled_from(["face", "hand_yolov8n.pt"])),
        prompt=draw(st.text('ab,: []\n"', max_size=12)),
        negative_prompt=draw(st.sampled_from(["", "lowres, bad", "a [SEP] b"])),
        classes=draw(NAMES),
        exclude=draw(NAMES),
        confidence=draw(RATIOS),
        top_by=draw(st.sampled_from(get_args(TopBy))) if top_k else "area",
        top_k=top_k,
        min_ratio=low,
        max_ratio=high,
        sort=draw(st.sampled_from(get_args(Sort))),
        x_offset=draw(st.integers(-9, 9)),
        y_offset=draw(st.integers(-9, 9)),
        dilate=draw(st.integers(-9, 9)),
        merge=draw(st.sampled_from(get_args(Merge))),
        blur=draw(st.integers(0, 64)),
        strength=draw(RATIOS),
        only_masked=only_masked,
        padding=draw(st.integers(0, 256)) if only_masked else 32,
        width=512 if sized else None,
        height=768 if sized else None,
        steps=draw(st.one_of(st.none(), st.integers(1, 150))),
        guidance=draw(st.one_of(st.none(), st.floats(0, 30))),
        sampler=draw(st.sampled_from([None, "Euler a"])),
        schedule=draw(st.sampled_from([None, "Karras"])),
    )


def test_the_defaults_as_adetailer_writes_them() -> None:
    written = detail_keys([Detail(model="face_yolov8n.pt")])
    assert list(written.items()) == list(DEFAULTS.items())


def test_what_is_the_pass_s_own_comes_with_its_switch() -> None:
    detail = Detail(steps=20, guidance=5, sampler="Euler a", width=512, height=640, top_k=2)
    written = detail_keys([detail])
    assert written.items() >= {
        "ADetailer use inpaint width height": "True",
        "ADetailer inpaint width": "512",
        "ADetailer inpaint height": "640",
        "ADetailer use separate steps": "True",
        "ADetailer steps": "20",
        "ADetailer use separate CFG scale": "True",
        "ADetailer CFG scale": "5.0",
        "ADetailer use separate sampler": "True",
        "ADetailer sampler": "Euler a",
        "ADetailer method to decide top k masks": "Area",
        "ADetailer mask only top k": "2",
    }.items()  # fmt: skip
    assert "ADetailer scheduler" not in written
    written = detail_keys([Detail(schedule="Karras")])
    assert written["ADetailer sampler"] == "Use same sampler"
    assert written["ADetailer scheduler"] == "Karras"


def test_whole_pictures_have_no_padding() -> None:
    written = detail_keys([Detail(only_masked=False)])
    assert written["ADetailer inpaint only masked"] == "False"
    assert "ADetailer inpaint padding" not in written


def test_further_passes_have_their_numbers() -> None:
    written = detail_keys([Detail()] * 4)
    models = [key for key in written if key.startswith("ADetailer model")]
    assert [key.removeprefix("ADetailer model") for key in models] == ["", " 2nd", " 3rd", " 4th"]
    assert [key for key in written if "version" in key] == ["ADetailer version"]
    assert detail_keys([]) == {}
    assert "ADetailer model 11th" in detail_keys([Detail()] * 11)


@given(st.lists(some_details(), min_size=1, max_size=3))
def test_what_is_written_is_read_back_from_a_picture_s_text(details: list[Detail]) -> None:
    info = Infotext(
        prompt="1girl", steps=28, sampler="Euler a", guidance=7, seed=1, size=Size(64, 64),
        extra=detail_keys(details),
    )  # fmt: skip
    found, left = read_details(parse_infotext(write_infotext(info)).extra)
    assert found == tuple(details)
    assert left == {}


def test_adetailer_s_other_keys_are_left_and_told() -> None:
    """A text of ADetailer's, of an older version, with a tab of a later one and a ControlNet."""
    text = (
        "1girl\nSteps: 28, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64, "
        'ADetailer model: face_yolov8n.pt, ADetailer prompt: "a, b", ADetailer confidence: 0.3, '
        "ADetailer mask only top k largest: 1, ADetailer dilate erode: 4, "
        "ADetailer use separate CLIP skip: True, ADetailer CLIP skip: 2, "
        "ADetailer model 3rd: hand_yolov8n.pt, ADetailer sampler 3rd: Use same sampler, "
        "ADetailer use separate steps 3rd: False, ADetailer steps 3rd: 9, "
        "ADetailer version: 23.11.1, Hires upscale: 2, Version: v1.10.1"
    )
    found, left = read_details(parse_infotext(text).extra)
    assert found == (
        Detail(model="face_yolov8n.pt", prompt="a, b", top_k=1),
        Detail(model="hand_yolov8n.pt"),
    )
    assert left == {
        "ADetailer use separate CLIP skip": "True", "ADetailer CLIP skip": "2"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ADetailer confidence", "high"),
        ("ADetailer confidence", "nan"),
        ("ADetailer dilate erode", "9" * 5000),
        ("ADetailer mask merge invert", "Both"),
        ("ADetailer denoising strength", "7"),
    ],
)
def test_values_that_cannot_be_are_refused(key: str, value: str) -> None:
    with pytest.raises(MetadataError) as error:
        read_details({"ADetailer model": "face", key: value})
    assert "adetailer" in error.value.hint


def test_a_picture_without_passes_has_none() -> None:
    assert read_details({"Hires upscale": "2", "ADetailer version": VERSION}) == ((), {})
