"""What stands under a mask before anything is made there."""

from enum import StrEnum

import numpy as np
from PIL import Image, ImageFilter

from sakuga.engine.backend.base import Pixels
from sakuga.engine.refine.kept import kept

# Source: A1111, `modules/masking.py`, `fill`: radius of each blur, and how often it is laid on.
_COATS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))


class Fill(StrEnum):
    """What A1111 calls masked content; all but ORIGINAL begin with `filled` pixels.

    NOISE and NOTHING then replace the latent under the mask, by noise and by zeros.
    """

    FILL = "fill"
    ORIGINAL = "original"
    NOISE = "noise"
    NOTHING = "nothing"

    @property
    def changes_pixels(self) -> bool:
        """Whether what is encoded is `filled`."""
        return self is not Fill.ORIGINAL


def filled(pixels: Pixels, mask: Pixels) -> Pixels:
    """uint8 [h, w, 3] with what is masked painted over in the colours around it, from far to near:
    ever narrower blurs of what is kept. `mask`: uint8 [h, w]."""
    around = kept(pixels, mask)
    result = Image.new("RGBA", around.size)
    for radius, times in _COATS:
        coat = around.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            result.alpha_composite(coat)
    return np.asarray(result.convert("RGB"))
