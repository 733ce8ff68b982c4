"""What was made under a mask, put back into the picture it belongs to.

Source: A1111, `modules/processing.py`, `apply_overlay`: the picture, transparent where the mask is
white, is laid over what was made. Pillow's arithmetic on bytes is part of the result.
"""

import numpy as np
from PIL import Image

from sakuga.engine.backend.base import Pixels
from sakuga.engine.refine.kept import kept
from sakuga.engine.refine.resize import resized
from sakuga.kernels.tiles import Window
from sakuga.profiles.buckets import Size


def overlaid(original: Pixels, made: Pixels, mask: Pixels) -> Pixels:
    """`made` where the mask is 255, `original` where it is 0, both between.

    Pictures uint8 [h, w, 3], mask uint8 [h, w]. Where the mask is 0 no pixel changes.
    """
    result = Image.fromarray(made).convert("RGBA")
    result.alpha_composite(kept(original, mask).convert("RGBA"))
    return np.asarray(result.convert("RGB"))


def pasted(original: Pixels, made: Pixels, mask: Pixels, window: Window) -> Pixels:
    """The same where `made`, of any size, is the part of `original` within `window`."""
    whole = original.copy()
    whole[window.rows, window.columns] = resized(made, Size(window.width, window.height), "crop")
    return overlaid(original, whole, mask)
