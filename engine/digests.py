"""SHA-256 of files, remembered for files that have not changed.

A digest is remembered under device, inode, size and both times of its file, so a bundle of seven
gigabytes is read once and opens at once from then on.
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sakuga.engine.platform import cache_folder, write_file_atomic

_BLOCK = 1 << 22
_REMEMBERED = 4096


def file_sha256(path: Path) -> str:
    """The file's SHA-256 in hex, read from the disk."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class DigestMemory:
    """Digests of files seen before, kept in the user's cache folder.

    Losing the memory costs time and nothing else, so a cache folder that cannot be written is no
    error.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._known: dict[str, str] = {}
        self._path: Path | None = None
        try:
            self._path = path or cache_folder() / "digests.json"
            known = json.loads(self._path.read_text())
            self._known = {str(key): str(value) for key, value in known.items()}
        except (OSError, RecursionError, ValueError, AttributeError):
            pass  # RecursionError: JSON nested too deep

    def sha256s(self, paths: Mapping[str, Path]) -> dict[str, str]:
        """SHA-256 of each file, by the same names; files not remembered are read in parallel."""
        # Keys before contents: a file that changes while it is read is not remembered wrongly.
        keys = {name: _key(path) for name, path in paths.items()}
        unknown = [name for name, key in keys.items() if key not in self._known]
        if unknown:
            with ThreadPoolExecutor() as pool:
                digests = pool.map(file_sha256, [paths[name] for name in unknown])
            self._keep({keys[name]: digest for name, digest in zip(unknown, digests, strict=True)})
        return {name: self._known[key] for name, key in keys.items()}

    def remember(self, digests: Mapping[Path, str]) -> None:
        """Keep digests just computed."""
        self._keep({_key(path): digest for path, digest in digests.items()})

    def _keep(self, digests: Mapping[str, str]) -> None:
        self._known.update(digests)
        if self._path is None:
            return
        newest = dict(list(self._known.items())[-_REMEMBERED:])
        try:
            write_file_atomic(self._path, json.dumps(newest).encode())
        except OSError:
            return


def _key(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"
