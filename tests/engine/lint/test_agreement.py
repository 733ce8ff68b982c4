"""Whether two prompts are read alike, but for what was mended."""

import pytest

from sakuga.engine.lint.agreement import adds_only, agree
from sakuga.engine.lint.finding import Mend
from sakuga.engine.lint.reading import Manner, Reading, read


def said(prompt: str) -> Reading:
    return read(prompt, Manner(evaluations=10))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a, b", "b,  a"),
        ("(a:1.2), b", "b, (a:1.2)"),
        ("a BREAK b", "a BREAK  b"),
        ("<lora:x:1> a", "a <lora:x:1>"),
        ("[a:b:3], c", "c, [a:b:3]"),
    ],
)
def test_alike(before: str, after: str) -> None:
    assert agree(said(before), said(after), [])
    assert adds_only(said(before), said(after), frozenset())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a, b", "a"),
        ("a, b", "a, b, b"),
        ("a, b", "a, c"),
        ("(a:1.2), b", "(a:1.3), b"),
        ("a, b", "(a), b"),
        ("a BREAK b", "b BREAK a"),
        ("a BREAK b", "a, b"),
        ("a BREAK", "a"),
        ("a AND b", "b AND a"),
        ("a :2 AND b", "a AND b"),
        ("a, b :9", "a, b"),
        ("<lora:x:1> a", "a"),
        ("<lora:x:1> a", "<lora:x:0.5> a"),
        ("[a:b:3]", "[b:a:3]"),
        ("[a:b:3], c", "c"),
        ("[a|b]", "a"),
        ("a", "<hypernet:x:1> a"),
    ],
)
def test_not_alike(before: str, after: str) -> None:
    assert not agree(said(before), said(after), [])
    assert not adds_only(said(before), said(after), frozenset({"d"}))


def test_what_was_mended_is_expected() -> None:
    before = said("a, (b:1.2), c")
    (_, second, third) = before.mentions
    renamed = Mend((), "", (second.span,), ("x", "y"))
    removed = Mend((), "", (third.span,))
    assert agree(before, said("(x, y:1.2), a"), [renamed, removed])
    assert not agree(before, said("x, y, a"), [renamed, removed])  # the weight is lost
    assert not agree(before, said("(x, y:1.2), a, c"), [renamed, removed])
    assert not agree(before, said("(x, y:1.2), a"), [renamed])


def test_what_may_come() -> None:
    names = frozenset({"x", "y"})
    assert adds_only(said("a BREAK b"), said("x, a BREAK b, y"), names)
    assert not adds_only(said("a"), said("x, a, z"), names)
    assert not adds_only(said("a"), said("(x), a"), names)
    assert not adds_only(said("a, b"), said("x, a"), names)
    assert not adds_only(said("[a:b:3]"), said("x, [a:b:3], y BREAK"), names)
