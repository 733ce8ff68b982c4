"""What comes back from a cluster of a picture that was asked for."""

from dataclasses import dataclass

from sakuga.engine.errors import RenderError, SakugaError
from sakuga.engine.jobs.outcome import Encoded, is_own


@dataclass(frozen=True)
class Made:
    """A picture. `index`: its place among the requests."""

    index: int
    picture: Encoded


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
    """The failure of one picture as it can be sent; None where it is not the picture's own."""
    if not is_own(error):
        return None
    if isinstance(error, SakugaError):
        return error
    return RenderError(f"{type(error).__name__}: {error}")
