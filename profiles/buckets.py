"""Picture sizes: the nine Animagine buckets and the rule a family's sizes obey."""

import re
from dataclasses import dataclass
from typing import Protocol

_WRITTEN = re.compile(r"(\d{1,5})x(\d{1,5})")


@dataclass(frozen=True, order=True)
class Size:
    """A picture size in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str) -> "Size":
        """Reads what `str` writes. Raises ValueError."""
        match = _WRITTEN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no size such as 832x1216")
        return cls(int(match[1]), int(match[2]))

    def latent(self, factor: int = 8) -> tuple[int, int]:
        """Latent (height, width): pixels divided by the VAE's factor."""
        return self.height // factor, self.width // factor


# Source: the model card of Animagine XL 3.1, "Multi Aspect Resolution".
ANIMAGINE_BUCKETS = (
    Size(1024, 1024),
    Size(1152, 896),
    Size(896, 1152),
    Size(1216, 832),
    Size(832, 1216),
    Size(1344, 768),
    Size(768, 1344),
    Size(1536, 640),
    Size(640, 1536),
)

# The same nine shapes at about a quarter of the sides, in multiples of 32.
QUARTER_BUCKETS = (
    Size(256, 256),
    Size(288, 224),
    Size(224, 288),
    Size(320, 224),
    Size(224, 320),
    Size(352, 192),
    Size(192, 352),
    Size(384, 160),
    Size(160, 384),
)


class Sizes(Protocol):
    """Which sizes can be rendered; `str` says so in a sentence."""

    def allows(self, size: Size) -> bool:
        """Whether this one can be."""
        ...

    def nearest(self, size: Size) -> tuple[Size, ...]:
        """Those closest to it, nearest first."""
        ...


@dataclass(frozen=True)
class SizeList:
    """These sizes and no others."""

    sizes: tuple[Size, ...]

    def __str__(self) -> str:
        return f"Sizes are {', '.join(map(str, self.sizes))}."

    def allows(self, size: Size) -> bool:
        return size in self.sizes

    def nearest(self, size: Size) -> tuple[Size, ...]:
        return tuple(sorted(self.sizes, key=lambda near: (_distance(near, size), near)))[:3]


@dataclass(frozen=True)
class SizeRule:
    """Which sizes a family renders: each side a multiple of `step` within [minimum, maximum]."""

    minimum: int
    maximum: int
    step: int

    def __str__(self) -> str:
        return f"Sides are multiples of {self.step} from {self.minimum} to {self.maximum}."

    def allows(self, size: Size) -> bool:
        return all(
            self.minimum <= side <= self.maximum and side % self.step == 0
            for side in (size.width, size.height)
        )

    def nearest(self, size: Size) -> tuple[Size, ...]:
        """The closest allowed sizes, nearest first: each side rounded down and up, after a picture
        that is too large was scaled until both fit."""
        size = self._shrunk(size)
        sides = [self._nearest_sides(side) for side in (size.width, size.height)]
        found = {Size(width, height) for width in sides[0] for height in sides[1]}
        return tuple(sorted(found, key=lambda near: (_distance(near, size), near)))

    def _shrunk(self, size: Size) -> Size:
        longest = max(size.width, size.height)
        if longest <= self.maximum:
            return size
        scale = self.maximum / longest
        return Size(round(size.width * scale), round(size.height * scale))

    def _nearest_sides(self, side: int) -> set[int]:
        down, rest = divmod(side, self.step)
        around = (down, down + 1) if rest else (down,)
        return {min(max(n * self.step, self.minimum), self.maximum) for n in around}


def _distance(a: Size, b: Size) -> int:
    return abs(a.width - b.width) + abs(a.height - b.height)
