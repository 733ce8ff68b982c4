"""Pictures that began from others, and pictures of several passes, made again."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import MetadataError
from sakuga.engine.image.infotext_parser import parse_infotext
from sakuga.engine.image.source import Source
from sakuga.engine.refine.detail import Detail
from sakuga.engine.runtime.remake_stages import Given, read_stages
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask, Upscale
from sakuga.profiles.buckets import Size

GRAY = np.random.default_rng(3).integers(0, 256, (128, 128, 3), np.uint8)
DRAWN = np.zeros((128, 128), np.uint8)
DRAWN[32:96, 40:100] = 255
PICTURE, MASK = Source.of(GRAY), Source.of(DRAWN)
SMALL = Request("1girl", "bad", width=128, height=128, steps=2, seed=7)
A_MASK = Mask(MASK, 2.5, True, "noise", "masked", 16, True)  # type: ignore[arg-type]
REQUESTS = {
    "hires": replace(SMALL, stages=(Hires(1.3333333, None, "latent-nearest-exact", 0.55),)),
    "hires of its own": replace(
        SMALL,
        stages=(
            Hires(None, Size(160, 192), "lanczos", 0.3, 3, 5.5, "DPM++ 2M", "Karras", "b, (c:1.2)"),
        ),
    ),
    "upscale": replace(SMALL, stages=(Upscale("nearest", 1.25),)),
    "another order": replace(SMALL, stages=(Upscale("lanczos", 1.5), Hires(1.0, strength=0.4))),
    "begun": replace(SMALL, init=Init(PICTURE, 0.123456789, "crop")),
    "a part": replace(SMALL, init=Init(PICTURE, 0.8, mask=A_MASK), stages=(Hires(1.5),)),
}


@pytest.fixture(scope="module")
def engine(sdxl_bundle: Bundle) -> Iterator[Engine]:
    """Of its own, for other tests count what `sdxl_engine` did."""
    with Engine.open(sdxl_bundle.path, threads=1) as engine:
        yield engine


@pytest.mark.parametrize("asked", REQUESTS.values(), ids=REQUESTS)
def test_pixels_are_the_same_to_the_byte(engine: Engine, asked: Request) -> None:
    first = engine.render(asked)
    mask = MASK if asked.init and asked.init.mask else None
    made = engine.remake(parse_infotext(first.parameters), init=asked.init and PICTURE, mask=mask)
    assert made.notes == ()
    again = engine.render(made.request)
    assert np.array_equal(again.pixels, first.pixels)
    assert again.parameters == first.parameters


def test_the_pictures_it_began_from_must_be_given(engine: Engine) -> None:
    info = parse_infotext(engine.render(REQUESTS["a part"]).parameters)
    with pytest.raises(MetadataError) as caught:
        engine.remake(info)
    told = PICTURE.digest[:10], MASK.digest[:10]
    assert f"Init image hash {told[0]} is of a picture" in caught.value.note
    assert f"Mask hash {told[1]} is of a mask: give that with --mask" in caught.value.note
    assert "--ignore mask,init leaves that out" in caught.value.hint
    plain = engine.remake(info, ignore=["init", "mask"])
    assert plain.request.init is None and plain.request.stages == (Hires(1.5),)


def test_another_picture_is_refused(engine: Engine) -> None:
    info = parse_infotext(engine.render(REQUESTS["begun"]).parameters)
    other = Source.of(GRAY[::-1])
    with pytest.raises(MetadataError) as caught:
        engine.remake(info, init=other)
    assert f"that of This picture is {other.digest[:10]}" in caught.value.note
    taken = engine.remake(info, init=other, ignore=["init"]).request.init
    assert taken == Init(other, 0.123456789, "crop")


def test_what_a_stage_needs_is_missed(engine: Engine) -> None:
    info = parse_infotext(engine.render(SMALL).parameters)
    extra = {
        "Denoising strength": "0.45", "Hires upscale": "2", "Hires upscaler": "DAT x2",
        "ADetailer model": "face_yolov8n.pt", "Postprocess upscaler": "R-ESRGAN 4x+",
        "Postprocess upscale by": "2", "Hires checkpoint": "other",
    }  # fmt: skip
    with pytest.raises(MetadataError) as caught:
        engine.remake(replace(info, extra=extra))
    for words in ("Hires upscaler DAT x2 is not here", "ADetailer model face_yolov8n.pt is not"):
        assert words in caught.value.note
    assert "--ignore hires,adetailer,postprocess leaves" in caught.value.hint
    topics = ["hires", "adetailer", "postprocess"]
    assert engine.remake(replace(info, extra=extra), ignore=topics).request.stages == ()


@pytest.mark.parametrize(
    ("extra", "stages"),
    [
        (
            {
                "Denoising strength": "0.45", "Hires upscale": "1.5", "Hires steps": "15",
                "Hires upscaler": "Latent (nearest-exact)", "Hires sampler": "Use same sampler",
                "Hires CFG Scale": "6", "Hires prompt": "b",
            },
            (Hires(1.5, None, "latent-nearest-exact", 0.45, 15, 6, prompt="b"),),
        ),
        (
            {"Hires resize": "0x1792", "Hires upscaler": "None", "Denoising strength": "0.5"},
            (Hires(None, Size(1226, 1792), "Lanczos", 0.5),),
        ),
        (
            {
                "ADetailer model": "face_yolov8n.pt", "ADetailer confidence": "0.3",
                "ADetailer denoising strength": "0.5", "ADetailer model 2nd": "hand_yolov8n.pt",
                "ADetailer version": "24.5.1",
            },
            (Detail("face_yolov8n.pt", strength=0.5), Detail("hand_yolov8n.pt")),
        ),
        ({"Postprocess upscale by": "4", "Postprocess upscaler": "x"}, (Upscale("x", 4),)),
    ],
    ids=["hires", "one side", "adetailer", "extras"],
)  # fmt: skip
def test_what_a1111_writes(extra: dict[str, str], stages: tuple[object, ...]) -> None:
    begun = read_stages(extra, Size(832, 1216))
    assert begun.stages == stages and begun.obstacles == {} and begun.init is None


def test_a_picture_of_a1111_that_began_from_another() -> None:
    extra = {
        "Denoising strength": "0.6", "Mask blur": "8", "Inpaint area": "Only masked",
        "Masked area padding": "24", "Masked content": "latent noise",
        "Mask mode": "Inpaint not masked",
    }  # fmt: skip
    lacking = read_stages(extra, Size(64, 64)).obstacles
    assert lacking["Denoising strength"].startswith("0.6 is of a picture it began from")
    assert lacking["Mask blur"].endswith("give that with --mask")
    begun = read_stages(extra, Size(64, 64), Given(PICTURE, MASK))
    mask = Mask(MASK, 8, True, "noise", "masked", 24)  # type: ignore[arg-type]
    assert begun.init == Init(PICTURE, 0.6, mask=mask) and begun.obstacles == {}
    assert len(begun.doubts) == 2  # there is nothing to hold either against
    told = read_stages(extra | {"Init image hash": "0" * 32}, Size(64, 64), Given(PICTURE, MASK))
    assert "is another tool's" in told.doubts[1] and told.obstacles == {}


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        ({"Hires upscale": "a lot"}, "Hires upscale"),
        ({"Hires upscale": "99"}, "Hires upscale"),
        ({"Hires upscale": "2", "Hires Module 1": "x"}, "Hires Module 1"),
        ({"ADetailer model": "face", "ADetailer confidence": "x"}, "ADetailer"),
        ({"ADetailer model": "face", "ADetailer ControlNet model": "x"}, "ADetailer ControlNet"),
        ({"Hires upscale": "2", "Stages": "upscale, hires"}, "Stages"),
        ({"Tiling": "True"}, "Tiling"),
    ],
    ids=str,
)
def test_what_no_stage_can_follow_is_an_obstacle(extra: dict[str, str], key: str) -> None:
    (told,) = read_stages(extra, Size(64, 64)).obstacles
    assert told.startswith(key)


@pytest.mark.slow
def test_a_detailed_picture_of_the_demo_is_made_again(demo_bundle: Bundle) -> None:
    asked = Request("1girl, blue hair, smile", width=192, height=192, steps=8, seed=3)
    stages = (
        Hires(1.3333333333333333, upscaler="lanczos", strength=0.4),
        Detail(prompt="red eyes"),
    )
    with Engine.open(demo_bundle.path, threads=1) as engine:
        first = engine.render(replace(asked, stages=stages))
        assert "ADetailer model: face" in first.parameters
        assert "found nothing" not in " ".join(first.notes)
        again = engine.render(engine.remake(parse_infotext(first.parameters)).request)
    assert np.array_equal(again.pixels, first.pixels) and again.parameters == first.parameters
