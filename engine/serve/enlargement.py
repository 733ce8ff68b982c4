"""A picture that is to be enlarged and not sampled: what A1111 calls extras."""

from dataclasses import dataclass

import numpy as np

from sakuga.engine.backend.base import Pixels
from sakuga.engine.image.source import Source
from sakuga.profiles.buckets import Size


@dataclass(frozen=True)
class Enlargement:
    """`enlarged`: the size an upscaler makes of it; `size`: what is cut out of the middle of that.
    `parameters`: the settings its file is to tell. It has what admission and figures ask of a
    request's settings."""

    picture: Source
    upscaler: str
    enlarged: Size
    size: Size
    parameters: str = ""
    seed: int = 0  # nothing is drawn for it
    evaluations_in_all: int = 1

    @property
    def work_in_all(self) -> float:
        """Megapixels, as of one evaluation."""
        return self.enlarged.width * self.enlarged.height * 1e-6

    def cut(self, pixels: Pixels) -> Pixels:
        """The middle of what was enlarged."""
        left = (pixels.shape[1] - self.size.width) // 2
        top = (pixels.shape[0] - self.size.height) // 2
        cut = pixels[top : top + self.size.height, left : left + self.size.width]
        return np.ascontiguousarray(cut)
