"""Whole prompts of A1111, all its rules together, against the published ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_rules import edits, networks, pieces, strands, without_networks

from sakuga.engine.errors import UsageError
from sakuga.engine.presets import known_presets
from sakuga.engine.text.attention import read_attention
from sakuga.engine.text.composition import MOST
from sakuga.engine.text.prompt import Strand, read_negative_prompt, read_prompt
from sakuga.engine.text.tokenizer import clip_tokenizer

STEPS = 6
TOKENIZER = clip_tokenizer()
PARTS = [
    *("(", ")", "[", "]", "[", "]", ":", "|", "a", "b ", ", ", "1", "\\", "\\(", "\\]", "\n"),
    *(":3]", ":.5]", ": 2 ]", ":1.2)", "(cat:0.7)", "[a:b", "[c|d]", "[e:f:4]", "(x:1.2.3)"),
    *(" BREAK ", "BREAK", " AND ", " AND ", " :1.2", ":0.5", "BAND", "猫", "👩‍👩‍👧‍👦", "\x00"),
    *("<lora:a:0.8>", "<lora:b>", "<", ">", "<lyco:c:1:0.5>"),
]
PROMPTS = st.lists(st.sampled_from(PARTS), max_size=14).map("".join)

Read = list[tuple[float, list[tuple[int, list[tuple[str, float]]]]]]


def published(text: str) -> Read:
    return [
        (weight, [(end, pieces(said)) for end, said in edits(part, STEPS)])
        for part, weight in strands(without_networks(text))
    ]


def ours(text: str) -> Read:
    return [_read(strand) for strand in read_prompt(text, "a1111", STEPS).strands]


def _read(strand: Strand) -> tuple[float, list[tuple[int, list[tuple[str, float]]]]]:
    return strand.weight, [(end, [*read_attention(said)]) for end, said in strand.variants]


def compare(text: str) -> None:
    """The same, or refused by name: A1111 drops tags of networks it does not know."""
    expected = published(text)
    if set(networks(text)) - {"lora", "lyco"}:
        with pytest.raises(UsageError, match="cannot be followed"):
            ours(text)
    elif len(expected) > MOST:
        with pytest.raises(UsageError, match="parts between ANDs"):
            ours(text)
    else:
        assert ours(text) == expected


@settings(max_examples=300, deadline=None)
@given(PROMPTS)
def test_same_as_the_published_rules(text: str) -> None:
    compare(text)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(PROMPTS)
def test_same_as_the_published_rules_at_length(text: str) -> None:
    compare(text)


@pytest.mark.parametrize(
    "text",
    [
        "a (cat:1.2) AND [red:blue:0.5] dog :0.7 AND <lora:x:1> b",
        "[(a AND b:2):c:3]",
        "a [b AND c:2] d",
        "(a BREAK b:1.0) BREAK [c|d|]",
        "[a:b:c:d] AND :1.2",
        "(x:1.2.3)(y:-1) BREAK",
    ],
)
def test_rules_that_meet(text: str) -> None:
    compare(text)


def test_a_negative_prompt_is_edited_alone() -> None:
    text = "a AND [b:c:2] :1.2 <lora:x:1>"
    found = read_negative_prompt(text, "a1111", STEPS)
    assert found.weight == 1 and [*found.variants] == edits(text, STEPS)


@pytest.mark.parametrize("rule", ["comfy", "diffusers"])
@given(text=PROMPTS)
def test_other_tools_take_all_of_it_for_text(rule: str, text: str) -> None:
    (strand,) = read_prompt(text, rule, STEPS).strands  # type: ignore[arg-type]
    assert strand.texts == (text,) and strand.weight == 1


def test_brackets_of_the_animagine_negative_prompt_stripped() -> None:
    """56 tokens as A1111 counts them, 59 as they stand there."""
    text = known_presets()["animagine-xl-3.1"].negative_prompt
    assert len(TOKENIZER.encode(text)) == 59
    assert sum(len(TOKENIZER.encode(said)) for said, _ in read_attention(text)) == 56
