"""A preset's tags around a prompt: each once, and none where it is already."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.text.composition import read_composition
from sakuga.engine.text.networks import read_networks
from sakuga.engine.text.segments import Rule
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
    assert surround(prompt, prefix, suffix, "a1111") == whole


@pytest.mark.parametrize(
    ("prompt", "whole"),
    [
        ("1girl AND sky :0.5", "a, 1girl AND sky, b:0.5"),
        ("1girl:-.5 ", "a, 1girl, b:-.5 "),
        ("1girl, : 2", "a, 1girl, b: 2"),
        ("1girl:0.5 <lora:x:1>", "a, 1girl, b:0.5 <lora:x:1>"),
        ("1girl:<lora:x:1>2<lora:y:1>", "a, 1girl, b:<lora:x:1>2<lora:y:1>"),
        (":2", "a, b:2"),
        ("1girl, b:0.5", "a, 1girl, b:0.5"),
        ("1girl, b:-0.5", "a, 1girl, b:-0.5"),
        # None of these is a weight of the whole.
        ("(1girl:0.5)", "a, (1girl:0.5), b"),
        ("[1girl:sky:0.5]", "a, [1girl:sky:0.5], b"),
        ("1girl:0.5,", "a, 1girl:0.5, b"),
        ("sky :0.5 AND 1girl", "a, sky :0.5 AND 1girl, b"),
        ("1girl <lora:x:0.5>", "a, 1girl <lora:x:0.5>, b"),
    ],
)
def test_a_weight_at_the_end_stays_there(prompt: str, whole: str) -> None:
    assert surround(prompt, "a", "b", "a1111") == whole
    weights = [part.weight for part in read_composition(read_networks(prompt)[0])]
    assert [part.weight for part in read_composition(read_networks(whole)[0])] == weights


def test_where_the_tool_knows_no_such_weight_it_is_text() -> None:
    assert surround("1girl:0.5", "a", "b", "comfy") == "a, 1girl:0.5, b"


TAGS = st.lists(st.text("ab_ (:1)[]-.", max_size=5), max_size=4).map(",".join)
RULES = st.sampled_from(("a1111", "comfy", "diffusers"))


@given(TAGS, TAGS, TAGS, RULES)
def test_once_is_enough(prompt: str, prefix: str, suffix: str, rule: Rule) -> None:
    whole = surround(prompt, prefix, suffix, rule)
    assert surround(whole, prefix, suffix, rule) == whole
    if rule != "a1111":
        assert prompt.rstrip(", \t\n") in whole


@given(TAGS)
def test_no_weight_is_lost(prompt: str) -> None:
    whole = surround(prompt, "a", "b", "a1111")
    assert read_composition(whole)[-1].weight == read_composition(prompt)[-1].weight
