"""Notes on pictures that are not quite what was asked for."""

from typing import Any

import numpy as np
import pytest

from sakuga.engine.runtime.notes import notes_of
from sakuga.engine.runtime.request import Defaults, Request, resolve
from sakuga.engine.runtime.slot import Course, Slot, row_sources
from sakuga.engine.text.conditioning import Conditioning
from sakuga.profiles.families import SDXL_TINY


def notes(prompt: str, negative: str = "", cut: int = 0, **options: Any) -> tuple[str, ...]:  # noqa: ANN401
    request = Request(prompt, negative, **options)
    settings = resolve(request, SDXL_TINY, Defaults(SDXL_TINY.buckets[0]), "epsilon")
    conditioning = Conditioning(np.zeros((77, 96), np.float32), None, cut)
    course = Course((conditioning,) * settings.table.evaluations)
    return notes_of(Slot(0, settings, lambda: row_sources(settings, [course], None)))


@pytest.mark.parametrize(
    "prompt",
    ["1girl", "(a:1.2) [b:c:3] BREAK d :1.2 AND e", "a (b [c", "<lora:x:1> a:b", "a, AND b"],
)
def test_what_is_read_as_it_is_meant_needs_no_note(prompt: str) -> None:
    assert notes(prompt, "(bad), [abstract]") == ()


@pytest.mark.parametrize(
    ("prompt", "negative", "words"),
    [
        ("(x:1.2.3)", "", "'1.2.3' in a prompt is no number"),
        ("x", "(y:..)", "'..' in a prompt is no number"),
        ("1girl, ratio 16:9", "", "guidance counts 9 times"),
        ("<lora:x:1> 1girl :0.5", "", "guidance counts 0.5 times"),
        ("1girl", "low <lora:x:1>", "'<lora:x:1>' in the negative prompt was read as words"),
        ("1girl", "low AND bad", "'AND' in the negative prompt was read as words"),
    ],
)
def test_a1111_reads_these_otherwise_than_meant(prompt: str, negative: str, words: str) -> None:
    (note,) = notes(prompt, negative)
    assert words in note
    assert notes(prompt, negative, compat="comfy") == ()
    assert notes(prompt, negative, compat="diffusers") == ()


def test_a_negative_prompt_that_does_not_count_needs_no_note() -> None:
    assert notes("1girl", "low AND bad", guidance=1.0) == ()


def test_tokens_left_out_are_told() -> None:
    assert "10 tokens beyond the first 75" in notes("1girl", cut=10, compat="diffusers")[0]
