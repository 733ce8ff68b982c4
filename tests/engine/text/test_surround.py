"""A preset's tags around a prompt: each once, and none where it is already."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.text.surround import surround

PREFIX = "masterpiece, best quality, very aesthetic, absurdres"


@pytest.mark.parametrize(
    ("prompt", "prefix", "suffix", "whole"),
    [
        ("1girl", PREFIX, "", f"{PREFIX}, 1girl"),
        ("1girl", "", "flat_coating, best_quality", "1girl, flat_coating, best_quality"),
        ("1girl", "a", "b", "a, 1girl, b"),
        ("1girl, ", "a", "b", "a, 1girl, b"),
        ("1girl, ", "a", "", "a, 1girl, "),
        ("", PREFIX, "b", f"{PREFIX}, b"),
        (" ,", "", "", " ,"),
        ("1girl", "", "", "1girl"),
        (f"{PREFIX}, 1girl", PREFIX, "", f"{PREFIX}, 1girl"),
        (f"1girl, {PREFIX}", PREFIX, "", f"1girl, {PREFIX}"),
        ("masterpiece,best quality, 1girl", "masterpiece, best quality", "",
         "masterpiece,best quality, 1girl"),
        ("best quality, 1girl", "masterpiece, best quality", "",
         "masterpiece, best quality, 1girl"),
        ("(Masterpiece:1.2), 1girl", "masterpiece", "", "(Masterpiece:1.2), 1girl"),
        ("((masterpiece, best_quality:1.1)), 1girl", "masterpiece, best quality", "",
         "((masterpiece, best_quality:1.1)), 1girl"),
        ("masterpieces, 1girl", "masterpiece", "", "masterpiece, masterpieces, 1girl"),
        ("1girl\nmasterpiece", "masterpiece", "", "1girl\nmasterpiece"),
        ("1girl, a", "(a, b:1.2), c", "", "(a, b:1.2), c, 1girl, a"),
        ("b, a", "(a, b:1.2), c", "", "c, b, a"),
        ("1girl", r"ganyu \(genshin impact, b", "", r"ganyu \(genshin impact, b, 1girl"),
        ("1girl", "a", "A, b", "a, 1girl, b"),
        (r"lucy \(cyberpunk\)", "a", "", r"a, lucy \(cyberpunk\)"),
    ],
)  # fmt: skip
def test_the_whole_prompt(prompt: str, prefix: str, suffix: str, whole: str) -> None:
    assert surround(prompt, prefix, suffix) == whole


TAGS = st.lists(st.text("ab_ (:1)[]", max_size=5), max_size=4).map(",".join)


@given(TAGS, TAGS, TAGS)
def test_once_is_enough(prompt: str, prefix: str, suffix: str) -> None:
    whole = surround(prompt, prefix, suffix)
    assert surround(whole, prefix, suffix) == whole
    assert prompt.rstrip(", \t\n") in whole
