"""ComfyUI's attention grammar: published vectors, and the rule written as a recursion."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_rules import comfy_pieces

from sakuga.engine.errors import UsageError
from sakuga.engine.text.comfy import read_comfy_attention

VECTORS = {
    "(foo)": [("foo", 1.1)],
    "(foo)(bar)": [("foo", 1.1), ("bar", 1.1)],
    "(foo:2.0)": [("foo", 2.0)],
    "((foo))": [("foo", 1.1 * 1.1)],
    "((foo):1.1)": [("foo", 1.1 * 1.1)],
    "((foo:1.1))": [("foo", 1.1)],
    "(foo:0.0)": [("foo", 0.0)],
    "((foo:1.0):0.0)": [("foo", 1.0)],
    "foo ((((lol (cat:666) attack:100)))) baz": [
        *(("foo ", 1.0), ("lol ", 100.0), ("cat", 666.0), (" attack", 100.0), (" baz", 1.0))
    ],
    "foo ((((lol (cat:666) attack):100))) baz": [
        ("foo ", 1.0),
        ("lol ", 100 * 1.1),
        ("cat", 666.0),
        (" attack", 100 * 1.1),
        (" baz", 1.0),
    ],
    "[abstract], BREAK [a:b:3]": [("[abstract], BREAK [a:b:3]", 1.0)],
    r"lucy \(cyberpunk\)": [("lucy (cyberpunk)", 1.0)],
    "(a:1.2.3)": [("a:1.2.3", 1.1)],
    "(:2)": [(":2", 1.1)],
    "(a (b)": [("a ", 1.1), ("(b", 1.1)],
    ") (a)": [(") (a)", 1.0)],
    "a (b": [("a ", 1.0), ("(b", 1.0)],
    "": [],
    "()": [],
}


@pytest.mark.parametrize(("text", "expected"), VECTORS.items())
def test_vectors(text: str, expected: list[tuple[str, float]]) -> None:
    assert read_comfy_attention(text) == expected


PARTS = ["(", ")", "(", ")", "a", ":", ":1.2)", ":2", "\\(", "\\)", "[b]", " ", "\\", ":.5"]


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join))
def test_same_as_the_rule_by_recursion(text: str) -> None:
    assert read_comfy_attention(text) == comfy_pieces(text)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join))
def test_same_as_the_rule_by_recursion_at_length(text: str) -> None:
    assert read_comfy_attention(text) == comfy_pieces(text)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert all(piece.text for piece in read_comfy_attention(text))


@pytest.mark.parametrize("number", ["inf", "nan", "-inf", "1e999"])
def test_weights_that_are_not_finite_are_refused(number: str) -> None:
    with pytest.raises(UsageError, match="'word' has a weight"):
        read_comfy_attention(f"(word:{number})")


@pytest.mark.parametrize("unit", ["(", "(a", ")", "(a)", "((a:1)", ":", "\\(", "(:"])
@pytest.mark.parametrize("tail", ["", ")", ")" * 10_000])
def test_hostile_text_is_read_at_once(unit: str, tail: str) -> None:
    text = (unit * 32_768)[: 32_768 - len(tail)] + tail
    began = time.process_time()
    try:
        read_comfy_attention(text)
    except UsageError:
        assert "(" in unit  # a weight beyond numbers
    assert time.process_time() - began < 2
