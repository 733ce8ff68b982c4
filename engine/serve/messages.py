"""What the HTTP process and an engine process say to each other."""

from dataclasses import dataclass
from pathlib import Path

from sakuga.engine.image.formats import FileFormat
from sakuga.engine.runtime.admission import Statistics
from sakuga.engine.runtime.request import Request
from sakuga.engine.serve.enlargement import Enlargement
from sakuga.profiles.buckets import Sizes

PictureId = tuple[str, int]  # a job's id, and which of its pictures


@dataclass(frozen=True)
class Opening:
    """How to open a bundle: see `Engine.open`."""

    bundle: Path
    backend: str | None = None
    preset: str | None = None
    threads: int | None = None
    vram_bytes: int | None = None
    embeddings: Path | None = None
    upscalers: Path | None = None
    detectors: Path | None = None


@dataclass(frozen=True)
class Ask:
    """Render a picture."""

    id: PictureId
    request: Request
    format: FileFormat
    priority: int = 0
    deadline_s: float | None = None
    preview_every: int = 0


@dataclass(frozen=True)
class Enlarge:
    """Enlarge a picture."""

    id: PictureId
    enlargement: Enlargement
    format: FileFormat


@dataclass(frozen=True)
class Cancel:
    """Nobody wants a picture any more."""

    id: PictureId


@dataclass(frozen=True)
class Stop:
    """Close the engine and end."""


@dataclass(frozen=True)
class Opened:
    """The engine is there. `sizes`: what its device renders of the bundle's, None for all."""

    backend: str
    sizes: Sizes | None
    slots: int


@dataclass(frozen=True)
class Beat:
    """The engine's thread answers."""

    statistics: Statistics


@dataclass(frozen=True)
class Stepped:
    """A picture has had `done` evaluations of `total`."""

    id: PictureId
    done: int
    total: int


@dataclass(frozen=True)
class Previewed:
    """What becomes of a picture, as a JPEG."""

    id: PictureId
    jpeg: bytes


@dataclass(frozen=True)
class Made:
    """A picture file, with its settings in it."""

    id: PictureId
    data: bytes
    parameters: str
    seed: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """An error: the name of its class and its three parts. `id` None: the engine did not open, or
    cannot go on."""

    id: PictureId | None
    kind: str
    what: str
    note: str = ""
    hint: str = ""


ToEngine = Ask | Enlarge | Cancel | Stop
FromEngine = Opened | Beat | Stepped | Previewed | Made | Failed
