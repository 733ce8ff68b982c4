"""Reading a picture file: what it is, and the settings in it."""

from collections.abc import Callable
from io import BufferedReader, BytesIO
from pathlib import Path

from sakuga.engine.errors import MetadataError
from sakuga.engine.image import jpeg_reader, png_reader, webp_reader
from sakuga.engine.image.infotext import Infotext
from sakuga.engine.image.infotext_parser import parse_infotext
from sakuga.engine.image.picture_file import PictureFile

_READERS: dict[bytes, Callable[[BufferedReader], PictureFile]] = {
    png_reader.SIGNATURE: png_reader.read_png,
    jpeg_reader.SIGNATURE: jpeg_reader.read_jpeg,
    webp_reader.SIGNATURE: webp_reader.read_webp,
}


def read_metadata(path: Path) -> PictureFile:
    """Format, size and texts of a picture file; its pixels are not read.

    Raises MetadataError for what is no PNG, JPEG or WebP, for a damaged one, and for a file that
    cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        raise MetadataError(
            f"{path} cannot be read.", note=f"{error.strerror or error}.", hint="Check the path."
        ) from error
    except MetadataError as error:
        raise _of(path, error) from error


def metadata_of(data: bytes) -> PictureFile:
    """The same of a picture file's bytes."""
    return _read(BufferedReader(BytesIO(data)))


def read_infotext(path: str | Path) -> Infotext:
    """The settings in a picture of Sakuga, A1111, Forge, or a tool that writes as they do.

    Raises MetadataError for what is no picture, and for one whose settings are absent or wrong.
    """
    path = Path(path)
    return infotext_in(read_metadata(path), str(path))


def infotext_in(found: PictureFile, name: str) -> Infotext:
    """The settings in what was read of a picture called `name`. Raises MetadataError."""
    if found.parameters is None:
        raise MetadataError(
            f"There are no settings in {name}.",
            note="ComfyUI made it, and its workflow is in it: that is a graph of nodes."
            if found.workflow
            else "No text called `parameters`, no EXIF user comment.",
            hint="Read the settings off the workflow in ComfyUI and give them as options."
            if found.workflow
            else "Programs that edit or upload pictures often lose them; find the original.",
        )
    try:
        return parse_infotext(found.parameters)
    except MetadataError as error:
        raise _of(name, error) from error


def _read(file: BufferedReader) -> PictureFile:
    for signature, read in _READERS.items():
        file.seek(0)
        if file.read(len(signature)) == signature:
            return read(file)
    raise MetadataError(
        "This is no picture that can be read.",
        note="It does not begin as a PNG, a JPEG or a WebP does.",
        hint="Give a picture of one of these formats.",
    )


def _of(name: str | Path, error: MetadataError) -> MetadataError:
    return MetadataError(f"{name}: {error.what}", note=error.note, hint=error.hint)
