"""A picture with a hole in it."""

from PIL import Image

from sakuga.engine.backend.base import Pixels
from sakuga.engine.refine.mask import inverted


def kept(pixels: Pixels, mask: Pixels) -> Image.Image:
    """uint8 [h, w, 3], transparent as far as the mask [h, w] is white; alpha is multiplied in
    (mode RGBa), as A1111 has it before it fills holes or lays the picture over another."""
    result = Image.new("RGBa", (pixels.shape[1], pixels.shape[0]))
    opaque = Image.fromarray(pixels).convert("RGBA").convert("RGBa")
    result.paste(opaque, mask=Image.fromarray(inverted(mask)))
    return result
