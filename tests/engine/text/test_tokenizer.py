"""The tokenizer against published vectors and against transformers."""

import hashlib
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from sakuga.engine.errors import BundleDamagedError, UsageError
from sakuga.engine.text import vocabulary
from sakuga.engine.text.tokenizer import (
    MAX_CHARACTERS,
    Tokenizer,
    clip_tokenizer,
    write_tokenizer,
)

NEGATIVE = (
    "nsfw, lowres, (bad), text, error, fewer, extra, missing, worst quality, jpeg artifacts, "
    "low quality, watermark, unfinished, displeasing, oldest, early, chromatic aberration, "
    "signature, extra digits, artistic error, username, scan, [abstract]"
)
PREFIX = "masterpiece, best quality, very aesthetic, absurdres"
POSITIVE = (
    "1girl, souryuu asuka langley, neon genesis evangelion, solo, upper body, v, smile, "
    "looking at viewer, outdoors, night"
)
ANYTHING_NEGATIVE = (
    "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, "
    "cropped, worst quality, low quality, normal quality, jpeg artifacts, signature, watermark, "
    "username, blurry"
)
# fmt: off
VECTORS = {
    "": [],
    "1girl": [272, 1611],
    "a photo of a cat": [320, 1125, 539, 320, 2368],
    "lucy (cyberpunk)": [10120, 263, 36896, 264],
    PREFIX: [12066, 267, 949, 3027, 267, 1070, 16179, 267, 21639, 44697],
    POSITIVE: [272, 1611, 267, 2235, 3371, 340, 13157, 1525, 28595, 267, 13919, 13518, 21372, 525,
               267, 5797, 267, 7067, 1774, 267, 341, 267, 3490, 267, 1312, 536, 15061, 267, 10469,
               267, 930],
}
# fmt: on
COUNTS = {POSITIVE: 31, f"{PREFIX}, {POSITIVE}": 42, NEGATIVE: 59, ANYTHING_NEGATIVE: 45}

# Text in which single characters, tags, contractions and special tokens meet.
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(["1girl", ", ", "!", "wow!?", "(bad)", "[abstract]", "it's", "\u3000"]),
        st.sampled_from(["<|endoftext|>", "<|startoftext|>", "<|EndOfText|>", "</w>", "\x00"]),
        st.sampled_from(
            ["👩‍👩‍👧‍👦", "🇯🇵", "e\u0301", "é", "İSTANBUL", "ǅ", "ﬁ", "東京", "カ\u3099", "٣"]
        ),
    ),
    max_size=8,
).map("".join)


@cache
def ours() -> Tokenizer:
    return clip_tokenizer()


@cache
def ours_with_special_pad() -> Tokenizer:
    return clip_tokenizer().with_special("!")


@cache
def theirs(pad: str) -> CLIPTokenizer:
    merges = vocabulary.clip_merges()
    kind: Any = CLIPTokenizer  # its annotations refuse pairs, which it takes
    tokenizer: CLIPTokenizer = kind(vocabulary.clip_vocabulary(merges), merges, pad_token=pad)
    return tokenizer


def their_ids(text: str, pad: str = "<|endoftext|>") -> list[int]:
    return list(theirs(pad)(text, add_special_tokens=False)["input_ids"])


def test_shipped_merges_are_the_published_ones() -> None:
    text = "".join(f"{left} {right}\n" for left, right in vocabulary.clip_merges())
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "d308b7377a8ceaa9707a21614fe8c831b9196e197b7aeb69833359362907af02"


def test_shipped_merges_carry_no_time() -> None:
    path = Path(vocabulary.__file__).parent / "data" / "clip_merges.txt.gz"
    assert path.read_bytes()[4:8] == bytes(4)


def test_vocabulary_has_every_id_once() -> None:
    table = vocabulary.clip_vocabulary(vocabulary.clip_merges())
    assert sorted(table.values()) == list(range(49408))
    assert table[vocabulary.BEGIN_TEXT] == vocabulary.BEGIN
    assert table[vocabulary.END_TEXT] == vocabulary.END
    assert table[",</w>"] == vocabulary.COMMA == 267
    assert (vocabulary.BEGIN, vocabulary.END, table["!"]) == (49406, 49407, 0)


@pytest.mark.parametrize(("text", "ids"), VECTORS.items())
def test_vectors(text: str, ids: list[int]) -> None:
    assert ours().encode(text) == ids


@pytest.mark.parametrize(("text", "count"), COUNTS.items())
def test_counts_of_the_model_cards(text: str, count: int) -> None:
    assert len(ours().encode(text)) == count


@settings(max_examples=1500, deadline=None)
@given(TEXTS)
def test_same_ids_as_transformers(text: str) -> None:
    assert ours().encode(text) == their_ids(text)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(TEXTS)
def test_same_ids_as_transformers_at_length(text: str) -> None:
    assert ours().encode(text) == their_ids(text)


@settings(max_examples=1000, deadline=None)
@given(TEXTS)
def test_same_ids_as_transformers_with_a_padding_token_of_its_own(text: str) -> None:
    assert ours_with_special_pad().encode(text) == their_ids(text, pad="!")


def test_special_tokens_in_a_prompt_are_read_as_such() -> None:
    assert ours().encode("a <|endoftext|> b") == [320, 49407, 321]
    assert ours().encode("<|startoftext|>") == [49406]
    assert 49407 not in ours().encode("<|ENDOFTEXT|>")


def test_exclamation_mark_of_the_second_tokenizer() -> None:
    assert ours().encode("wow!") == [2781, 256]
    assert ours_with_special_pad().encode("wow!") == [2781, 0]


def test_file_gives_the_same_tokenizer_and_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    write_tokenizer(first)
    write_tokenizer(second)
    assert first.read_bytes() == second.read_bytes()
    loaded = Tokenizer.load(first)
    assert [loaded.encode(text) for text in VECTORS] == list(VECTORS.values())
    assert loaded.encode("a <|endoftext|>") == [320, 49407]


def test_file_of_transformers_loads(tmp_path: Path) -> None:
    theirs("<|endoftext|>").save_pretrained(tmp_path)
    assert Tokenizer.load(tmp_path / "tokenizer.json").encode("1girl") == [272, 1611]


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe", b'{"model": 1}'])
def test_unreadable_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleDamagedError, match=r"tokenizer\.json"):
        Tokenizer.load(path)


def test_lone_surrogate_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match=r"Character 3 is the lone surrogate U\+D83D"):
        ours().encode("ab\ud83d")


@pytest.mark.parametrize("unit", ["a", "a ", "é", "!", " ", "\u0301", "😀", "\x00", "ab"])
def test_longest_prompt_is_read_in_bounded_time(unit: str) -> None:
    text = (unit * MAX_CHARACTERS)[:MAX_CHARACTERS]
    began = time.perf_counter()
    ids = ours().encode(text)
    assert time.perf_counter() - began < 2
    assert all(0 <= token < 49408 for token in ids)


def test_megabyte_is_refused() -> None:
    with pytest.raises(UsageError, match="1,000,000 characters"):
        ours().encode("a" * 1_000_000)
