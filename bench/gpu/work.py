"""What the networks of full-size SDXL have to do, and the least time it can take.

TFLOP of one row, counted with torch's FlopCounterMode on the published configuration: products
and sums of matrix products, convolutions and attention, nothing else. A test counts them anew.
"""

from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL, Family

# By the sorted sides, in pixels.
UNET_TFLOP = {
    (1024, 1024): 6.761,
    (896, 1152): 6.645,
    (832, 1216): 6.500,
    (768, 1344): 6.645,
    (640, 1536): 6.298,
}
VAE_TFLOP = {
    (1024, 1024): 10.47,
    (896, 1152): 10.30,
    (832, 1216): 10.08,
    (768, 1344): 10.30,
    (640, 1536): 9.78,
}


def unet_tflop(family: Family, size: Size) -> float | None:
    """Of one row of the UNet; None for a family or size nobody counted."""
    return _of(UNET_TFLOP, family, size)


def vae_tflop(family: Family, size: Size) -> float | None:
    """Of one picture's decoding."""
    return _of(VAE_TFLOP, family, size)


def picture_tflop(family: Family, size: Size, steps: int) -> float | None:
    """Of a guided picture: two rows a step, and the VAE."""
    unet, vae = unet_tflop(family, size), vae_tflop(family, size)
    return None if unet is None or vae is None else 2 * steps * unet + vae


def _of(table: dict[tuple[int, int], float], family: Family, size: Size) -> float | None:
    sides = min(size.width, size.height), max(size.width, size.height)
    return table.get(sides) if family is SDXL else None
