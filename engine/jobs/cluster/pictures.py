"""The pictures that requests begin from, on their way to other machines."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sakuga.engine.errors import PictureFileError
from sakuga.engine.image.source import Source
from sakuga.engine.runtime.request import Request

Read = Callable[[Path], bytes]


def anchored(request: Request) -> Request:
    """The request with paths that mean the same wherever a process runs."""
    return _with(request, lambda path: Source(path.absolute()))


def carried(request: Request, read: Read) -> Request:
    """The request with the bytes of its picture files in the place of their paths, which another
    machine may not see. Raises PictureFileError where `read` raises OSError."""

    def bytes_of(path: Path) -> Source:
        try:
            return Source(read(path))
        except OSError as error:
            raise PictureFileError(
                f"{path} cannot be read.",
                note=f"{error.strerror or error}, on the machine that has the job file.",
                hint="Check the path.",
            ) from error

    return _with(request, bytes_of)


def _with(request: Request, change: Callable[[Path], Source]) -> Request:
    init = request.init
    if init is None:
        return request
    mask = init.mask
    if mask is not None:
        mask = replace(mask, picture=_changed(mask.picture, change))
    return replace(request, init=replace(init, picture=_changed(init.picture, change), mask=mask))


def _changed(source: Source, change: Callable[[Path], Source]) -> Source:
    return change(source.origin) if isinstance(source.origin, Path) else source
