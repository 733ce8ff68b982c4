"""All tensors of one component's files, or of a single file, under one roof."""

from collections.abc import Mapping
from pathlib import Path

from sakuga.engine.errors import FileFormatError
from sakuga.export.checkpoint.safetensors_file import SafetensorsFile
from sakuga.export.checkpoint.safetensors_header import TensorInfo
from sakuga.export.checkpoint.sources import Array


class TensorStore:
    """Tensors by key across files. Raises FileFormatError where two files hold the same key."""

    def __init__(self, files: tuple[SafetensorsFile, ...]) -> None:
        self.files = files
        self._owner: dict[str, SafetensorsFile] = {}
        for file in files:
            for key in file.tensors:
                if key in self._owner:
                    raise _held_twice(key, self._owner[key].path, file.path)
                self._owner[key] = file

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Dtype and stored shape of every tensor by key."""
        return {key: file.tensors[key] for key, file in self._owner.items()}

    def __contains__(self, key: str) -> bool:
        return key in self._owner

    def info(self, key: str) -> TensorInfo:
        """Dtype and stored shape of one tensor."""
        return self._owner[key].tensors[key]

    def read(self, key: str, rows: slice | None) -> Array:
        """The tensor or some of its rows, as SafetensorsFile.read gives them."""
        return self._owner[key].read(key, rows)


def _held_twice(key: str, first: Path, second: Path) -> FileFormatError:
    return FileFormatError(
        f"{key} is in two files: {first} and {second}.",
        note="Which of the two is meant cannot be told.",
        hint="Remove the file that does not belong to the model.",
    )
