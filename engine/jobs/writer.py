"""Pictures to files: encoded, durable, and known by their bytes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sakuga.engine.errors import UsageError
from sakuga.engine.image.formats import FileFormat
from sakuga.engine.jobs.outcome import Encoded, Task, Written, encoded
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
        return self.write_file(task, encoded(picture, self.format.options))

    def write_file(self, task: Task, picture: Encoded) -> Written:
        """The same for a picture that was encoded elsewhere, which is not checked any more. Raises
        OSError, UsageError."""
        path = self.folder / task.path
        if path.parent != self.folder and self.folder.is_dir():  # one that vanished stays away
            make_folder(path.parent)
        if path.is_dir():  # which is this picture's trouble, and no fault of the disk
            raise UsageError(
                f"{path} is a folder.",
                note="A picture cannot be written there.",
                hint="Move it away, or name pictures otherwise with --names.",
            )
        write_file_atomic(path, picture.data)
        return Written(
            task=task,
            seed=picture.seed,
            parameters=picture.parameters,
            notes=(*task.job.notes, *picture.notes),
            pixels=str(picture.size),
            size_bytes=len(picture.data),
            sha256=hashlib.sha256(picture.data).hexdigest(),
            mtime_ns=path.stat().st_mtime_ns,
        )
