"""Textual inversion: names that stand for vectors instead of tokens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError
from sakuga.engine.text.tokenizer import Tokenizer

_SUFFIXES = (".safetensors", ".pt", ".bin")  # ComfyUI's users write them or leave them out


@dataclass(frozen=True, eq=False)
class Embedding:
    """Vectors that were trained for a name, float32 [count, hidden], by text encoder.

    `sha256`: of the file. `fault`: why it cannot be used, if it cannot.
    """

    name: str
    sha256: str = ""
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    fault: str = ""

    @property
    def short_hash(self) -> str:
        """The twelve hex digits A1111 writes into pictures."""
        return self.sha256[:12]

    @property
    def count(self) -> int:
        """How many tokens it takes up."""
        return len(next(iter(self.vectors.values())))


class Embeddings:
    """The embeddings at hand, found by the tokens of their names or by the names."""

    def __init__(self, known: Iterable[Embedding] = (), tokenizer: Tokenizer | None = None) -> None:
        """`tokenizer`: reads the names; may be left out where there are none. Of several with one
        name the last one counts that can be used."""
        self._by_name = {each.name: each for each in sorted(known, key=lambda each: not each.fault)}
        self._by_first: dict[int, list[tuple[list[int], Embedding]]] = {}
        for each in self._by_name.values():
            assert tokenizer is not None
            if ids := tokenizer.encode(each.name):
                self._by_first.setdefault(ids[0], []).append((ids, each))
        for several in self._by_first.values():
            several.sort(key=lambda one: -len(one[0]))

    @property
    def usable(self) -> list[Embedding]:
        """Those prompts may name."""
        return [each for each in self._by_name.values() if not each.fault]

    @property
    def hashes(self) -> dict[str, str]:
        """Name to hash, both as A1111 writes them into pictures."""
        return {each.name: each.short_hash for each in self.usable}

    def at(self, ids: Sequence[int], start: int) -> tuple[Embedding | None, int]:
        """The longest name among the tokens at `start`, and how many they are; else None and 1.

        Raises UsageError where that embedding cannot be used.
        """
        for name, embedding in self._by_first.get(ids[start], ()):
            if ids[start : start + len(name)] == name:
                return _sound(embedding), len(name)
        return None, 1

    def called(self, name: str) -> tuple[Embedding, str]:
        """The embedding of a name as ComfyUI reads it, and the commas behind it that are no part.

        Raises UsageError where there is none, or it cannot be used.
        """
        for spelling in (name, name.strip(",")):
            for suffix in ("", *_SUFFIXES):
                embedding = self._by_name.get(spelling.removesuffix(suffix))
                if embedding is not None:
                    return _sound(embedding), name[len(spelling) :]
        bare = name.strip(",")
        near = get_close_matches(bare, self._by_name, n=1)
        raise UsageError(
            f"There is no embedding called {bare!r}.",
            note=f"Known are {', '.join(sorted(self._by_name)) or 'none'}.",
            hint=f"Did you mean {near[0]!r}?"
            if near
            else "Give the folder it lies in: --embeddings DIR, or Engine.open(…, embeddings=DIR).",
        )


def _sound(embedding: Embedding) -> Embedding:
    if embedding.fault:
        raise UsageError(
            f"The embedding {embedding.name} cannot be used.",
            note=f"{embedding.fault}.",
            hint="Put a file of this model's family into the folder, or take the name out of the "
            "prompt.",
        )
    return embedding


NO_EMBEDDINGS = Embeddings()
