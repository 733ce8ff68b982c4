"""Notes on pictures that are not quite what was asked for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sakuga.engine.lint.length import Ruler
from sakuga.engine.lint.linter import Linter
from sakuga.engine.runtime.notes import notes_of
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.slot import Course, Slot, row_sources
from sakuga.engine.text.conditioning import Conditioning
from sakuga.engine.text.tokenizer import clip_tokenizer
from sakuga.profiles.families import SDXL_TINY
from sakuga.profiles.preset import Preset
from sakuga.profiles.presets import all_presets

ANIMAGINE = all_presets()["animagine-xl-3.1"]
RULER = Ruler(clip_tokenizer())


def notes(
    prompt: str,
    negative: str | None = "",
    cut: int = 0,
    preset: Preset | None = None,
    **options: Any,  # noqa: ANN401
) -> tuple[str, ...]:
    request = Request(prompt, negative, **options)
    defaults = Defaults(SDXL_TINY.buckets[0])
    if preset is not None:
        defaults = replace(defaults, prefix=preset.prefix, negative_prompt=preset.negative_prompt)
    settings = resolve(request, SDXL_TINY, defaults, "epsilon")
    conditioning = Conditioning(np.zeros((77, 96), np.float32), None, cut)
    course = Course((conditioning,) * settings.table.evaluations)
    slot = Slot(0, settings, lambda: row_sources(settings, [course], None))
    return notes_of(slot, Linter(preset, RULER))


@pytest.mark.parametrize(
    "prompt",
    ["1girl", "(a:1.2) [b:c:3] BREAK d :1.2 AND e", "<lora:x:1> a:b", "a, AND b", "a, (b), [c]"],
)
def test_what_is_read_as_it_is_meant_needs_no_note(prompt: str) -> None:
    assert notes(prompt, "(bad), [abstract]") == ()


@pytest.mark.parametrize(
    ("prompt", "negative", "note"),
    [
        ("(x:1.2.3)", "", "Prompt: '1.2.3' in a prompt is no number, so it is read as words"),
        ("x", "(y:..)", "Negative prompt: '..' in a prompt is no number"),
        ("1girl, ratio 16:9", "", "guidance counts 9 times"),
        ("<lora:x:1> 1girl :0.5", "", "guidance counts 0.5 times"),
        ("1girl", "low <lora:x:1>", "'<lora:x:1>' is read as words: A1111, in a negative prompt,"),
        ("1girl", "low AND bad", "'AND' is read as words: A1111, in a negative prompt,"),
        ("a, lucy (cyberpunk)", "", r"a name is written lucy \(cyberpunk\)."),
    ],
)
def test_what_is_read_otherwise_than_meant(prompt: str, negative: str, note: str) -> None:
    (found,) = notes(prompt, negative)
    assert note in found and "more" not in found


def test_each_tool_reads_its_own_way() -> None:
    for prompt in ("[bad]", "a BREAK b", "<lora:x:1> a"):
        assert notes(prompt) == ()
        assert "ComfyUI knows no" in notes(prompt, compat="comfy")[0]
        assert "diffusers knows no" in notes(prompt, compat="diffusers")[0]


def test_a_picture_gets_one_line_on_its_prompts() -> None:
    """The most important finding, and how many more there are."""
    prompt = "hat, 1girl, high quality, score_9, hat, (sky"
    (found,) = notes(prompt, "lowres, lowres", preset=ANIMAGINE)
    assert found == (
        "Prompt: A '(' is never closed and weighs all that follows by 1.1. "
        "(5 more: sakuga lint-prompt)"
    )


def test_the_card_counts_and_its_own_words_do_not() -> None:
    assert notes("1girl, hat", None, preset=ANIMAGINE) == ()
    assert notes("1girl, hat", None, preset=ANIMAGINE, compat="comfy") == ()  # [abstract] and all
    (found,) = notes("1girl, late", None, preset=ANIMAGINE)
    assert found == "Prompt: 'late' is 'recent' in the card of Animagine XL 3.1."
    (found,) = notes("1girl, oldest", None, preset=ANIMAGINE)
    assert found == "Prompt: 'oldest' stands in the negative prompt of the card too."


def test_a_negative_prompt_that_does_not_count_needs_no_note() -> None:
    assert notes("1girl", "low AND bad", guidance=1.0) == ()
    assert notes("1girl", "1girl", guidance=1.0) == ()


def test_tokens_left_out_are_told() -> None:
    (found,) = notes("1girl", cut=10, compat="diffusers")
    assert "10 tokens beyond the first 75" in found
    (found,) = notes("hat cat " * 50, cut=25, compat="diffusers")  # and not a second time
    assert "25 tokens beyond the first 75" in found


def test_weights_that_are_not_read_need_no_note() -> None:
    assert notes("(x:1.2.3), lucy (cyberpunk)", emphasis="None") == ()
