"""Pictures to files: encoded, durable, and known by their bytes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sakuga.engine.image.formats import FileFormat, encode
from sakuga.engine.jobs.outcome import Task, Written
from sakuga.engine.platform import make_folder, write_file_atomic
from sakuga.engine.runtime.picture import Picture


@dataclass(frozen=True)
class Writer:
    """Writes pictures into a folder that is there, from any thread.

    `check` is called before each: it raises where pictures may not be what they say.
    """

    folder: Path
    format: FileFormat
    check: Callable[[], None]

    def write(self, task: Task, picture: Picture) -> Written:
        """The picture's file, whole on the disk. Raises OSError, MetadataError, and as `check`."""
        self.check()
        data = encode(picture.pixels, picture.parameters, self.format.options)
        height, width, _ = picture.pixels.shape
        size = f"{width}x{height}"
        return self.put(task, data, picture.seed, picture.parameters, picture.notes, size)

    def put(
        self,
        task: Task,
        data: bytes,
        seed: int,
        parameters: str,
        notes: tuple[str, ...],
        pixels: str,
    ) -> Written:
        """The same of a file's bytes. Raises OSError."""
        path = self.folder / task.path
        if path.parent != self.folder and self.folder.is_dir():  # one that vanished stays away
            make_folder(path.parent)
        write_file_atomic(path, data)
        return Written(
            task=task,
            seed=seed,
            parameters=parameters,
            notes=(*task.job.notes, *notes),
            pixels=pixels,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            mtime_ns=path.stat().st_mtime_ns,
        )
