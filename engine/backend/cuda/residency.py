"""What lies in GPU memory and when, decided before anything is loaded.

Working memory grows with rows and pixels, so what a plan needs for fewer of them is reckoned from
what it needs for the most. It is a forecast: the device itself asks TensorRT, and takes fewer rows
where the forecast was wrong.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sakuga.engine.errors import DeviceMemoryError
from sakuga.profiles.buckets import Size
from sakuga.profiles.plan_shapes import ROWS_PER_PICTURE

_RESERVE = 0.05  # of the memory: latents, rows, pictures, graphs
_UNET, _VAE = "unet", "vae_decoder"


@dataclass(frozen=True)
class Need:
    """Bytes of a network: its weights, and its working memory for `rows` of `area` pixels."""

    weights: int
    working: int
    rows: int
    area: int

    def working_for(self, rows: int, area: int) -> int:
        """Working memory of a smaller call."""
        return int(self.working * min(rows / self.rows, 1) * min(area / self.area, 1))


@dataclass(frozen=True)
class Residency:
    """`rows` of a UNet call. `visitors`: networks that are loaded while they are used. With
    `turns` the steps' working memory makes room while a picture is decoded. `total_bytes`: the
    most that is in use at once."""

    rows: int
    visitors: frozenset[str]
    turns: bool
    total_bytes: int

    def __str__(self) -> str:
        words = [f"{self.rows} rows in a call", f"about {self.total_bytes / 1e9:.1f} GB"]
        if self.visitors:
            words.append(f"loaded only while used: {', '.join(sorted(self.visitors))}")
        if self.turns:
            words.append("steps and decoding take turns in one working memory")
        return "; ".join(words)


def plan_residency(
    needs: Mapping[str, Need], budget_bytes: int, size: Size, max_rows: int
) -> Residency:
    """The way that keeps most in memory, with room for one picture with guidance; of its rows as
    many as fit. `size`: the largest picture to be rendered.

    Raises DeviceMemoryError that says what would fit.
    """
    enough = min(ROWS_PER_PICTURE, max_rows)
    for residency in _ways(needs, size.width * size.height, enough):
        if residency.total_bytes <= budget_bytes:
            return _with_most_rows(needs, budget_bytes, size, max_rows, residency)
    *_, least = _ways(needs, size.width * size.height, 1)
    if least.total_bytes <= budget_bytes:
        return least
    raise _does_not_fit(needs, budget_bytes, size, least)


def plan_fixed(needs: Mapping[str, Need], budget_bytes: int, size: Size, rows: int) -> Residency:
    """The way that keeps most in memory with calls of exactly so many rows.

    Raises DeviceMemoryError.
    """
    *ways, least = _ways(needs, size.width * size.height, rows)
    for residency in (*ways, least):
        if residency.total_bytes <= budget_bytes:
            return residency
    raise DeviceMemoryError(
        f"{budget_bytes / 1e9:.1f} GB of GPU memory are too little for calls of {rows} rows of "
        f"{size}.",
        note=f"About {least.total_bytes / 1e9:.1f} GB are needed. A deterministic engine has calls "
        "of one number of rows, whatever memory is free, for rows decide over the last bits.",
        hint="Free memory of the GPU; give a limit with --vram, which decides over the rows; build "
        "plans with a smaller --max-batch; or go without deterministic.",
    )


def _with_most_rows(
    needs: Mapping[str, Need], budget_bytes: int, size: Size, max_rows: int, way: Residency
) -> Residency:
    best = way
    for rows in range(way.rows, max_rows + 1):
        larger = _way(needs, size.width * size.height, rows, way.visitors, way.turns)
        if larger.total_bytes > budget_bytes:
            break
        best = larger
    return best


def _ways(needs: Mapping[str, Need], area: int, rows: int) -> Iterator[Residency]:
    encoders = frozenset(name for name in needs if name not in {_UNET, _VAE})
    for visitors, turns in (
        (frozenset[str](), False),
        (encoders, False),
        (encoders | {_VAE}, False),
        (encoders | {_VAE}, True),
    ):
        yield _way(needs, area, rows, visitors, turns)


def _way(
    needs: Mapping[str, Need], area: int, rows: int, visitors: frozenset[str], turns: bool
) -> Residency:
    """The most in use at once: what always lies there, and the largest of what comes and goes."""
    working = {
        name: need.working_for(rows, area) if name == _UNET else need.working_for(need.rows, area)
        for name, need in needs.items()
    }
    always = sum(need.weights for name, need in needs.items() if name not in visitors)
    always += sum(working[name] for name in needs if name not in visitors | {_UNET})
    visit = max((needs[name].weights + working[name] for name in visitors), default=0)
    steps = working[_UNET]
    total = always + (max(steps, visit) if turns else steps + visit)
    return Residency(rows, visitors, turns, int(total * (1 + _RESERVE)))


def _does_not_fit(
    needs: Mapping[str, Need], budget_bytes: int, size: Size, least: Residency
) -> DeviceMemoryError:
    def fit(side: int) -> bool:
        *_, least = _ways(needs, side * side, 1)
        return least.total_bytes <= budget_bytes

    smaller = next(filter(fit, range(min(size.width, size.height), 0, -64)), None)
    fits = f"Up to about {smaller}x{smaller} would fit." if smaller else "No size fits."
    weights = sum(need.weights for need in needs.values())
    return DeviceMemoryError(
        f"{budget_bytes / 1e9:.1f} GB of GPU memory are too little for {size}.",
        note=f"At least about {least.total_bytes / 1e9:.1f} GB are needed, one row at a time; the "
        f"networks' weights alone are {weights / 1e9:.1f} GB.",
        hint=f"{fits} Free memory of the GPU, or render with --backend onnx on the processor.",
    )
