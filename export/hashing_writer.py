"""Appends to a file, counts and hashes what it appends: nothing is read a second time."""

import hashlib
from typing import IO


class HashingWriter:
    """Knows size and SHA-256 of all that was written through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.position = 0

    def write(self, block: bytes | memoryview) -> None:
        """Append a block of bytes."""
        self._file.write(block)
        self._digest.update(block)
        self.position += len(block)

    @property
    def sha256(self) -> str:
        """Of all that was written, in hex."""
        return self._digest.hexdigest()
