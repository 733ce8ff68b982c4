"""Where a tag can be taken out without touching what stands beside it."""

import pytest

from sakuga.engine.lint.finding import edited
from sakuga.engine.lint.spots import extent, taken_out


@pytest.mark.parametrize(
    ("prompt", "left"),
    [
        ("a, TAG, b", "a, b"),
        ("TAG, b", "b"),
        ("a, TAG", "a"),
        ("TAG", ""),
        (" TAG ", ""),
        ("a, (TAG:1.2), b", "a, b"),
        ("a, (([TAG])), b", "a, b"),
        ("(TAG, b:1.2)", "(b:1.2)"),
        ("(a, TAG:1.2)", "(a:1.2)"),
        ("[a, TAG:b:0.5]", "[a:b:0.5]"),
        ("a,\nTAG,\nb", "a,\n\nb"),
        ("a , TAG BREAK b", "a BREAK b"),
        (r"a, TAG \(x\), b", "a, b"),
        (r"a, \(TAG\), b", "a, b"),
        ("<lora:x:1> TAG, b", "<lora:x:1> b"),
        ("[TAG:b:0.5], c", None),
        ("[TAG|b], c", None),
        ("a BREAK TAG BREAK b", None),
        ("(TAG", None),
        ("TAG <lora:x:1>", None),
    ],
)
def test_taken_out(prompt: str, left: str | None) -> None:
    start = prompt.index("TAG")
    stop = prompt.index("x") + 1 if r"\(x\)" in prompt else start + 3
    edit = taken_out(prompt, (start, stop))
    assert (edit and edited(prompt, [edit])) == left


@pytest.mark.parametrize(
    ("prompt", "whole"),
    [
        (r"a, lucy \(x\), b", r"lucy \(x\)"),
        ("(lucy:1.2)", "lucy"),
        ("a, .lucy!?, b", ".lucy!?"),
        ("a <lora:x:1> lucy", "lucy"),
        ("{lucy}", "lucy"),
    ],
)
def test_the_signs_that_belong_to_a_tag(prompt: str, whole: str) -> None:
    start = prompt.index("lucy")
    stop = prompt.index("x") + 1 if r"\(x" in prompt else start + 4
    assert prompt[slice(*extent(prompt, (start, stop)))] == whole
