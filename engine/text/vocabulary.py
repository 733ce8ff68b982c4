"""CLIP's byte-pair vocabulary, built from the merges that ship with Sakuga."""

import gzip
from pathlib import Path

BEGIN = 49406
END = 49407
COMMA = 267  # ",</w>", the token a comma between two tags becomes
BEGIN_TEXT = "<|startoftext|>"
END_TEXT = "<|endoftext|>"
WORD_END = "</w>"

Merge = tuple[str, str]

_MERGES = Path(__file__).parent / "data" / "clip_merges.txt.gz"


def clip_merges() -> list[Merge]:
    """The 48,894 merges in the order they apply."""
    lines = gzip.decompress(_MERGES.read_bytes()).decode().splitlines()
    pairs = (line.split(" ") for line in lines)
    return [(left, right) for left, right in pairs]


def clip_vocabulary(merges: list[Merge]) -> dict[str, int]:
    """Token to id: 256 bytes, the same ending a word, one token a merge, begin and end."""
    letters = _byte_letters()
    tokens = [*letters, *(letter + WORD_END for letter in letters)]
    tokens += [left + right for left, right in merges]
    tokens += [BEGIN_TEXT, END_TEXT]
    return {token: number for number, token in enumerate(tokens)}


def _byte_letters() -> list[str]:
    # Byte-level BPE writes a byte as the Latin-1 letter it is where that prints, else as a
    # letter from U+0100 on; CLIP numbers the printable ones first.
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = 256 - len(printable)
    return [chr(code) for code in (*printable, *range(0x100, 0x100 + others))]
