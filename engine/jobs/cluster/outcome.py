"""What comes back from a cluster of a picture that was asked for."""

from dataclasses import dataclass, field

from sakuga.engine.errors import MetadataError, RenderError, SakugaError, UsageError
from sakuga.profiles.buckets import Size


@dataclass(frozen=True)
class Made:
    """A picture, `data` being the whole file with `parameters` inside. `index`: its place among the
    requests."""

    index: int
    data: bytes = field(repr=False)
    seed: int
    parameters: str
    notes: tuple[str, ...]
    size: Size


@dataclass(frozen=True)
class Unmade:
    """A picture that could not be made, for a reason of its own."""

    index: int
    error: SakugaError


@dataclass(frozen=True)
class PutOff:
    """A batch that was begun more than once by processes that died, perhaps of it."""


@dataclass(frozen=True)
class Broken:
    """Why no picture can be made where this comes from. `host`: its machine."""

    host: str
    error: SakugaError


Told = Made | Unmade | PutOff | Broken


def own_error(error: Exception) -> SakugaError | None:
    """The failure of one picture, so that the next ones may do better; None where it is not one.

    The network's answers, settings no file has room for, and whatever a library raises of itself;
    not a disk, a bundle or a GPU that fails.
    """
    if isinstance(error, RenderError | MetadataError | UsageError):
        return error
    if isinstance(error, SakugaError | OSError):
        return None
    return RenderError(f"{type(error).__name__}: {error}")
