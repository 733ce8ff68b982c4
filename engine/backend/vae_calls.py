"""How much of a picture goes through the VAE in one call."""

from dataclasses import dataclass
from math import isqrt

from sakuga.engine.errors import SizeError
from sakuga.engine.manifest import NetworkEntry
from sakuga.profiles.buckets import Size, SizeList, SizeRule, Sizes
from sakuga.profiles.families import VAE_FACTOR

Shape = tuple[int, int]  # height and width of a latent


@dataclass(frozen=True)
class Room:
    """Pictures of up to `whole` pixels go through in one call, larger ones in windows of at most
    `window` pixels."""

    whole: int
    window: int


# The decoder's attention takes memory by the square of the pixels. A process with the full model in
# float32 reached 4.0 GB at 1024x1024 and 14.0 GB at 1536x1536. Up to there pictures are exact, so
# 832x1216 enlarged one and a half times is.
PROCESSOR = Room(whole=1536 * 1536, window=1024 * 1024)


def tile_for(
    entry: NetworkEntry, latent: Shape, sizes: Sizes | None = None, room: Room | None = None
) -> Shape:
    """The latent of one call of a VAE's network, for pictures of that latent: all of it where that
    can be, else the largest windows there are.

    `sizes` of pictures that the device takes, None for all that the graph takes; `room` None for
    as much as there is. Raises SizeError for a picture that is smaller than every call.
    """
    rule = _rule(entry)
    size = Size(VAE_FACTOR * latent[1], VAE_FACTOR * latent[0])
    allowed = rule.allows(size) and (sizes is None or sizes.allows(size))
    if allowed and (room is None or size.width * size.height <= room.whole):
        return latent
    if isinstance(sizes, SizeList):
        return _largest_of(sizes, size)
    return _largest(sizes if isinstance(sizes, SizeRule) else rule, size, room)


def _rule(entry: NetworkEntry) -> SizeRule:
    """What the graph takes; the encoder's axes are in pixels, the decoder's in latent places."""
    scale = 1 if "height" in entry.axes else VAE_FACTOR
    axis = entry.axes["height" if scale == 1 else "latent_height"]  # both sides have the same
    return SizeRule(scale * axis.minimum, scale * axis.maximum, scale * axis.step)


def _largest_of(sizes: SizeList, size: Size) -> Shape:
    fitting = [s for s in sizes.sizes if s.width <= size.width and s.height <= size.height]
    if not fitting:
        raise _too_small(size, str(sizes))
    return max(fitting, key=lambda s: s.width * s.height).latent(VAE_FACTOR)


def _largest(rule: SizeRule, size: Size, room: Room | None) -> Shape:
    """As near to a square as the picture lets it be: so most of it lies far from its borders."""
    area = rule.maximum**2 if room is None else room.window
    if min(size.width, size.height) < rule.minimum:
        raise _too_small(size, str(rule))

    def side(*limits: int) -> int:
        return min(*limits, rule.maximum) // rule.step * rule.step

    height = side(size.height, isqrt(area))
    width = side(size.width, area // height)
    height = side(size.height, area // width)
    return Size(width, height).latent(VAE_FACTOR)


def _too_small(size: Size, sizes: str) -> SizeError:
    return SizeError(
        f"A picture of {size} is too small for the VAE.", note=sizes, hint="Enlarge it first."
    )
