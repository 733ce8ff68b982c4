"""A1111's attention grammar: published vectors, and character by character."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_rules import pieces

from sakuga.engine.errors import UsageError
from sakuga.engine.text.attention import BREAK, Piece, odd_weight, read_attention

NEGATIVE = (
    "nsfw, lowres, (bad), text, error, fewer, extra, missing, worst quality, jpeg artifacts, "
    "low quality, watermark, unfinished, displeasing, oldest, early, chromatic aberration, "
    "signature, extra digits, artistic error, username, scan, [abstract]"
)
VECTORS = {
    "normal text": [("normal text", 1.0)],
    "an (important) word": [("an ", 1.0), ("important", 1.1), (" word", 1.0)],
    "(unbalanced": [("unbalanced", 1.1)],
    r"\(literal\]": [("(literal]", 1.0)],
    "(unnecessary)(parens)": [("unnecessaryparens", 1.1)],
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": [
        ("a ", 1.0),
        ("house", 1.5730000000000004),
        (" ", 1.1),
        ("on", 1.0),
        (" a ", 1.1),
        ("hill", 0.55),
        (", sun, ", 1.1),
        ("sky", 1.4641000000000006),
        (".", 1.1),
    ],
    "((best quality:1.3))": [("best quality", 1.3 * 1.1)],
    "(a:1.2": [("a:1.2", 1.1)],
    "(a BREAK b:1.2)": [("a", 1.2), ("BREAK", -1.2), ("b", 1.2)],
    "1girl BREAK 1boy": [("1girl", 1.0), ("BREAK", -1.0), ("1boy", 1.0)],
    "[x:1.2]": [("x:1.2", 1 / 1.1)],
    "a) b]": [("a) b]", 1.0)],
    "(x:1.2.3)": [("x:1.2.3", 1.1)],
    r"lucy \(cyberpunk\), (by xxx:0.6)": [("lucy (cyberpunk), ", 1.0), ("by xxx", 0.6)],
    r"a\\(b)": [("a\\", 1.0), ("b", 1.1)],
    "a\\b": [("ab", 1.0)],
    "BREAKFAST": [("BREAKFAST", 1.0)],
    "": [("", 1.0)],
    "()": [("", 1.0)],
}


@pytest.mark.parametrize(("text", "expected"), VECTORS.items())
def test_vectors(text: str, expected: list[tuple[str, float]]) -> None:
    assert [piece for piece in read_attention(text) if piece.text or len(expected) == 1] == expected


def test_the_animagine_negative_prompt() -> None:
    pieces = read_attention(NEGATIVE)
    assert [weight for _, weight in pieces] == [1.0, 1.1, 1.0, 1 / 1.1]
    assert pieces[1].text == "bad" and pieces[3].text == "abstract"


def test_break_counts_only_outside_of_weights() -> None:
    assert BREAK in read_attention("a BREAK b")
    assert BREAK in read_attention("(a) BREAK\n(b)")
    assert BREAK not in read_attention("(a BREAK b)")
    assert [piece.text for piece in read_attention("a  BREAK \n BREAK b")] == [
        *("a", "BREAK", "", "BREAK", "b")
    ]


PARTS = [
    "(",
    ")",
    "[",
    "]",
    ":",
    "a",
    "b, ",
    ":1.2)",
    ": 0.5 )",
    ":-1)",
    "\\",
    "\\(",
    "\\]",
    "1",
    " BREAK ",
]


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=16).map("".join))
def test_every_character_has_the_weight_of_its_brackets(text: str) -> None:
    assert read_attention(text) == pieces(text)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=16).map("".join))
def test_every_character_has_the_weight_of_its_brackets_at_length(text: str) -> None:
    assert read_attention(text) == pieces(text)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    pieces = read_attention(text)
    assert pieces
    assert all(a.weight != b.weight for a, b in pairwise(pieces))


def test_a_weight_that_is_no_number_is_told() -> None:
    assert odd_weight("(a:1.2), (x:1.2.3)") == "1.2.3"
    assert odd_weight("(a:1.2), b:1.2.3") is None


@pytest.mark.parametrize("text", ["(a:" + "9" * 400 + ")", "(" * 9000 + "a" + ")" * 9000])
def test_weights_beyond_numbers_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="too large"):
        read_attention(text)


@pytest.mark.parametrize(
    "unit", ["(a", "[a", "(a:1)", "((", "[[a]", ":", ": ", "BREAK ", " ", "\\", ":1"]
)
def test_hostile_text_is_read_at_once(unit: str) -> None:
    text = (unit * 32_768)[:32_768]
    began = time.process_time()
    try:
        read_attention(text)
    except UsageError:
        assert "(" in unit
    assert time.process_time() - began < 2


def test_pieces_are_tuples_of_text_and_weight() -> None:
    assert read_attention("a") == [Piece("a", 1.0)]
