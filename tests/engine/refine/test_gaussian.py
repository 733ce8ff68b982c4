"""OpenCV's blur, level for level."""

import cv2
import numpy as np
import pytest

from sakuga.engine.refine.gaussian import blurred


def theirs(mask: np.ndarray, sigma_x: float, sigma_y: float) -> np.ndarray:
    """As A1111 calls it: one axis after the other, kernels of 2.5 sigmas."""
    if sigma_x > 0:
        mask = cv2.GaussianBlur(mask, (2 * int(2.5 * sigma_x + 0.5) + 1, 1), sigma_x)
    if sigma_y > 0:
        mask = cv2.GaussianBlur(mask, (1, 2 * int(2.5 * sigma_y + 0.5) + 1), sigma_y)
    return mask


def masks() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    box = np.zeros((70, 90), np.uint8)
    box[20:50, 30:80] = 255
    return [box, random.integers(0, 256, (33, 47), np.uint8), np.full((9, 5), 255, np.uint8)]


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1, 2, 3, 4, 4.5, 7, 10, 16, 25, 32, 48, 64])
def test_levels_are_those_of_opencv(sigma: float) -> None:
    for mask in masks():
        np.testing.assert_array_equal(blurred(mask, sigma, sigma), theirs(mask, sigma, sigma))


def test_the_axes_are_apart() -> None:
    for mask in masks():
        for sigmas in [(4, 0), (0, 4), (2, 9), (0, 0)]:
            np.testing.assert_array_equal(blurred(mask, *sigmas), theirs(mask, *sigmas))


def test_a_line_is_blurred_too() -> None:
    for shape in [(1, 20), (20, 1), (1, 1)]:
        mask = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        np.testing.assert_array_equal(blurred(mask, 4, 4), theirs(mask, 4, 4))
