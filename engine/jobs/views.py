"""What people look at in an output folder: a contact sheet, and a page of all pictures."""

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from sakuga.engine.image.sheet import MAX_THUMBNAILS, contact_sheet, file_thumbnail
from sakuga.engine.jobs.gallery import write_gallery
from sakuga.engine.jobs.ids import CONTACT_SHEET
from sakuga.engine.jobs.ledger import Ledger
from sakuga.engine.jobs.records import LISTED, done, noted
from sakuga.engine.platform import write_file_atomic

SHEET_FILE, GALLERY_FILE = f"{CONTACT_SHEET}.png", "gallery.html"
VIEWS = (SHEET_FILE, GALLERY_FILE)
_SHOWN = "views"  # the note of what they show


def write_views(out: Path, ledger: Ledger) -> list[Path]:
    """Write both for the pictures that are done, if there are two; the paths of those there are.

    What shows them already is left as it is. Raises OSError.
    """
    paths = [out / name for name in VIEWS]
    state = _state(ledger.connection)
    if state.startswith(("0 ", "1 ")):
        return []
    if noted(ledger.connection, _SHOWN) != state or not all(path.is_file() for path in paths):
        first = islice(done(ledger.connection), MAX_THUMBNAILS)
        write_sheet(out / SHEET_FILE, [(out / each.path, each.id) for each in first])
        write_page(out, ledger)
        ledger.note(_SHOWN, state)
    return paths


def write_page(out: Path, ledger: Ledger) -> Path:
    """The page alone, which takes a moment for ten thousand pictures. Raises OSError."""
    write_gallery(out / GALLERY_FILE, out.absolute().name, done(ledger.connection))
    return out / GALLERY_FILE


def write_sheet(path: Path, pictures: Sequence[tuple[Path, str]]) -> None:
    """A contact sheet of picture files with captions, at most 400 of them. Raises OSError."""
    with ThreadPoolExecutor() as pool:
        thumbnails = pool.map(file_thumbnail, *zip(*pictures[:MAX_THUMBNAILS], strict=True))
        write_file_atomic(path, contact_sheet(list(thumbnails)))


def _state(connection: sqlite3.Connection) -> str:
    """How many pictures are done, and which was the last."""
    found = connection.execute(
        f"SELECT COUNT(*), MAX(finished) FROM jobs WHERE state = 'done' AND {LISTED}"
    ).fetchone()
    return f"{found[0]} {found[1]}"
