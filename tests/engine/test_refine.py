"""Pictures in several passes, as the engine makes them: what they begin from, share and tell."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from yolo_files import yolo_file

from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnx_networks import OnnxNetworks
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import PictureFileError, SizeError, UsageError
from sakuga.engine.image.infotext_parser import parse_infotext
from sakuga.engine.image.source import Source
from sakuga.engine.refine.detail import Detail
from sakuga.engine.runtime.canvas import carried, painted_region
from sakuga.engine.runtime.desk import OnStep
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.settings import Later
from sakuga.engine.runtime.stages import Hires, Init, Mask, Stage, Upscale
from sakuga.profiles.buckets import Size

WAIT_S = 60
U8 = NDArray[np.uint8]


def asked(init: Init | None = None, *stages: Stage, size: Size | None = None) -> Request:
    return Request(
        "1girl, green hair", "lowres", size and size.width, size and size.height, 3, 5.0, "euler",
        seed=11, init=init, stages=stages,
    )  # fmt: skip


def after(evaluations: int, event: threading.Event) -> OnStep:
    """Sets the event once more than so many are done."""

    def told(_: int, done: int, __: int) -> None:
        if done > evaluations:
            event.set()

    return told


@pytest.fixture(scope="module")
def pixels() -> U8:
    return np.random.default_rng(1).integers(0, 256, (160, 128, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def drawn() -> U8:
    mask = np.zeros((160, 128), np.uint8)
    mask[40:90, 30:80] = 255
    return mask


@pytest.fixture
def engine(sdxl_bundle: Bundle) -> Iterator[Engine]:
    """With two places, so that a picture may join another."""
    networks, sessions = Networks.of(sdxl_bundle), OnnxNetworks(sdxl_bundle, threads=1)
    with Engine(sdxl_bundle, lambda: CpuDevice(networks, sessions, 2)) as engine:
        yield engine


def test_a_picture_gives_its_size(sdxl_engine: Engine, pixels: U8) -> None:
    picture = sdxl_engine.render(asked(Init(Source.of(pixels), 0.5)))
    assert picture.pixels.shape == (160, 128, 3)
    odd = Source.of(np.zeros((333, 250, 3), np.uint8))
    settings = sdxl_engine.resolve(asked(Init(odd, 0.5)))
    assert settings.size == Size(224, 288)  # its shape, the usual area


@pytest.mark.parametrize("area", ["whole", "masked"])
@pytest.mark.parametrize("fill", ["fill", "original", "noise", "nothing"])
def test_beside_the_mask_nothing_changes(
    sdxl_engine: Engine, pixels: U8, drawn: U8, area: str, fill: str
) -> None:
    mask = Mask(Source.of(drawn), blur=2, area=area, fill=fill)  # type: ignore[arg-type]
    size = Size(128, 160) if area == "whole" else Size(128, 128)
    made = sdxl_engine.render(asked(Init(Source.of(pixels), 0.9, mask=mask), size=size)).pixels
    assert made.shape == pixels.shape
    far = np.ones((160, 128), bool)
    far[32:98, 22:88] = False  # the blur reaches five pixels
    np.testing.assert_array_equal(made[far], pixels[far])
    assert (made[50:80, 40:70] != pixels[50:80, 40:70]).mean() > 0.5


def test_a_hires_pass_is_a_picture_of_its_own_size(sdxl_engine: Engine) -> None:
    request = asked(None, Hires(1.25, strength=0.6), size=Size(128, 128))
    picture = sdxl_engine.render(request)
    assert picture.pixels.shape == (160, 160, 3)
    told = parse_infotext(picture.parameters).extra
    assert told["Hires upscale"] == "1.25"
    assert told["Hires upscaler"] == "Latent"
    assert told["Denoising strength"] == "0.6"


def test_what_was_put_back_is_in_a_hires_pass_of_the_latent(
    sdxl_engine: Engine, pixels: U8, drawn: U8
) -> None:
    mask = Mask(Source.of(drawn), area="masked")
    request = asked(Init(Source.of(pixels), 0.9, mask=mask), Hires(2.0), size=Size(128, 128))
    picture = sdxl_engine.render(request)
    assert picture.pixels.shape == (320, 256, 3)


def test_hires_steps_are_done_all(engine: Engine) -> None:
    request = asked(None, Hires(1.25, strength=0.4, steps=5), size=Size(128, 128))
    ticket = engine.submit(request)
    ticket.result(WAIT_S)
    assert (ticket.progress().done, ticket.progress().total) == (3 + 5, 3 + 5)


def test_too_large_a_pass_is_made_in_tiles_and_says_so(sdxl_engine: Engine) -> None:
    hires = Hires(size=Size(640, 128), upscaler="lanczos", strength=0.3, steps=1)
    picture = sdxl_engine.render(asked(None, hires, size=Size(256, 128)))
    assert picture.pixels.shape == (128, 640, 3)
    assert any("in 3 tiles" in note for note in picture.notes), picture.notes
    latent = Hires(size=Size(640, 128), strength=0.3)
    with pytest.raises(UsageError, match="does not render a hires pass to 640x128"):
        sdxl_engine.resolve(asked(None, latent, size=Size(256, 128)))


def test_an_upscaler_after_all_else(sdxl_engine: Engine) -> None:
    picture = sdxl_engine.render(asked(None, Upscale("Lanczos", 2.0), size=Size(128, 128)))
    assert picture.pixels.shape == (256, 256, 3)
    assert parse_infotext(picture.parameters).extra["Postprocess upscaler"] == "Lanczos"


def test_passes_of_several_pictures_share_calls(engine: Engine) -> None:
    """A hires pass of one runs with the first pass of another."""
    hires = asked(None, Hires(1.25, strength=0.6, steps=40), size=Size(128, 128))
    plain = asked(size=Size(160, 160))
    alone = engine.render(hires).pixels, engine.render(plain).pixels
    evaluations, rows = engine.statistics.evaluations, engine.statistics.rows
    begun = threading.Event()
    ticket = engine.submit(hires, on_step=after(5, begun))
    assert begun.wait(WAIT_S)
    joined = engine.submit(plain)
    together = ticket.result(WAIT_S).pixels, joined.result(WAIT_S).pixels
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_array_equal(first, second)
    ran = engine.statistics.evaluations - evaluations
    assert (engine.statistics.rows - rows) / ran > 2  # some calls had rows of both


def test_cancelled_between_its_passes(engine: Engine) -> None:
    seen = threading.Event()
    request = asked(None, Hires(1.25, strength=0.6, steps=400), size=Size(128, 128))
    ticket = engine.submit(request, on_step=after(4, seen))
    assert seen.wait(WAIT_S)
    assert ticket.cancel()
    with pytest.raises(CancelledError):
        ticket.result(WAIT_S)
    engine.render(asked(size=Size(128, 128)))  # the place is free
    found = engine.statistics
    assert (found.accepted, found.completed, found.cancelled, found.in_flight) == (2, 1, 1, 0)
    assert found.megapixel_steps == pytest.approx(0)


def test_a_picture_that_cannot_be_read_fails_alone(
    engine: Engine, pixels: U8, tmp_path: Path
) -> None:
    with pytest.raises(PictureFileError):
        engine.resolve(asked(Init(Source.of(b"no picture"))))
    path = tmp_path / "there.png"
    engine.render(asked(size=Size(128, 128))).save(path)
    ticket_request = asked(Init(Source.of(path)), size=Size(128, 128))
    engine.resolve(ticket_request)
    path.write_bytes(path.read_bytes()[:900])  # cut off after it was looked at
    broken = engine.submit(ticket_request)
    fine = engine.submit(asked(Init(Source.of(pixels)), size=Size(128, 160)))
    with pytest.raises(PictureFileError):
        broken.result(WAIT_S)
    assert fine.result(WAIT_S).pixels.shape == (160, 128, 3)


def test_an_empty_mask_is_named(sdxl_engine: Engine, pixels: U8) -> None:
    black = Mask(Source.of(np.zeros((160, 128), np.uint8)))
    with pytest.raises(UsageError, match="mask is empty"):
        sdxl_engine.render(asked(Init(Source.of(pixels), mask=black)))


@pytest.mark.parametrize(
    "stages",
    [
        (Hires(1.5, upscaler="no such"),),
        (Upscale("no such"),),
        (Detail("no such"),),
    ],
)
def test_what_a_stage_lacks_is_known_before_anything_runs(
    sdxl_engine: Engine, stages: tuple[Stage, ...]
) -> None:
    with pytest.raises(UsageError, match="no such"):
        sdxl_engine.resolve(asked(None, *stages, size=Size(128, 128)))


def test_a_whole_picture_s_detailer_works_at_the_picture_s_size(sdxl_engine: Engine) -> None:
    """Known before anything runs."""
    stage = Detail("no such", only_masked=False, width=128, height=128)
    hires = Hires(1.25, strength=0.5)
    with pytest.raises(UsageError, match="works at 160x160"):
        sdxl_engine.resolve(asked(None, hires, stage, size=Size(128, 128)))


def test_a_stage_keeps_the_schedule_that_was_asked_for(sdxl_engine: Engine) -> None:
    request = replace(
        asked(None, Hires(1.25, sampler="Euler"), size=Size(128, 128)), sampler="DPM++ 2M Karras"
    )
    (later,) = sdxl_engine.resolve(request).later
    assert later.settings is not None and later.settings.schedule == "Karras"
    plain = asked(None, Hires(1.25, sampler="DPM++ 2M"), size=Size(128, 128))
    (later,) = sdxl_engine.resolve(plain).later
    assert later.settings is not None and later.settings.schedule == "Karras"  # its own


def test_pictures_too_large_are_refused_before_anything_runs(sdxl_engine: Engine) -> None:
    stages = (Upscale("lanczos", 8.0), Upscale("lanczos", 8.0), Upscale("lanczos", 8.0))
    with pytest.raises(UsageError, match="too large"):
        sdxl_engine.resolve(asked(None, *stages, size=Size(128, 128)))


def test_a_mask_of_another_size_is_told(sdxl_engine: Engine, pixels: U8) -> None:
    mask = Mask(Source.of(np.full((80, 64), 255, np.uint8)))
    picture = sdxl_engine.render(asked(Init(Source.of(pixels), 0.5, mask=mask)))
    assert any("the mask was resized" in note for note in picture.notes)


def test_numbers_that_cannot_be() -> None:
    for make in (
        lambda: Hires(0.5),
        lambda: Hires(2.0, Size(256, 256)),
        lambda: Hires(strength=1.5),
        lambda: Init(Source.of(b""), -0.1),
        lambda: Mask(Source.of(b""), blur=-1),
        lambda: Mask(Source.of(b""), fill="colour"),  # type: ignore[arg-type]
        lambda: Upscale("lanczos", 100),
    ):
        with pytest.raises(UsageError):
            make()


def test_a_size_that_cannot_be(sdxl_engine: Engine) -> None:
    with pytest.raises((SizeError, UsageError)):
        sdxl_engine.resolve(asked(None, Hires(size=Size(100, 100)), size=Size(128, 128)))


def test_of_an_inpainted_picture_the_detailer_takes_what_touches_the_mask(
    sdxl_bundle: Bundle, pixels: U8, drawn: U8, tmp_path: Path
) -> None:
    """Two faces, of which the mask has one; ADetailer takes both where the part was cut out."""
    faces = [[20, 26, 12, 12, 0.9, 0.0], [48, 8, 8, 8, 0.8, 0.0]]
    yolo_file(tmp_path / "face.onnx", np.array(faces, np.float32).T[None])
    detail = Detail("face", strength=0.6, steps=2, blur=0, dilate=0, padding=0)
    source, mask = Source.of(pixels), Mask(Source.of(drawn), blur=0)
    begun = {
        Init(source, 0.9): [True, True],
        Init(source, 0.9, mask=mask): [True, False],
        Init(source, 0.9, mask=replace(mask, area="masked")): [True, True],
    }
    with Engine.open(sdxl_bundle.path, threads=1, detectors=tmp_path) as engine:
        for init, worked_on in begun.items():
            before = engine.render(asked(init, size=Size(128, 160))).pixels
            after = engine.render(asked(init, detail, size=Size(128, 160))).pixels
            changed = (before != after).any(axis=2)
            inside = changed[62:82, 38:46], changed[12:24, 92:100]
            assert [bool(each.any()) for each in inside] == worked_on


def test_a_masked_region_goes_with_its_picture(pixels: U8, drawn: U8) -> None:
    """Through a pass that enlarges and cuts."""
    init = Init(Source.of(pixels), mask=Mask(Source.of(drawn)))
    region = painted_region(init, Size(128, 160))
    assert region is not None and np.array_equal(region, drawn)
    hires = Later(Hires(size=Size(256, 160)), None, Size(256, 160), whole=Size(256, 320))
    rows, columns = carried(region, [hires]).nonzero()
    # Of 40 to 90 down and 30 to 80 across: twice as large, and 80 off the top; Lanczos rings.
    for found, wanted in ((rows, (0, 99)), (columns, (60, 159))):
        assert abs(found.min() - wanted[0]) <= 6 and abs(found.max() - wanted[1]) <= 6
    assert painted_region(Init(Source.of(pixels)), Size(128, 160)) is None
