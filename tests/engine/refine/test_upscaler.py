"""Pictures in tiles against pictures whole, and sizes a network does not make by itself."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hand_made_upscalers import (
    SHA256,
    Pixels,
    hand_made,
    psnr,
    repeater,
    scene,
    sharpener,
    whole,
)
from PIL import Image

from sakuga.engine.backend.base import Array
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.errors import RenderError
from sakuga.engine.refine.upscaler import Resampler, Upscaler, target_size
from sakuga.engine.upscaler_folder import SideRule, UpscalerFolder
from sakuga.profiles.buckets import Size

PICTURE = scene(97, 131)


def opened(folder: UpscalerFolder) -> Upscaler:
    return Upscaler(folder, OnnxSession(folder.graph("float32"), threads=1))


def repeated(picture: Pixels, times: int) -> Pixels:
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def test_a_picture_in_one_tile_is_what_its_network_says(tmp_path: Path) -> None:
    folder = hand_made(tmp_path / "one", sharpener(2))
    session = OnnxSession(folder.graph("float32"), threads=1)
    image = (PICTURE / np.float32(255)).astype(np.float32).transpose(2, 0, 1)[None]
    wanted = np.rint(session.run({"image": image})["upscaled"][0].clip(0, 1) * 255)
    assert np.array_equal(
        whole(opened(folder).once(PICTURE)), wanted.transpose(1, 2, 0).astype(np.uint8)
    )


@pytest.mark.parametrize(("scale", "tile"), [(2, 32), (4, 48), (3, 100)])
def test_tiles_show_no_seams(tmp_path: Path, scale: int, tile: int) -> None:
    uncut = opened(hand_made(tmp_path / "uncut", sharpener(scale), scale))
    cut = opened(hand_made(tmp_path / "cut", sharpener(scale), scale, tile=tile))
    got, wanted = whole(cut.once(PICTURE)), whole(uncut.once(PICTURE))
    assert got.shape == (97 * scale, 131 * scale, 3) and got.dtype == np.uint8
    assert psnr(got, wanted) >= 45
    assert not np.array_equal(got, wanted)  # else nothing was cut


@pytest.mark.parametrize("size", [(97, 131), (32, 64), (5, 131), (7, 3), (1, 1)])
def test_sides_the_network_does_not_take_are_reflected(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """The network fails for sides that are no multiples of 8."""
    sides = SideRule(16, 8, square=False)
    upscaler = opened(hand_made(tmp_path / "odd", repeater(2, 8), 2, sides, tile=32))
    picture = scene(*size)
    assert np.array_equal(whole(upscaler.once(picture)), repeated(picture, 2))


def test_a_network_that_wants_squares_gets_them(tmp_path: Path) -> None:
    asked: list[tuple[int, ...]] = []

    class Asked(OnnxSession):
        def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
            asked.append(inputs["image"].shape)
            return super().run(inputs)

    folder = hand_made(tmp_path / "square", repeater(2, 8), 2, SideRule(24, 8, square=True))
    upscaler = Upscaler(folder, Asked(folder.graph("float32")))
    picture = scene(33, 50)
    assert np.array_equal(whole(upscaler.once(picture)), repeated(picture, 2))
    assert asked == [(1, 3, 56, 56)]


def test_values_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    nodes, constants = sharpener(2)
    constants["kernel"] = np.full_like(constants["kernel"], np.nan)
    with pytest.raises(RenderError, match="no numbers"):
        whole(opened(hand_made(tmp_path / "nan", (nodes, constants))).once(PICTURE))


@pytest.mark.parametrize(
    ("size", "passes"),
    [
        *((Size(262, 194), 1), (Size(200, 130), 1), (Size(263, 194), 2), (Size(1048, 776), 3)),
        *((Size(1500, 1111), 3), (Size(131, 97), 1), (Size(64, 64), 0), (Size(64, 98), 1)),
    ],
)
def test_passes_until_it_is_large_enough_then_lanczos(
    tmp_path: Path, size: Size, passes: int
) -> None:
    upscaler = opened(hand_made(tmp_path / "passes", repeater(2, 1), 2, tile=2000))
    assert list(upscaler.enlarge(PICTURE, size)) == [(0, 1)] * passes
    got = whole(upscaler.enlarge(PICTURE, size))
    large = Image.fromarray(repeated(PICTURE, 2**passes))
    wanted = large.resize((size.width, size.height), Image.Resampling.LANCZOS)
    assert np.array_equal(got, np.asarray(wanted))


def test_it_pauses_before_each_tile(tmp_path: Path) -> None:
    upscaler = opened(hand_made(tmp_path / "watched", sharpener(2), tile=64, overlap=8))
    assert list(upscaler.once(PICTURE)) == [(tile, 6) for tile in range(6)]


@pytest.mark.parametrize("method", ["LANCZOS", "NEAREST"])
def test_filters_take_any_size_in_one_go(method: str) -> None:
    kind = Image.Resampling[method]
    got = whole(Resampler(method, kind).enlarge(PICTURE, Size(300, 200)))
    assert np.array_equal(got, np.asarray(Image.fromarray(PICTURE).resize((300, 200), kind)))


def test_targets_are_multiples_of_eight() -> None:
    assert target_size(Size(832, 1216), 1.5) == Size(1248, 1824)
    assert target_size(Size(833, 1217), 1.3) == Size(1080, 1576)


def test_it_says_what_it_is(tmp_path: Path) -> None:
    upscaler = opened(hand_made(tmp_path / "DAT_x2.upscaler", sharpener(2)))
    assert (upscaler.name, upscaler.scale, upscaler.hash) == ("DAT_x2", 2, SHA256[:10])
