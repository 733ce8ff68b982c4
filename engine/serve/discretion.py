"""Answers tell no path of this machine. The log and the command line do: they are its owner's."""

import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from sakuga.engine.errors import SakugaError
from sakuga.engine.platform import cache_folder
from sakuga.engine.presets import user_folder
from sakuga.engine.serve.messages import Failed, Opening

_ELLIPSIS = "…"
_END = r"[^\s/\\'\":;,<>|]+"
_OTHERS = (
    re.compile(rf"(?<![\w/.{_ELLIPSIS}])(?:/{_END})+(/{_END})"),
    re.compile(rf"(?<!\w)[A-Za-z]:(?:\\{_END})*(\\{_END})"),
)


class Discretion:
    """Takes paths out of texts: of the folders a server has to do with, whatever their names; of
    others, as far as they have no blanks. What lies in a folder keeps its name."""

    def __init__(self, openings: Iterable[Opening] = ()) -> None:
        folders = {Path(sys.prefix), Path(tempfile.gettempdir()), Path(__file__).parent, Path.cwd()}
        folders |= {*_own_folders()}
        for opening in openings:
            for folder in filter(None, (opening.bundle, opening.embeddings)):
                folders |= {folder, folder.absolute().parent}
        spellings = {spelling for folder in folders for spelling in _spellings(folder)}
        known = "|".join(map(re.escape, sorted(spellings, key=len, reverse=True)))
        self._known = re.compile(rf"(?<!\w)(?:{known})(?!\w)")

    def text(self, text: str) -> str:
        """A text without them."""
        text = self._known.sub(_ELLIPSIS, text)
        for pattern in _OTHERS:
            text = pattern.sub(rf"{_ELLIPSIS}\1", text)
        return text

    def error(self, error: SakugaError | Failed) -> Failed:
        """An error's kind and its three parts, as they may be told."""
        told = error.id if isinstance(error, Failed) else None
        kind = error.kind if isinstance(error, Failed) else type(error).__name__
        return Failed(told, kind, *map(self.text, (error.what, error.note, error.hint)))


def _own_folders() -> Iterator[Path]:
    """Where a user's own things lie, as far as there are such places."""
    for find in (Path.home, cache_folder, user_folder):
        with suppress(RuntimeError, OSError, SakugaError):
            if (folder := find()) is not None:
                yield folder


def _spellings(folder: Path) -> Iterator[str]:
    """As it was given, as it is, and as Python quotes it; but no single name, for that is a word
    like others."""
    for path in (folder, folder.absolute(), folder.resolve()):
        if len(path.parts) > 1:
            yield from (str(path), repr(str(path))[1:-1])
