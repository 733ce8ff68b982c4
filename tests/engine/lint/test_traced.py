"""A traced prompt is read by a tool's parser just as the prompt is."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.lint.traced import place, places, trace, untrace
from sakuga.engine.text.attention import read_attention
from sakuga.engine.text.comfy import read_comfy_attention
from sakuga.engine.text.prompt import Prompt, read_negative_prompt, read_prompt

Said = list[tuple[object, ...]]


def test_letters_tell_their_place() -> None:
    traced = trace("1girl, (x:1.2)")
    assert places(traced) == [0, 1, 2, 3, 4, 8]
    assert traced[5:8] == ", (" and traced[9:] == ":1.2)"
    assert place("a") is None and place(traced[3]) == 3
    assert untrace(f"{traced[1:5]} or {traced[8]}", "1girl, (x:1.2)") == "girl or x"


@pytest.mark.parametrize("known", ["BREAK", "AND", "<lora:x:0.8>", ":-.5", ": 2e3", ":inf", ":nan"])
def test_what_parsers_know_stays(known: str) -> None:
    assert trace(f"a {known} b")[2:-2] == known


def test_letters_of_the_same_alphabet_cannot_be_taken_for_places() -> None:
    assert places(trace("\U00020001\U00020000 <lora:\U00020000:1>")) == [0, 1]


def comfy(prompt: str) -> Said:
    return [*read_comfy_attention(prompt)]


def a1111(prompt: str) -> Said:
    read = read_prompt(prompt, "a1111", 10)
    loras: Said = [(read.loras,)]
    return [*_weighed(read), *loras]


def a1111_negative(prompt: str) -> Said:
    return _weighed(Prompt((read_negative_prompt(prompt, "a1111", 10),)))


def _weighed(read: Prompt) -> Said:
    return [
        (at, strand.weight, variant.last, *piece)
        for at, strand in enumerate(read.strands)
        for variant in strand.variants
        for piece in read_attention(variant.text)
    ]


def outcome(read: Callable[[str], Said], prompt: str) -> Said | str:
    try:
        return read(prompt)
    except UsageError as error:
        return type(error).__name__


@given(data=st.data())
@pytest.mark.parametrize("read", [a1111, a1111_negative, comfy])
def test_it_is_read_as_the_prompt_is(
    prompts: st.SearchStrategy[str], read: Callable[[str], Said], data: st.DataObject
) -> None:
    prompt = data.draw(prompts)
    found = outcome(read, trace(prompt))
    if isinstance(found, list):
        found = [
            tuple(untrace(each, prompt) if isinstance(each, str) else each for each in one)
            for one in found
        ]
    assert found == outcome(read, prompt)


@given(st.text())
def test_any_text_comes_back(prompt: str) -> None:
    traced = trace(prompt)
    assert len(traced) == len(prompt)
    if not any(place(letter) is not None for letter in prompt):
        assert untrace(traced, prompt) == prompt


@pytest.mark.parametrize("unit", ["<a:", "a", ":1", "(", " ", "AND ", "\U00020000"])
def test_long_text_is_traced_at_once(unit: str) -> None:
    began = time.process_time()
    trace((unit * 32_768)[:32_768])
    assert time.process_time() - began < 0.2
