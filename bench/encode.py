"""How long does a PNG take, and how large is it? 832x1216, one thread, beside Pillow.

    python bench/encode.py [--rounds 5]

Three pictures of the demo's painter in three states: clean, with noise of 1.5 levels on every
value, and with a soft grain as of canvas. The bar is Pillow's best way for such pictures, runs and
Huffman codes alone: 0.6 of its time for each, and no more bytes for all.
"""

import argparse
import io
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
from common import SEED, Figure, report
from numpy.typing import NDArray
from PIL import Image

from sakuga.engine.image.jpeg import encode_jpeg
from sakuga.engine.image.png import encode_png
from sakuga.engine.image.webp import encode_webp
from sakuga.export.demo.painter import paint_clean
from sakuga.export.demo.training.pictures import scene_number
from sakuga.profiles.buckets import Size

BAR_TIME, BAR_BYTES = 0.6, 1.0
SIZE, PICTURES = Size(832, 1216), 3
RLE = 3  # zlib's Z_RLE
TEXT = "1girl, green hair\nSteps: 28, Sampler: Euler a"

Pixels = NDArray[np.uint8]


def pictures() -> dict[str, list[Pixels]]:
    """By state."""
    clean = [np.asarray(paint_clean(scene_number(SEED, i), SIZE)) for i in range(PICTURES)]
    generator = np.random.default_rng(SEED)
    noise = generator.normal(0, 1.5, clean[0].shape)
    grain = generator.normal(0, 6, (*clean[0].shape[:2], 1))
    for axis in (0, 1, 0, 1):
        grain = np.mean([np.roll(grain, shift, axis) for shift in (-1, 0, 1)], axis=0)
    return {
        "clean": clean,
        "noisy": [added(one, noise) for one in clean],
        "grained": [added(one, grain) for one in clean],
    }


def added(picture: Pixels, change: NDArray[np.float64]) -> Pixels:
    """The picture with a change of each value."""
    return np.clip(picture + change, 0, 255).astype(np.uint8)


def by_pillow(pixels: Pixels) -> bytes:
    """A PNG without settings, which are a few hundred bytes."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_type=RLE)
    return file.getvalue()


def measured(encode: Callable[[Pixels], bytes], many: Sequence[Pixels], rounds: int) -> list[float]:
    """Milliseconds and KiB a picture: of each the quickest round, their mean."""
    times, sizes = [], []
    for pixels in many:
        best, data = float("inf"), b""
        for _ in range(rounds):
            start = perf_counter()
            data = encode(pixels)
            best = min(best, perf_counter() - start)
        times.append(1e3 * best)
        sizes.append(len(data) / 1024)
    return [float(np.mean(times)), float(np.mean(sizes))]


ENCODERS: dict[str, Callable[[Pixels], bytes]] = {
    "png": lambda pixels: encode_png(pixels, TEXT),
    "pillow's png": by_pillow,
    "webp": lambda pixels: encode_webp(pixels, TEXT),
    "jpeg": lambda pixels: encode_jpeg(pixels, TEXT),
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of which the quickest counts")
    rounds = parser.parse_args().rounds
    figures = []
    found = {
        state: {name: measured(encode, many, rounds) for name, encode in ENCODERS.items()}
        for state, many in pictures().items()
    }
    for state, each in found.items():
        for name, (ms, kib) in each.items():
            figures.append(Figure(f"{name}, {state}", ms, "ms", beside=f"{kib:,.0f} KiB"))
        share = each["png"][0] / each["pillow's png"][0]
        figures.append(Figure(f"png, {state}: time", share, "of Pillow's", BAR_TIME))
    ours, its = (sum(each[name][1] for each in found.values()) for name in ("png", "pillow's png"))
    figures.append(Figure("png: bytes of all", ours / its, "of Pillow's", BAR_BYTES))
    report("encode", figures, {"ms_and_kib": found})


if __name__ == "__main__":
    main()
