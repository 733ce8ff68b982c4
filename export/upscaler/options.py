"""How to build an upscaler's folder."""

from dataclasses import dataclass

from sakuga.engine.errors import UsageError
from sakuga.engine.upscaler_folder import SideRule
from sakuga.export.plans.flavour import CURRENT, PlanBackend

# A1111's own, for DAT and for the ESRGAN kinds alike.
TILE, OVERLAP = 192, 8
_FOLDS = 4  # of what a network makes one place of, that neighbouring tiles share


def usual_overlap(sides: SideRule, window: int | None) -> int:
    """A1111's, or more for a network that folds its picture: a place of Real-ESRGAN x2plus is four
    pixels wide, and two of them are not enough. Windows of attention are no such places."""
    return OVERLAP if window is not None else max(OVERLAP, _FOLDS * sides.multiple)


@dataclass(frozen=True)
class UpscalerOptions:
    """`name`: what it will be called, as its file is where None. `licence`: of its weights, in
    words, None where nobody said. `tile` and `overlap`: how large pictures are cut, in pixels; an
    overlap of None is `usual_overlap`. `backend`: a library to build a plan with besides, for
    `gpu`: `current`, `any` or capabilities.

    Raises UsageError for an overlap that leaves nothing of a tile.
    """

    name: str | None = None
    licence: str | None = None
    tile: int = TILE
    overlap: int | None = None
    backend: PlanBackend | None = None
    gpu: str = CURRENT

    def __post_init__(self) -> None:
        if self.overlap is not None and not 0 <= 2 * self.overlap < self.tile:
            raise UsageError(
                f"Tiles of {self.tile} pixels cannot overlap by {self.overlap}.",
                hint=f"Give an overlap below {self.tile // 2}.",
            )
