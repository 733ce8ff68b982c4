"""What reading a picture file finds, and how it fails."""

from dataclasses import dataclass
from io import BufferedReader

from sakuga.engine.errors import MetadataError

MAX_BYTES = 1 << 20  # of a text
MAX_PARTS = 10_000  # segments of a JPEG, chunks of a WebP: real ones have a few dozen


@dataclass(frozen=True)
class PictureFile:
    """A picture file without its pixels.

    `parameters`: A1111's text, if it is there; `workflow`: whether ComfyUI's is.
    """

    format: str
    width: int
    height: int
    parameters: str | None
    workflow: bool = False


def read_exactly(file: BufferedReader, count: int, format: str) -> bytes:
    """The next `count` bytes. Raises MetadataError where the file ends before."""
    data = file.read(count)
    if len(data) < count:
        raise damaged(format, "it ends before it should")
    return data


def damaged(format: str, what: str) -> MetadataError:
    """The error for a file that is not what its first bytes say."""
    return MetadataError(
        f"This {format} picture is damaged.",
        note=f"{what[0].upper()}{what[1:]}.",
        hint="Find another copy of it.",
    )
