"""Text files that people write: UTF-8, with any of the three line ends."""

import re
from collections.abc import Iterator
from pathlib import Path

from sakuga.engine.errors import UsageError

LONGEST_LINE = 16 << 20  # characters: a grid of ten thousand prompts has room

_LINE_END = re.compile(r"\r\n?|\n")
_LINE_END_BYTES = re.compile(rb"\r\n?|\n")


def read_text(path: Path, what: str, most_bytes: int) -> str:
    """The text of a file without its byte order mark. `what` names it in errors: "job file".

    Raises UsageError where it cannot be read, is longer than `most_bytes`, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)  # no more: it may be a device without an end
    except OSError as error:
        raise UsageError(
            f"The {what} {path} cannot be read.",
            note=error.strerror or str(error),
            hint="Give the path of a text file.",
        ) from error
    if len(data) > most_bytes:
        raise UsageError(
            f"The {what} {path} is too long.",
            note=f"At most {most_bytes >> 20:,} MiB are read.",
            hint="Divide it into several.",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(_LINE_END_BYTES.findall(data, 0, error.start)) + 1
        raise UsageError(
            f"{path}, line {line}: not UTF-8 text.", hint=f"Save the {what} as UTF-8."
        ) from error


def numbered_lines(text: str, source: str) -> Iterator[tuple[int, str]]:
    """The lines that hold more than white space, with their numbers from 1.

    Raises UsageError for one longer than LONGEST_LINE.
    """
    for number, line in enumerate(_LINE_END.split(text), 1):
        check_length(line, source, number)
        if line.strip():
            yield number, line


def check_length(line: str, source: str, number: int) -> None:
    """Raises UsageError for a line longer than LONGEST_LINE."""
    if len(line) > LONGEST_LINE:
        raise UsageError(
            f"{source}, line {number}: the line is too long.",
            note=f"It has {len(line):,} characters; at most {LONGEST_LINE:,} are read.",
            hint="Divide it into several.",
        )
