"""What lies under a mask before anything is made there."""

import numpy as np
from PIL import Image, ImageFilter

from sakuga.engine.refine.fill import Fill, filled
from sakuga.engine.refine.gaussian import blurred

PICTURE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
MASK = np.zeros((60, 80), np.uint8)
MASK[15:40, 20:60] = 255


def in_float(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A1111's coats in floating point, on channels that Pillow blurs one by one."""
    share = 1 - mask[..., None] / 255
    layers = np.concatenate([pixels * share, 255 * share], axis=2).round().astype(np.uint8)
    result = np.zeros((*mask.shape, 3))
    for radius, times in [(256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1)]:
        blur = ImageFilter.GaussianBlur(radius)
        coat = np.stack(
            [np.asarray(Image.fromarray(layers[..., at]).filter(blur)) for at in range(4)], axis=2
        )
        for _ in range(times):
            result = coat[..., :3] + result * (1 - coat[..., 3:] / 255)
    return result


def test_coats_are_laid_on_from_far_to_near() -> None:
    smooth = np.asarray(Image.fromarray(PICTURE).filter(ImageFilter.GaussianBlur(6)))
    for mask in (MASK, blurred(MASK, 4, 4)):
        expected = in_float(smooth, mask)
        assert np.abs(filled(smooth, mask) - expected).max() <= 4


def test_what_is_kept_stays_and_what_is_masked_does_not_count() -> None:
    other = np.where(MASK[..., None] > 0, 255 - PICTURE, PICTURE)
    result = filled(PICTURE, MASK)
    np.testing.assert_array_equal(result[MASK == 0], PICTURE[MASK == 0])
    np.testing.assert_array_equal(result, filled(other, MASK))
    assert result[MASK > 0].std() < PICTURE[MASK > 0].std() / 2


def test_only_the_original_is_encoded_as_it_is() -> None:
    assert [fill for fill in Fill if not fill.changes_pixels] == [Fill.ORIGINAL]
    assert Fill("noise") is Fill.NOISE
