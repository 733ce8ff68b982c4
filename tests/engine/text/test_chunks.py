"""Chunking by the three tools' rules."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_rules import a1111_chunks, comfy_chunks

from sakuga.engine.text.chunks import Pad, end_index, frame, split
from sakuga.engine.text.embeddings import Embedding
from sakuga.engine.text.segments import Rule, Segment, Token
from sakuga.engine.text.tokenizer import clip_tokenizer
from sakuga.engine.text.vocabulary import BEGIN, COMMA, END

WORD = 320
RULES: tuple[Rule, ...] = ("a1111", "comfy", "diffusers")
IDS = st.lists(st.sampled_from([WORD, WORD, WORD, WORD, 539, COMMA]), max_size=400)


def words(count: int) -> list[int]:
    return [WORD] * count


def segment(ids: list[int]) -> Segment:
    return tuple((Token(token),) for token in ids)


def ids_of(tokens: Sequence[Token]) -> list[int]:
    return [token.id for token in tokens]


def framed(ids: list[int], pad: Pad, rule: Rule) -> list[int]:
    return ids_of(frame(tuple(map(Token, ids)), pad, rule))


def chunks(ids: list[int], rule: Rule, pad: Pad) -> list[list[int]]:
    return [ids_of(frame(piece, pad, rule)) for piece in split([segment(ids)], rule).pieces]


def lengths(ids: list[int], rule: Rule = "a1111") -> list[int]:
    return [len(piece) for piece in split([segment(ids)], rule).pieces]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("pad", "filler"), [("end", END), ("zero", 0)])
def test_empty_prompt_is_one_chunk(rule: Rule, pad: Pad, filler: int) -> None:
    assert chunks([], rule, pad) == [[BEGIN, END, *[filler] * 75]]


@pytest.mark.parametrize("rule", RULES)
def test_seventy_five_tokens_fill_one_chunk(rule: Rule) -> None:
    assert chunks(words(75), rule, "zero") == [[BEGIN, *words(75), END]]


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
    found = [ids_of(piece) for piece in split([segment(ids)], "a1111").pieces]
    assert found == a1111_chunks(ids, [token == COMMA for token in ids])


@given(st.lists(st.integers(1, 20).map(words), max_size=30))
def test_comfy_token_by_token(segments: list[list[int]]) -> None:
    numbered = [[number * 100 + at for at, _ in enumerate(s)] for number, s in enumerate(segments)]
    found = [ids_of(piece) for piece in split(list(map(segment, numbered)), "comfy").pieces]
    assert found == comfy_chunks(numbered)


@given(IDS)
def test_a1111_and_comfy_lose_no_token(ids: list[int]) -> None:
    for rule in ("a1111", "comfy"):
        cut = split([segment(ids)], rule)
        assert [token.id for piece in cut.pieces for token in piece] == ids
        assert cut.cut == 0


@pytest.mark.parametrize(("size", "expected"), [(7, [70, 7]), (8, [75, 3])])
def test_comfy_moves_only_short_segments_whole(size: int, expected: list[int]) -> None:
    pieces = split([segment(words(70)), segment(words(size))], "comfy").pieces
    assert [len(piece) for piece in pieces] == expected


def test_comfy_cuts_a_plain_prompt_at_75() -> None:
    assert lengths(words(160), "comfy") == [75, 75, 10]


def test_diffusers_cuts_and_counts() -> None:
    cut = split([segment(words(85))], "diffusers")
    assert [ids_of(piece) for piece in cut.pieces] == [words(75)]
    assert cut.cut == 10


def test_padding_of_both_encoders() -> None:
    assert framed([WORD], "end", "a1111") == [BEGIN, WORD, END, *[END] * 74]
    assert framed([WORD], "zero", "a1111") == [BEGIN, WORD, END, *[0] * 74]


def test_end_of_text_inside_a_prompt() -> None:
    ids = clip_tokenizer().encode("a<|endoftext|>a")
    assert framed(ids, "zero", "a1111") == [BEGIN, WORD, END, *[0] * 74]
    assert framed(ids, "zero", "diffusers") == [BEGIN, WORD, END, WORD, END, *[0] * 72]
    assert end_index(frame(tuple(map(Token, ids)), "end", "diffusers")) == 2


@given(IDS, st.sampled_from(RULES), st.sampled_from(["end", "zero"]))
def test_every_chunk_is_77_ids(ids: list[int], rule: Rule, pad: Pad) -> None:
    for row in chunks(ids, rule, pad):
        assert len(row) == 77
        assert row[0] == BEGIN
        assert row.index(END) == end_index(tuple(map(Token, row)))


def test_a1111_begins_a_chunk_with_every_segment() -> None:
    found = split([segment(words(2)), segment(words(3)), ()], "a1111").pieces
    assert [len(piece) for piece in found] == [2, 3]  # nothing behind the last BREAK
    assert [len(piece) for piece in split([(), segment(words(1))], "a1111").pieces] == [0, 1]
    assert [len(piece) for piece in split([(), (), ()], "a1111").pieces] == [0, 0]


def vectors(count: int) -> tuple[Token, ...]:
    embedding = Embedding("x", vectors={})
    return tuple(Token(0, 1.0, embedding, nth) for nth in range(count))


def test_a1111_never_splits_an_embedding() -> None:
    row = (*segment(words(70)), vectors(6), *segment(words(1)))
    assert [len(piece) for piece in split([row], "a1111").pieces] == [70, 7]
    fits = (*segment(words(70)), vectors(5), *segment(words(1)))
    assert [len(piece) for piece in split([fits], "a1111").pieces] == [75, 1]


def test_an_embedding_behind_a_comma_moves_with_its_vectors() -> None:
    row = (*segment([*words(60), COMMA]), vectors(10), *segment(words(10)))
    first, second = split([row], "a1111").pieces
    assert (len(first), len(second)) == (61, 20)
    assert [token.nth for token in second[:10]] == list(range(10))
    assert all(token.embedding is not None for token in second[:10])


@pytest.mark.parametrize(("count", "expected"), [(7, [70, 7]), (8, [75, 3])])
def test_comfy_splits_embeddings_of_eight_vectors_and_more(count: int, expected: list[int]) -> None:
    pieces = split([segment(words(70)), (vectors(count),)], "comfy").pieces
    assert [len(piece) for piece in pieces] == expected


def test_weights_go_with_their_tokens() -> None:
    row = tuple((Token(WORD, weight / 100),) for weight in range(100))
    for rule in ("a1111", "comfy"):
        first, second = split([row], rule).pieces
        assert [token.weight for token in (*first, *second)] == [n / 100 for n in range(100)]
        framed_row = frame(second, "zero", rule)
        assert [token.weight for token in framed_row] == [
            1,
            *[n / 100 for n in range(75, 100)],
            *[1] * 51,
        ]


def test_what_is_blanked_keeps_its_weight() -> None:
    row = frame((Token(WORD, 2.0), Token(END, 3.0), Token(WORD, 4.0)), "zero", "a1111")
    assert ids_of(row)[:5] == [BEGIN, WORD, END, 0, 0]
    assert [token.weight for token in row[:5]] == [1, 2, 3, 4, 1]
