"""A picture to make, and what becomes of it."""

from dataclasses import dataclass, field
from pathlib import Path

from sakuga.engine.errors import MetadataError, RenderError, SakugaError, UsageError
from sakuga.engine.image.formats import Options, encode
from sakuga.engine.jobs.job import Job
from sakuga.engine.runtime.picture import Picture
from sakuga.profiles.buckets import Size


@dataclass(frozen=True)
class Task:
    """A job with nothing left to chance. `path`: its file, from the output folder on, with slashes;
    `size`: what was asked for, in pixels, WxH."""

    job: Job
    path: str
    size: str


@dataclass(frozen=True)
class Encoded:
    """A picture as the bytes of its file, `parameters` inside."""

    data: bytes = field(repr=False)
    seed: int
    parameters: str
    notes: tuple[str, ...]
    size: Size


def encoded(picture: Picture, options: Options) -> Encoded:
    """A picture in a format. Raises MetadataError where that has no room for its settings."""
    data = encode(picture.pixels, picture.parameters, options)
    height, width, _ = picture.pixels.shape
    size = Size(width, height)
    return Encoded(data, picture.seed, picture.parameters, picture.notes, size)


@dataclass(frozen=True)
class Rendered:
    """A picture that lies on the disk, as it is told. `seconds`: since the one before it."""

    id: str
    path: Path
    seed: int
    parameters: str
    notes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Written:
    """A picture that lies on the disk, whole. `pixels`: its size, WxH; `size_bytes`, `sha256` (hex)
    and `mtime_ns` are the file's; `seconds`: since the one before it."""

    task: Task
    seed: int
    parameters: str
    notes: tuple[str, ...]
    pixels: str
    size_bytes: int
    sha256: str
    mtime_ns: int
    seconds: float = 0.0

    def rendered(self, out: Path) -> Rendered:
        """What is told of it; `out`: the folder it lies in."""
        return Rendered(
            self.task.job.id,
            out / self.task.path,
            self.seed,
            self.parameters,
            self.notes,
            self.seconds,
        )


@dataclass(frozen=True)
class Failed:
    """A picture that could not be made, for a reason of its own."""

    task: Task
    error: BaseException

    @property
    def text(self) -> str:
        """What happened, with its facts, in one line."""
        error = self.error
        if not isinstance(error, SakugaError):
            return f"{type(error).__name__}: {error}"
        return f"{error.what} {error.note}".strip()


Outcome = Written | Failed


def is_own(error: BaseException) -> bool:
    """Whether a failure is the picture's own, so that the next ones may do better.

    The network's answers, settings no file has room for, and whatever a library raises of itself;
    not a disk, a bundle or a GPU that fails.
    """
    if isinstance(error, RenderError | MetadataError | UsageError):
        return True
    return isinstance(error, Exception) and not isinstance(error, SakugaError | OSError)
