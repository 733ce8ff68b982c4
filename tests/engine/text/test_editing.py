"""Prompt editing against its published examples and against a parser made from its grammar."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_rules import edits

from sakuga.engine.errors import UsageError
from sakuga.engine.text.editing import read_edits, variant_at

TURNS = [(step, ["a", "(b:1.1)"][(step - 1) % 2]) for step in range(1, 11)]
# The examples in the function that A1111 reads prompts with, at 10 steps.
PUBLISHED = {
    "test": [(10, "test")],
    "a [b:3]": [(3, "a "), (10, "a b")],
    "a [b: 3]": [(3, "a "), (10, "a b")],
    "a [[[b]]:2]": [(2, "a "), (10, "a [[b]]")],
    "[(a:2):3]": [(3, ""), (10, "(a:2)")],
    "a [b : c : 1] d": [(1, "a b  d"), (10, "a  c  d")],
    "a[b:[c:d:2]:1]e": [(1, "abe"), (2, "ace"), (10, "ade")],
    "a [unbalanced": [(10, "a [unbalanced")],
    "a [b:.5] c": [(5, "a  c"), (10, "a b c")],
    "((a][:b:c [d:3]": [(3, "((a][:b:c "), (10, "((a][:b:c d")],
    "[a|(b:1.1)]": TURNS,
    "[fe|]male": [(n, "female" if n % 2 else "male") for n in range(1, 11)],
    "[fe|||]male": [(n, "female" if n % 4 == 1 else "male") for n in range(1, 11)],
    # Published as an edit; A1111's own parser gives this, for a bar means nothing there.
    "a [{b|d{:.5] c": [(10, "a [{b|d{:.5] c")],
}
AT_28 = {
    "[red:blue:0.5]": [(14, "red"), (28, "blue")],
    "[a:b:1.0]": [(28, "a")],
    "[a:b:0]": [(28, "b")],
    "[x:1.2]": [(28, "")],
    "[a::3]": [(3, "a"), (28, "")],
    "[:b:3]": [(3, ""), (28, "b")],
    "[a:b:99]": [(28, "a")],
    "[a:b:-1]": [(28, "b")],
    "[a:b:1e1]": [(10, "a"), (28, "b")],
    "a|b [c:d:3]": [(28, "a|b [c:d:3]")],
    "[c:d:3] \\": [(28, "[c:d:3] \\")],
    r"[a\:b:c:3]": [(3, r"a\:b"), (28, "c")],
    r"\[a:b:3\]": [(28, r"\[a:b:3\]")],
}
PARTS = [
    *("(", ")", "[", "]", "[", "]", ":", "|", "a", "b ", "1", " ", "\\", "\\(", "\\]"),
    *(":3]", ":.5]", ": 2 ]", ":1.2)", "[a:b", "[c|d]", "[e:f:4]", "BREAK"),
]
STEPS = 6


@pytest.mark.parametrize(("text", "expected"), PUBLISHED.items())
def test_published_examples(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(read_edits(text, 10)) == expected


@pytest.mark.parametrize(("text", "expected"), AT_28.items())
def test_vectors_at_28_steps(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(read_edits(text, 28)) == expected


PROMPTS = st.lists(st.sampled_from(PARTS), max_size=11).map("".join)


@settings(max_examples=1000, deadline=None)
@given(PROMPTS)
def test_same_as_a_parser_of_the_published_grammar(text: str) -> None:
    assert list(read_edits(text, STEPS)) == edits(text, STEPS)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(PROMPTS)
def test_same_as_a_parser_of_the_published_grammar_at_length(text: str) -> None:
    assert list(read_edits(text, STEPS)) == edits(text, STEPS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a:b:3]]]", [(3, "a]]"), (6, "b]]")]),
        ("([a:b:3]", [(3, "(a"), (6, "(b")]),
        ("x[a:b:3]), y", [(3, "xa), y"), (6, "xb), y")]),
        ("[[a:b:3]:c]", [(3, "[a:c]"), (6, "[b:c]")]),
    ],
)
def test_brackets_without_partner_leave_edits_alone(
    text: str, expected: list[tuple[int, str]]
) -> None:
    assert list(read_edits(text, 6)) == expected


def test_a_variant_serves_one_evaluation_more_than_its_number() -> None:
    variants = read_edits("[a:b:2]", 4)
    served = [variants[variant_at(variants, evaluation)].text for evaluation in range(4)]
    assert served == ["a", "a", "a", "b"]
    turns = read_edits("[a|b]", 4)
    served = [turns[variant_at(turns, evaluation)].text for evaluation in range(4)]
    assert served == ["a", "a", "b", "a"]


def test_behind_the_last_variant_comes_the_first() -> None:
    assert variant_at(read_edits("[a:b:2]", 4), 9) == 0


@pytest.mark.parametrize(
    "unit", ["[", "[a", "[a:", "[a|", "[a|b]", "[a:b:3]", "[[a]:3]", "(", ")", "]", ":", "|", "\\"]
)
def test_hostile_text_is_read_at_once(unit: str) -> None:
    text = (unit * 32_768)[:32_768]
    began = time.process_time()
    read_edits(text, 20)
    assert time.process_time() - began < 2


def test_a_prompt_that_changes_too_often_for_its_length_is_refused() -> None:
    assert len(read_edits("[a|b]" + "()" * 1000, 1000)) == 1000
    with pytest.raises(UsageError, match="changes too often"):
        read_edits("[a|b]" + "()" * 10_000, 1000)


@pytest.mark.parametrize("depth", [10_000])
def test_depth_is_no_matter(depth: int) -> None:
    assert read_edits("[" * depth + "a" + ":2]" * depth, 4) == ((2, ""), (4, "a"))
    groups = "(" * depth + "a" + ")" * depth
    assert read_edits(f"[{groups}:2]", 4) == ((2, ""), (4, groups))
    nested = "[" * depth + "a" + "|b]" * depth
    assert read_edits(nested, 3) == ((1, "a"), (2, "b"), (3, "a"))


def test_a_hires_pass_counts_on() -> None:
    """A1111's `hires_steps`: whole numbers go on behind the first pass, parts from 1 to 2."""

    def said(prompt: str) -> list[tuple[int, str]]:
        return [(each.last, each.text) for each in read_edits(prompt, 20, before=10)]

    assert said("[a:b:0.5]") == said("[a:b:7]") == [(20, "b")]
    assert said("[a:b:1.5]") == [(10, "a"), (20, "b")]
    assert said("[a:b:14]") == [(4, "a"), (20, "b")]
    assert said("[a:b:2.0]") == [(20, "a")]
