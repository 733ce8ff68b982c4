"""A finished picture."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.image.formats import encode, format_of_name
from sakuga.engine.image.png import encode_png
from sakuga.engine.platform import write_file_atomic


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels uint8 [height, width, 3] and the settings that made them.

    `index` is the picture's place among the requests it came from; `parameters` is A1111's text.
    `notes` says what its maker should know, such as tokens that were not read; usually nothing.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    parameters: str
    index: int
    seed: int
    notes: tuple[str, ...] = ()

    def to_png(self) -> bytes:
        """The picture as a PNG file with `parameters` inside."""
        return encode_png(self.pixels, self.parameters)

    def save(self, path: str | Path, quality: int | None = None) -> None:
        """Write a file so that it is there whole or not at all.

        The name says the format: .png, .jpg, .jpeg or .webp. `quality`, 1 to 100, is that of a
        JPEG (usually 95) or a WebP, which keeps every pixel without it. Raises UsageError for any
        other name or quality.
        """
        path = Path(path)
        options = format_of_name(path, quality).options
        write_file_atomic(path, encode(self.pixels, self.parameters, options))
