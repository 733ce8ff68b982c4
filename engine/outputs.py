"""Where pictures go, as the command line says it, and what they are called."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sakuga.engine.errors import UsageError
from sakuga.engine.manifest import is_bundle

if TYPE_CHECKING:
    from sakuga.engine.image.formats import FileFormat
    from sakuga.engine.jobs.job import Job
    from sakuga.engine.runtime.request import Request


@dataclass(frozen=True)
class Target:
    """Where pictures go: a folder, the name of the one picture if it was given, the format."""

    folder: Path
    name: str | None
    format: "FileFormat"

    def jobs(self, requests: Iterable["Request"], notes: tuple[str, ...] = ()) -> list["Job"]:
        """Called by the name, else by the folder's next running numbers and the seeds, as other
        tools do."""
        from sakuga.engine.jobs.job import Job

        taken = [int(path.name[:5]) for path in self.folder.glob("[0-9]" * 5 + "-*.*")]
        numbers = itertools.count(max(taken, default=-1) + 1)
        return [
            Job(self.name or f"{number:05d}-{request.seed}", request, notes=notes)
            for number, request in zip(numbers, requests, strict=False)
        ]


def find_target(out: Path, format: str | None, quality: int | None, count: int) -> Target:
    """The folder or file of `out`, for `count` pictures. Raises UsageError."""
    from sakuga.engine.image.formats import SUFFIXES, format_called, format_of_name

    _check_out(out)
    if out.suffix.lower() not in SUFFIXES or out.is_dir():
        return Target(out, None, format_called(format or "png", quality))
    if format not in (None, SUFFIXES[out.suffix.lower()]):
        raise UsageError(
            f"--out {out} and --format {format} say two formats.", hint="Leave --format out."
        )
    if count > 1:
        raise too_many(out.parent / out.stem, f"--count {count} makes more")
    return Target(out.parent, out.stem, format_of_name(out, quality))


def too_many(folder: Path, what: str) -> UsageError:
    """What to say where `what` asks for more than the one picture `--out` names."""
    return UsageError(
        f"--out names one picture, and {what}.", hint=f"Give a folder: --out {folder}"
    )


def _check_out(out: Path) -> None:
    for folder in (out.absolute(), *out.absolute().parents):
        if is_bundle(folder):
            raise UsageError(
                f"{out} lies inside the bundle {folder}.",
                note="A bundle holds what a build put there and nothing else.",
                hint="Give a folder beside it.",
            )
