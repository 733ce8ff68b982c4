"""What TensorRT for RTX compiles for a GPU, kept from one process to the next.

Losing it costs time and nothing else, so neither a damaged file, nor one of another driver, nor a
folder that cannot be written is an error.
"""

import hashlib
import logging
import re
from pathlib import Path
from typing import Any

from sakuga.engine.gpu import Gpu
from sakuga.engine.platform import cache_folder, write_file_atomic

_LOG = logging.getLogger("sakuga")


def jit_file(backend: str, version: str, gpu: Gpu) -> Path | None:
    """Where a library keeps it for a GPU; None where the user's cache folder cannot be made."""
    name = re.sub(r"[^\w.]+", "-", f"{backend}-{version}-{gpu.name}-{gpu.capability}")
    try:
        return cache_folder() / "jit" / f"{name}.cache"
    except OSError as error:
        _tell(str(error))
        return None


class JitCache:
    """One cache for all contexts of a process, none of which it may die before.

    With no `path`, or with a library that has no such cache, it does nothing. Of two processes
    that write the same file the later one's is kept, and is whole.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._cache: Any = None
        self._kept = b""  # the digest of what the file holds

    def join(self, config: Any) -> None:  # noqa: ANN401
        """Have the contexts made with a runtime config share it. A GPU must be current."""
        if self._path is None or not hasattr(config, "create_runtime_cache"):
            return
        if self._cache is None:
            self._cache = config.create_runtime_cache()
            self._load(self._path)
        if not config.set_runtime_cache(self._cache):
            self._give_up("TensorRT takes no cache")

    def save(self) -> None:
        """Write the file, where there is something new."""
        if self._path is None or self._cache is None:
            return
        made = self._cache.serialize()
        if made is None:
            return
        blob = bytes(made)
        digest = hashlib.sha256(blob).digest()
        if digest == self._kept:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_file_atomic(self._path, blob)
        except OSError as error:
            self._give_up(str(error))
        self._kept = digest

    def _load(self, path: Path) -> None:
        try:
            blob = path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            self._give_up(str(error))
            return
        if self._cache.deserialize(blob):
            self._kept = hashlib.sha256(blob).digest()
        else:
            _LOG.info("%s is damaged, or of another driver; it is made again.", path)

    def _give_up(self, reason: str) -> None:
        self._path = None
        _tell(reason)


def _tell(reason: str) -> None:
    _LOG.warning("What TensorRT compiles is not kept: the next start is as slow. %s.", reason)
