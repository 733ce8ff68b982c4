"""Chunking by the three tools' rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.text.chunks import LongPrompt, Pad, chunk, end_index, frame, split
from sakuga.engine.text.tokenizer import clip_tokenizer
from sakuga.engine.text.vocabulary import BEGIN, COMMA, END

WORD = 320
RULES: tuple[LongPrompt, ...] = ("a1111", "comfy", "diffusers")
IDS = st.lists(st.sampled_from([WORD, WORD, WORD, WORD, 539, COMMA]), max_size=400)


def words(count: int) -> list[int]:
    return [WORD] * count


def lengths(ids: list[int], rule: LongPrompt = "a1111") -> list[int]:
    return [len(piece) for piece in split([ids], rule).pieces]


def a1111_oracle(ids: list[int]) -> list[list[int]]:
    """The published rule as a state machine: a growing chunk and the place of its last comma."""
    done: list[list[int]] = []
    now: list[int] = []
    last_comma = -1
    for token in ids:
        moved: list[int] = []
        if token == COMMA:
            last_comma = len(now)
        elif len(now) == 75 and last_comma != -1 and 75 - last_comma <= 20:
            now, moved = now[: last_comma + 1], now[last_comma + 1 :]
            done.append(now)
            now, last_comma = moved, -1
        if len(now) == 75:
            done.append(now)
            now, last_comma = [], -1
        now.append(token)
    return [*done, now] if now or not done else done


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("pad", "filler"), [("end", END), ("zero", 0)])
def test_empty_prompt_is_one_chunk(rule: LongPrompt, pad: Pad, filler: int) -> None:
    assert chunk([[]], rule, pad) == ((BEGIN, END, *[filler] * 75),)


@pytest.mark.parametrize("rule", RULES)
def test_seventy_five_tokens_fill_one_chunk(rule: LongPrompt) -> None:
    assert chunk([words(75)], rule, "zero") == ((BEGIN, *words(75), END),)


def test_a1111_starts_a_new_chunk_when_one_is_full() -> None:
    assert lengths(words(76)) == [75, 1]
    assert lengths(words(225)) == [75, 75, 75]


@pytest.mark.parametrize(
    ("comma_at", "expected"),
    [(54, [75, 25]), (55, [56, 44]), (73, [74, 26]), (74, [75, 25]), (75, [75, 25])],
)
def test_a1111_backtracks_to_a_comma_within_twenty_tokens(
    comma_at: int, expected: list[int]
) -> None:
    ids = words(100)
    ids[comma_at] = COMMA
    assert lengths(ids) == expected


def test_a1111_keeps_a_full_chunk_whole_when_the_next_token_is_a_comma() -> None:
    ids = words(100)
    ids[70] = ids[75] = COMMA
    assert lengths(ids) == [75, 25]


def test_a1111_85_tokens_make_75_and_10() -> None:
    assert lengths(words(85)) == [75, 10]


@given(IDS)
def test_a1111_against_a_state_machine(ids: list[int]) -> None:
    assert [list(piece) for piece in split([ids], "a1111").pieces] == a1111_oracle(ids)


@given(IDS)
def test_a1111_and_comfy_lose_no_token(ids: list[int]) -> None:
    for rule in ("a1111", "comfy"):
        cut = split([ids], rule)
        assert [token for piece in cut.pieces for token in piece] == ids
        assert cut.cut == 0


@pytest.mark.parametrize(("size", "expected"), [(7, [70, 7]), (8, [75, 3])])
def test_comfy_moves_only_short_segments_whole(size: int, expected: list[int]) -> None:
    pieces = split([words(70), words(size)], "comfy").pieces
    assert [len(piece) for piece in pieces] == expected


def test_comfy_cuts_a_plain_prompt_at_75() -> None:
    assert lengths(words(160), "comfy") == [75, 75, 10]


def test_diffusers_cuts_and_counts() -> None:
    cut = split([words(85)], "diffusers")
    assert cut.pieces == (tuple(words(75)),)
    assert cut.cut == 10


def test_padding_of_both_encoders() -> None:
    assert frame([WORD], "end", "a1111") == (BEGIN, WORD, END, *[END] * 74)
    assert frame([WORD], "zero", "a1111") == (BEGIN, WORD, END, *[0] * 74)


def test_end_of_text_inside_a_prompt() -> None:
    ids = clip_tokenizer().encode("a<|endoftext|>a")
    assert frame(ids, "zero", "a1111") == (BEGIN, WORD, END, *[0] * 74)
    assert frame(ids, "zero", "diffusers") == (BEGIN, WORD, END, WORD, END, *[0] * 72)
    assert end_index(frame(ids, "end", "diffusers")) == 2


@given(IDS, st.sampled_from(RULES), st.sampled_from(["end", "zero"]))
def test_every_chunk_is_77_ids(ids: list[int], rule: LongPrompt, pad: Pad) -> None:
    for row in chunk([ids], rule, pad):
        assert len(row) == 77
        assert row[0] == BEGIN
        assert row[end_index(row)] == END
