"""Prompts rewritten: what changes is what is told, and nothing else is read otherwise."""

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sakuga.engine.lint.fixer import Fixed, fix
from sakuga.engine.lint.length import Ruler
from sakuga.engine.lint.linter import Linter, Question
from sakuga.engine.lint.names import literal_name, names_in
from sakuga.engine.lint.reading import Manner, Reading, read, read_negative
from sakuga.engine.text.prompt import read_prompt
from sakuga.engine.text.segments import Rule
from sakuga.engine.text.tokenizer import clip_tokenizer
from sakuga.profiles.preset import Preset
from sakuga.profiles.presets import all_presets

ANIMAGINE, AIDXL, V2 = "animagine-xl-3.1", "aidxl", "baxl-v2"
PREFIX = "masterpiece, best quality, very aesthetic, absurdres"
SUFFIX = "flat_coating, clear_color, highres, absurdres, best_quality"
NAMES = [*all_presets(), None]
RULES = ("a1111", "comfy", "diffusers")


@cache
def linter(name: str | None) -> Linter:
    return Linter(all_presets()[name] if name else None, Ruler(clip_tokenizer()))


def fixed(
    name: str | None, prompt: str, negative: str | None = None, rule: Rule = "a1111"
) -> Fixed:
    return fix(linter(name), Question(prompt, negative, Manner(rule)))


@pytest.mark.parametrize(
    ("name", "prompt", "expected"),
    [
        (ANIMAGINE, "1girl, smile", f"{PREFIX}, 1girl, smile"),
        (ANIMAGINE, f"1girl, {PREFIX}", f"1girl, {PREFIX}"),  # as the card's own pictures have it
        (ANIMAGINE, "smile, 1girl, high_quality", f"{PREFIX}, 1girl, smile, great_quality"),
        (ANIMAGINE, "1girl, (High Quality:1.3)", f"{PREFIX}, 1girl, (great quality:1.3)"),
        (ANIMAGINE, "1girl, rating: explicit, nsfw", f"{PREFIX}, 1girl, explicit, nsfw"),
        (ANIMAGINE, "1girl, rating_safe, safe", f"{PREFIX}, 1girl, general, safe"),
        (ANIMAGINE, "hat, lucy (x), 1girl", rf"{PREFIX}, 1girl, lucy \(x\), hat"),
        (ANIMAGINE, "1girl, (hat:1.2), hat", f"{PREFIX}, 1girl, (hat:1.2)"),
        (ANIMAGINE, "1girl, <lora:x:0.8>, hat, hat", f"{PREFIX}, 1girl, <lora:x:0.8>, hat"),
        (ANIMAGINE, "hat,\n1girl,\nlate", f"{PREFIX}, 1girl,\nhat,\nrecent"),
        (ANIMAGINE, "hat, 1girl BREAK sky, late, 1boy",
         f"{PREFIX}, 1girl, hat BREAK 1boy, sky, recent"),
        (ANIMAGINE, "[late:early:0.5], hat, 1girl", f"{PREFIX}, [recent:early:0.5], 1girl, hat"),
        (V2, "masterpiece, hat, sky, 1girl", f"1girl, hat, sky, {SUFFIX}"),
        (V2, "(masterpiece, (great quality), hat:1.2), 1girl", f"(hat:1.2), 1girl, {SUFFIX}"),
        (V2, "(highres:1.1), 1girl, x (y)",
         r"x \(y\), 1girl, (highres:1.1), flat_coating, clear_color, absurdres, best_quality"),
        (AIDXL, "masterpiece, elf, 1girl, by ask", "by ask, 1girl, elf, amazing quality"),
        # Behind the number, it would be no weight any more.
        (V2, "1girl, ratio 16:9", f"1girl, ratio 16, {SUFFIX}:9"),
        ("baxl-v3", "best quality, 1girl, hat", "1girl, hat, best quality"),
        ("sdxl", "hat, 1girl, hat", "hat, 1girl"),
        (None, "hat, hat", "hat"),
    ],
)  # fmt: skip
def test_fixed(name: str | None, prompt: str, expected: str) -> None:
    found = fixed(name, prompt)
    assert found.prompt == expected and found.undone == ()
    assert bool(found.changes) == (prompt != expected)
    assert not [each for each in found.left if each.mend]


def test_both_prompts_and_what_was_done() -> None:
    found = fixed(V2, "1girl, masterpiece", "lowres, blurry, Lowres")
    assert found.prompt == f"1girl, {SUFFIX}" and found.negative_prompt == "lowres"
    assert found.changes == (
        "prompt: took out 'masterpiece'",
        f"prompt: put '{SUFFIX}' behind it",
        "negative prompt: took out 'blurry'",
        "negative prompt: took out 'Lowres'",
    )
    assert fixed(V2, "1girl").negative_prompt is None


def test_the_other_tools() -> None:
    prompt = "hat, lucy (x), 1girl"
    assert fixed(ANIMAGINE, prompt, rule="comfy").prompt == rf"{PREFIX}, 1girl, lucy \(x\), hat"
    assert fixed(ANIMAGINE, prompt, rule="diffusers").prompt == f"{PREFIX}, 1girl, lucy (x), hat"
    escaped = r"1girl, lucy \(x\)"
    assert fixed(None, escaped, rule="diffusers").prompt == "1girl, lucy (x)"
    assert fixed(None, escaped, rule="comfy").prompt == escaped


def test_the_card_s_tags_stay_away_if_asked_to() -> None:
    question = Question("hat, 1girl", prefix="none")
    assert fix(linter(ANIMAGINE), question).prompt == "1girl, hat"


@pytest.mark.parametrize(
    ("name", "prompt", "expected"),
    [
        # Whose the card's tags are, between ANDs, nobody says.
        (ANIMAGINE, "hat, 1girl AND sky, late", "1girl, hat AND sky, recent"),
        # In the bracket that is never closed, they would be weighed.
        (V2, "1girl, (hat", "1girl, (hat"),
    ],
)
def test_what_would_be_read_otherwise_is_not_done_and_told(
    name: str, prompt: str, expected: str
) -> None:
    found = fixed(name, prompt)
    assert found.prompt == expected
    preset = all_presets()[name]
    assert found.undone == (
        f"Not added, for it would change how the prompt is read: {preset.prefix or preset.suffix}.",
    )


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        # Without the tag behind it, 1.2 would be a weight.
        ("1girl, (a:1.2, late, late)", "1girl, (a:1.2, recent)"),
        ("1girl, (hat:1.2, hat)", "1girl, (hat:1.2, hat)"),
        # At other steps it is no repetition.
        ("1girl, [hat|sky], hat", "1girl, [hat|sky], hat"),
        # One piece with what stands beside it.
        ("1girl, hat, [hat:sky:0.5]", "1girl, hat, [hat:sky:0.5]"),
    ],
)
def test_structure_is_left_alone(prompt: str, expected: str) -> None:
    assert fix(linter(ANIMAGINE), Question(prompt, prefix="none")).prompt == expected


def test_a_mend_that_would_break_a_bracket_is_not_done_and_told() -> None:
    """Behind the bracket of :) ComfyUI takes the next opening one for text."""
    found = fixed("baxl-v3", "(best quality:1.2), 1girl, :)", rule="comfy")
    assert found.prompt == "(best quality:1.2), 1girl, :)"
    (told,) = found.undone
    assert told.startswith("Not done, for it would change how the prompt is read: put ")
    assert fixed("baxl-v3", "(best quality:1.2), 1girl, :)").undone == ()


def test_a_refused_prompt_stays_as_it_is() -> None:
    for prompt in ("<hypernet:x:1>, hat, hat", "x" * 40_000):
        found = fixed(ANIMAGINE, prompt)
        assert found.prompt == prompt and found.changes == found.undone == ()
        assert [each.code for each in found.left] == ["refused"]


def frame(reading: Reading) -> list[object]:
    """What a fix must never touch: networks, ANDs, moments and BREAKs."""
    threads = [
        (thread.weight, [len(moment.sections) for moment in thread.moments])
        for thread in reading.threads
    ]
    return [reading.loras, threads]


def said(reading: Reading) -> Counter[tuple[str, tuple[float, ...]]]:
    return Counter((each.name, each.weights) for each in reading.mentions)


def may_go(preset: Preset | None, before: Reading) -> set[str]:
    """Names that a fix may take out or rename: retired and foreign ones, what the card wants taken
    out, repetitions, also of what the card puts around, and names whose brackets were weights."""
    card = linter(preset.name if preset else None).card
    names = {each.name for each in before.mentions}
    again = {
        name
        for section in before.sections
        for name, count in Counter(each.name for each in section).items()
        if count > 1
    }
    unread = {name for name in names if " " in name}  # lucy cyberpunk
    forbidden = {name for where in card.avoided.values() for name in where} | card.foreign.keys()
    around = {*names_in(preset.prefix), *names_in(preset.suffix)} if preset else set()
    return again | unread | around | forbidden | card.retired.keys() | card.instead.keys()


def may_come(preset: Preset | None) -> set[str]:
    if preset is None:
        return set()
    card = linter(preset.name).card
    texts = [preset.prefix, preset.suffix, *card.retired.values(), *card.instead.values()]
    return {name for text in texts for name in names_in(text)}


@settings(deadline=None, max_examples=60)  # the first one reads the cards
@given(data=st.data(), rule=st.sampled_from(RULES), name=st.sampled_from(NAMES), tidy=st.booleans())
def test_properties(
    prompts: st.SearchStrategy[str],
    tidy_prompts: st.SearchStrategy[str],
    data: st.DataObject,
    rule: Rule,
    name: str | None,
    tidy: bool,
) -> None:
    """Of any prompt: once is enough, what can be mended is mended or told, and no tag comes or
    goes, no weight changes, but for what the card asks."""
    texts = tidy_prompts if tidy else prompts
    question = Question(data.draw(texts), data.draw(st.none() | texts), Manner(rule, "Original", 9))
    found = fix(linter(name), question)
    after = replace(question, prompt=found.prompt, negative_prompt=found.negative_prompt)
    again = fix(linter(name), after)
    assert (again.prompt, again.negative_prompt, again.changes) == (
        found.prompt,
        found.negative_prompt,
        (),
    )
    assert found.left == again.left == linter(name).lint(after).findings
    mendable = [each for each in found.left if each.mend]
    assert all(any(each.mend.words in told for told in found.undone) for each in mendable)  # type: ignore[union-attr]
    if found.changes == ():
        assert after == question

    preset = all_presets()[name] if name else None
    both = [
        (read(question.prompt, question.manner), read(found.prompt, question.manner)),
        *(
            [
                (
                    read_negative(question.negative_prompt, question.manner),
                    read_negative(found.negative_prompt or "", question.manner),
                )
            ]
            if question.negative_prompt
            else []
        ),
    ]
    for old, new in both:
        if old.refused is not None:
            assert new.prompt == old.prompt
            continue
        assert frame(old) == frame(new)
        gone, come = said(old) - said(new), said(new) - said(old)
        assert {one for one, _ in gone} <= may_go(preset, old)
        renamed = {literal_name(one).replace("(", "").replace(")", "") for one, _ in gone}
        for one, _ in come:
            bare = " ".join(one.replace("(", "").replace(")", "").split())
            assert one in may_come(preset) or bare in renamed
    if both[0][0].refused is None:  # by the parser itself, with nothing traced
        old_strands, new_strands = (
            read_prompt(each.prompt, rule, 9).strands for each in (question, found)
        )
        assert [each.weight for each in old_strands] == [each.weight for each in new_strands]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), rule=st.sampled_from(RULES), name=st.sampled_from(NAMES))
def test_a_tidy_prompt_has_nothing_left_to_mend(
    tidy_prompts: st.SearchStrategy[str], data: st.DataObject, rule: Rule, name: str | None
) -> None:
    found = fixed(name, data.draw(tidy_prompts), None, rule)
    assert [each for each in found.left if each.mend] == []
    assert [each.code for each in found.left if each.code in ("retired-tag", "repeat")] == []
