"""What of an architecture makes a bad graph when it is traced, and what stands for it meanwhile.

DAT cuts a picture into windows and masks those that its shift has joined from opposite edges. It
writes that mask piece by piece into an array, which a graph would do at every run, and keeps one
for the side it was trained at. The same mask follows from where each row and column lies.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_DAT = "spandrel.architectures.DAT.__arch.DAT"
# Added to scores between points that are no neighbours. DAT adds -100, whose exponential is a
# denormal number, and processors are slow with those; this one's is zero.
_APART = -1000.0
_NO_SIDE = -1  # the side for which DAT keeps a mask: none, so that each size has its own


@contextmanager
def traceable(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The module, in a form that traces; as it was afterwards."""
    masked: list[Any] = [each for each in module.modules() if hasattr(each, "calculate_mask")]
    if type(module).__name__ != "DAT":
        yield module
        return
    dat: Any = importlib.import_module(_DAT)
    kept, sides = dat.windows2img, [each.patches_resolution for each in masked]
    dat.windows2img = _joined
    for each in masked:
        each.calculate_mask = _Mask(each.split_size, each.shift_size)
        each.patches_resolution = _NO_SIDE
    try:
        yield module
    finally:
        dat.windows2img = kept
        for each, side in zip(masked, sides, strict=True):
            del each.calculate_mask
            each.patches_resolution = side


class _Mask:
    """Stands for `calculate_mask` of one attention layer."""

    def __init__(self, split: list[int], shift: list[int]) -> None:
        self._split, self._shift = split, shift

    def __call__(
        self, height: int, width: int, dtype: torch.dtype | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Of both kinds of windows: [windows, points, points]."""
        (a, b), (c, d) = self._split, self._shift
        return (
            window_mask(height, width, (a, b), (c, d), dtype),
            window_mask(height, width, (b, a), (d, c), dtype),
        )


def window_mask(
    height: int,
    width: int,
    window: tuple[int, int],
    shift: tuple[int, int],
    dtype: torch.dtype | None,
) -> torch.Tensor:
    """0 between points of a window that lay side by side before the shift, far below 0 else.

    `window` and `shift` are (height, width); [windows, points, points].
    """
    down = _parts(height, window[0], shift[0])
    across = _parts(width, window[1], shift[1])
    regions = (3 * down[:, None] + across[None, :]).view(
        height // window[0], window[0], width // window[1], window[1]
    )
    points = regions.permute(0, 2, 1, 3).reshape(-1, window[0] * window[1])
    apart = points[:, None, :] != points[:, :, None]
    return apart.to(dtype or torch.float32) * _APART


def _parts(length: int, window: int, shift: int) -> torch.Tensor:
    """Of each row: 0, in the last window 1, and 2 in what the shift has brought there."""
    at = torch.arange(length)
    return (at >= length - window).to(torch.int64) + (at >= length - shift).to(torch.int64)


def _joined(windows: torch.Tensor, tall: int, wide: int, height: int, width: int) -> torch.Tensor:
    """Stands for `windows2img`, for one picture: [windows, points, c] to [1, h, w, c]."""
    grid = windows.view(1, height // tall, width // wide, tall, wide, windows.shape[-1])
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(1, height, width, windows.shape[-1])
