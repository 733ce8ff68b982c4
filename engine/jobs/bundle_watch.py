"""Whether the bundle that pictures come from is still the one that was opened."""

import threading
from collections.abc import Callable
from pathlib import Path

from sakuga.engine.bundle import Bundle, read_manifest
from sakuga.engine.errors import BundleError, BundleFormatError
from sakuga.engine.manifest import MANIFEST


def bundle_watch(bundle: Bundle) -> Callable[[], None]:
    """A check for any thread, quick while nothing has happened to the manifest's file.

    It raises BundleError where another bundle, or none, stands where this one stood: networks
    that are loaded late would be the other's.
    """
    path = bundle.path / MANIFEST
    known: list[tuple[int, ...] | None] = [None]
    lock = threading.Lock()

    def check() -> None:
        with lock:
            stamp = _stamp(path)
            if stamp is not None and stamp == known[0]:
                return
            try:
                same = read_manifest(bundle.path) == bundle.manifest
            except BundleFormatError:
                same = False
            if not same:
                raise _replaced(bundle)
            known[0] = stamp

    return check


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _replaced(bundle: Bundle) -> BundleError:
    return BundleError(
        f"The bundle {bundle.path} was replaced or removed while pictures were made with it.",
        note="Every picture written so far comes from the bundle that was opened.",
        hint="Put that bundle back and run the command again; what another bundle changes is told.",
    )
