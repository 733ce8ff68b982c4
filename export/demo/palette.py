"""The painter's colours, by the words that ask for them.

Hair, clothes and backgrounds each have their own shades, apart enough for a judge to name a colour
from its pixels. Nothing else in a picture is near the colour of skin.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]

SKIN: Colour = (255, 226, 208)
SKIN_SHADE: Colour = (242, 190, 172)
BLUSH: Colour = (250, 176, 168)
INK: Colour = (58, 44, 56)  # lashes, mouths, frames of glasses
WHITE: Colour = (252, 252, 252)

HAIR: Mapping[str, Colour] = {
    "black hair": (62, 58, 74),
    "brown hair": (132, 88, 60),
    "blonde hair": (244, 208, 112),
    "red hair": (200, 58, 56),
    "pink hair": (246, 154, 188),
    "purple hair": (142, 92, 190),
    "blue hair": (66, 108, 212),
    "aqua hair": (104, 212, 216),
    "green hair": (74, 168, 96),
    "white hair": (226, 230, 240),
}
EYES: Mapping[str, Colour] = {
    "blue eyes": (52, 110, 220),
    "green eyes": (44, 160, 84),
    "red eyes": (206, 44, 52),
    "purple eyes": (140, 70, 190),
    "yellow eyes": (230, 176, 40),
    "brown eyes": (124, 76, 48),
    "aqua eyes": (60, 190, 200),
}
CLOTHES: Mapping[str, Colour] = {
    "white": (242, 242, 246),
    "black": (48, 48, 58),
    "red": (186, 42, 60),
    "blue": (48, 84, 176),
    "green": (46, 128, 88),
    "yellow": (240, 200, 76),
    "pink": (244, 160, 186),
    "purple": (118, 76, 164),
}
PLAIN_BACKGROUNDS: Mapping[str, Colour] = {
    "white background": (246, 246, 248),
    "grey background": (184, 186, 194),
    "pink background": (250, 214, 224),
    "blue background": (196, 222, 246),
}


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with `share` of `b` in it, 0 to 1."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float = 0.3) -> Colour:
    """The colour's shadow: darker and a little bluer."""
    return mix(colour, (28, 18, 52), share)


def lighter(colour: Colour, share: float = 0.35) -> Colour:
    """The colour where light falls on it."""
    return mix(colour, (255, 255, 255), share)


def lab(rgb: NDArray[np.generic]) -> NDArray[np.float64]:
    """sRGB 0 to 255 in the last axis to CIE L*a*b* (D65), where distance is difference seen.

    Source: IEC 61966-2-1 and CIE 15.
    """
    unit = np.asarray(rgb, np.float64) / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
         [0.0193339, 0.1191920, 0.9503041]]
    )  # fmt: skip
    xyz = linear @ to_xyz.T / (0.95047, 1.0, 1.08883)
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def difference(colours: NDArray[np.float64], colour: Colour) -> NDArray[np.float64]:
    """ΔE (CIE 1976) of L*a*b* values [..., 3] from an sRGB colour."""
    found: NDArray[np.float64] = np.linalg.norm(colours - lab(np.array(colour)), axis=-1)
    return found
