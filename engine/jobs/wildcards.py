"""Wildcards: `__name__` in a prompt stands for a line of the file `name.txt` in a folder.

`__hair/colour__` is a line of `hair/colour.txt`. Lines may hold wildcards themselves. Blank lines
and lines that begin with # do not count, as in the wildcard extensions of A1111.

Which line it is depends on the seed of the picture and on where the wildcard stands, and on nothing
else. Wildcard number k of a prompt takes line h mod n, counted from 0, of the n lines of its file,
where h is the first eight bytes, big-endian, of the SHA-256 of "SEED prompt/K", or of
"SEED negative_prompt/K", with k counted from 1. Number m in that line has the place "prompt/K/M",
and so on. So pictures of one seed agree in their words, whatever else differs between them.
"""

import itertools
import re
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.text_file import numbered_lines, read_text
from sakuga.engine.text.tokenizer import MAX_CHARACTERS

MOST_BYTES = 16 << 20  # of one file
MOST_NESTED = 32  # wildcards in wildcards

# A name ends where the next two underscores stand and holds nothing that prompts are made of.
_WILDCARD = re.compile(r"__([^\s_,()\[\]{}<>|:](?:(?!__)[^\n,()\[\]{}<>|:])*)__")


class _Reach(NamedTuple):
    """What a text can become at most: its characters, and how deep its wildcards lie."""

    characters: int
    depth: int


def holds_wildcard(text: str) -> bool:
    """Whether a prompt holds something that is written like a wildcard."""
    return "__" in text and _WILDCARD.search(text) is not None


class Wildcards:
    """The wildcards of a folder. Files are read when they are first asked for, and kept."""

    def __init__(self, folder: Path) -> None:
        """Raises UsageError where there is no such folder."""
        if not folder.is_dir():
            raise UsageError(
                f"There is no folder {folder} of wildcards.",
                hint="Give a folder of text files, one choice a line.",
            )
        self._folder = folder
        # Names are looked up here and never made into paths, so none leads out of the folder.
        self._files = {_name_of(path, folder): path for path in folder.rglob("*.txt")}
        self._lines: dict[str, tuple[str, ...]] = {}
        self._reaches: dict[str, _Reach] = {}

    def check(self, text: str) -> None:
        """Whether every choice the text leads to can be made, whatever the seed.

        Raises UsageError for a wildcard that is unknown, empty, unreadable or leads back to itself,
        and for a text that could become longer than a prompt may be.
        """
        characters, depth = self._reach_of(text, ())
        if depth > MOST_NESTED:
            raise _too_deep(text)
        if characters > MAX_CHARACTERS:
            raise UsageError(
                "The prompt can become too long.",
                note=f"With the longest lines of its wildcards it has {characters:,} characters; "
                f"at most {MAX_CHARACTERS:,} are read.",
                hint="Use fewer wildcards, or shorter lines.",
            )

    def replaced(self, text: str, seed: int, place: str) -> str:
        """The text, which `check` has passed, with a line in place of each wildcard.

        `place` says where the text stands: "prompt" or "negative_prompt".
        """
        if "__" not in text:
            return text
        count = itertools.count(1)

        def line(match: re.Match[str]) -> str:
            here = f"{place}/{next(count)}"
            lines = self._lines_of(match[1])
            return self.replaced(lines[_draw(seed, here) % len(lines)], seed, here)

        return _WILDCARD.sub(line, text)

    def _reach_of(self, text: str, within: tuple[str, ...]) -> _Reach:
        characters, depth = len(text), 0
        for match in _WILDCARD.finditer(text):
            reach = self._reach_of_lines(match[1], within)
            characters += reach.characters - len(match[0])
            depth = max(depth, reach.depth)
        return _Reach(characters, depth)

    def _reach_of_lines(self, name: str, within: tuple[str, ...]) -> _Reach:
        """The longest and the deepest that any line of a wildcard can become."""
        if name not in self._reaches:
            if name in within:
                raise _leads_back(name, within)
            if len(within) >= MOST_NESTED:
                raise _too_deep(f"__{within[0]}__")
            inside = (*within, name)
            found = [self._reach_of(line, inside) for line in self._lines_of(name, within)]
            characters, depth = (max(each) for each in zip(*found, strict=True))
            self._reaches[name] = _Reach(characters, depth + 1)
        return self._reaches[name]

    def _lines_of(self, name: str, within: tuple[str, ...] = ()) -> tuple[str, ...]:
        if name not in self._lines:
            if name not in self._files:
                raise self._unknown(name, within)
            self._lines[name] = _read(self._files[name], self._folder)
        return self._lines[name]

    def _unknown(self, name: str, within: tuple[str, ...]) -> UsageError:
        near = get_close_matches(name, self._files, n=1)
        where = f" in {self._files[within[-1]]}" if within else ""
        return UsageError(
            f"There is no wildcard __{name[:80]}__{where}.",
            note=f"{self._folder} holds no {name[:80]}.txt.",
            hint=f"Did you mean __{near[0]}__?" if near else "Names are those of its files.",
        )


def _leads_back(name: str, within: tuple[str, ...]) -> UsageError:
    chain = " to ".join(f"__{each}__" for each in (*within[within.index(name) :], name))
    return UsageError(
        f"The wildcard __{name}__ leads back to itself.",
        note=f"From {chain}.",
        hint="Take one of them out of the lines of the other.",
    )


def _too_deep(text: str) -> UsageError:
    return UsageError(
        f"The wildcards in {text[:80]!r} lie too deep in one another.",
        note=f"At most {MOST_NESTED} are followed.",
        hint="Write some of the lines out.",
    )


def _name_of(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _read(path: Path, folder: Path) -> tuple[str, ...]:
    """The lines of a file that count."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"The wildcard file {path} is a link out of its folder.",
            hint="Copy the file into the folder.",
        )
    text = read_text(path, "wildcard file", MOST_BYTES)
    lines = [(n, line.strip()) for n, line in numbered_lines(text, str(path))]
    choices = [(n, line) for n, line in lines if not line.startswith("#")]
    if not choices:
        raise UsageError(f"The wildcard file {path} has no lines.", hint="Write a choice a line.")
    for number, line in choices:
        if "\0" in line:
            raise UsageError(
                f"{path}, line {number}: holds a NUL.", hint="Give a text file, one choice a line."
            )
    return tuple(line for _, line in choices)


def _draw(seed: int, place: str) -> int:
    return int.from_bytes(sha256(f"{seed} {place}".encode()).digest()[:8])
