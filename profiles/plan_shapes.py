"""Which shapes a plan is built for: optimisation profiles from families, buckets and batch sizes.

A profile gives each input of a network a smallest shape, the one to tune for, and a largest. A
fixed height and width let the builder pick kernels for that shape alone; a range needs one profile
for all sizes, and memory for its largest corner.
"""

from dataclasses import dataclass
from typing import Literal

from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK
from sakuga.profiles.networks import CONTEXT, ROWS, Network, ShapeRange, lengths, shape_ranges

Kind = Literal["buckets", "range", "sizes"]

ROWS_PER_PICTURE = 2  # with guidance: the prompt's row and the negative prompt's
MAX_CHUNKS = CONTEXT.maximum // CHUNK


@dataclass(frozen=True)
class PlanShapes:
    """`sizes` with `max_batch` pictures at once; a profile for each size, or one over all of them.

    For the VAE a range is a profile for each size and one over all of them.
    """

    kind: Kind
    sizes: tuple[Size, ...]
    max_batch: int

    @property
    def max_rows(self) -> int:
        """Rows of the largest UNet call."""
        return ROWS_PER_PICTURE * self.max_batch


def profiles_of(network: Network, shapes: PlanShapes) -> tuple[dict[str, ShapeRange], ...]:
    """The optimisation profiles of a network, each by input name."""
    if network.name.startswith("text_encoder"):
        return (_profile(network, shapes, shapes.sizes[:1]),)  # knows nothing of sizes
    each = tuple(_profile(network, shapes, (size,)) for size in shapes.sizes)
    if shapes.kind != "range":
        return each
    over_all = _profile(network, shapes, shapes.sizes)
    # A VAE's memory at the range's largest corner, which no bucket is near, is more than twice
    # that of any bucket, and a profile of it costs seconds.
    return (over_all,) if network.name == "unet" else (*each, over_all)


def _profile(
    network: Network, shapes: PlanShapes, sizes: tuple[Size, ...]
) -> dict[str, ShapeRange]:
    smallest, usual, largest = _rows(network, shapes)
    low = Size(min(s.width for s in sizes), min(s.height for s in sizes))
    high = Size(max(s.width for s in sizes), max(s.height for s in sizes))
    return shape_ranges(
        network,
        lengths(low, smallest),
        lengths(sizes[0], usual),
        lengths(high, largest, MAX_CHUNKS),
    )


def _rows(network: Network, shapes: PlanShapes) -> tuple[int, int, int]:
    """Fewest, usual and most rows of a call."""
    if network.name == "unet":
        return 1, ROWS_PER_PICTURE, shapes.max_rows
    if network.name.startswith("text_encoder"):
        return 1, ROWS_PER_PICTURE, min(shapes.max_rows * MAX_CHUNKS, ROWS.maximum)
    # One picture fills a GPU in the VAE, and its memory grows with every further one.
    return 1, 1, 1
