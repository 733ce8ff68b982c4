"""The linter as a whole: what belongs to both prompts, any text at all, and how long it takes."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sakuga.engine.lint.finding import Finding, most_important
from sakuga.engine.lint.length import Ruler
from sakuga.engine.lint.linter import Linter, Question
from sakuga.engine.lint.reading import Manner
from sakuga.engine.manifest import LoraEntry
from sakuga.profiles.presets import all_presets

RULES = ("a1111", "comfy", "diffusers")
ANIMAGINE = all_presets()["animagine-xl-3.1"]


@pytest.fixture(scope="module")
def linter(ruler: Ruler) -> Linter:
    return Linter(ANIMAGINE, ruler)


def test_the_card_s_negative_prompt_stands_in(linter: Linter) -> None:
    (found,) = linter.lint(Question("1girl, oldest")).findings
    assert found.sentence == "'oldest' stands in the negative prompt of the card too."
    assert linter.lint(Question("1girl, oldest", "")).findings == ()
    assert linter.lint(Question("1girl, oldest", None, Manner("diffusers"))).findings == ()
    (found,) = linter.lint(Question("1girl, hat", "lowres, (Hat:1.2)")).findings
    assert found.sentence == "'hat' stands in the negative prompt too."


def test_the_card_s_tags_are_company(linter: Linter) -> None:
    """What will be put around a prompt counts, and places are those of the prompt as given."""
    prompt = "1girl, worst quality"
    (found,) = linter.lint(Question(prompt, "")).findings
    assert "opposite ends of quality" in found.sentence
    assert prompt[found.start : found.stop] == "worst quality"
    assert linter.lint(Question(prompt, "", prefix="none")).findings == ()


def test_findings_come_in_the_order_of_the_texts(linter: Linter) -> None:
    report = linter.lint(Question("hat, high quality, 1girl, (x", "lowres, lowres, {y}"))
    places = [(each.where, each.start) for each in report.findings]
    assert places == sorted(places, key=lambda place: (place[0] != "prompt", place[1]))
    assert {each.where for each in report.findings} == {"prompt", "negative prompt"}


def test_the_most_important_is_what_is_not_read_as_meant(linter: Linter) -> None:
    report = linter.lint(Question("hat, 1girl, smile, smile, high quality, (x"))
    first = most_important(report.findings)
    assert first is not None and first.code == "brackets"
    assert most_important(()) is None
    assert most_important(f for f in report.findings if f.code == "order") == report.findings[0]


def test_loras_that_are_not_in_the_bundle(ruler: Ruler) -> None:
    built = LoraEntry("x", "0" * 12, "0" * 64, 1.0, 1.0, (), ())
    linter = Linter(None, ruler, [built])
    assert linter.lint(Question("a, <lora:x:1>")).findings == ()
    (found,) = linter.lint(Question("a, <lora:x:0.5>")).findings
    assert found.code == "refused" and "with the LoRA x at 0.5" in found.sentence
    assert Linter(None, ruler).lint(Question("a, <lora:x:0.5>")).findings == ()


def test_a_prompt_is_looked_at_once(linter: Linter) -> None:
    question = Question("1girl, hat, sky")
    assert linter.lint(question) is linter.lint(Question("1girl, hat, sky"))


def is_sound(found: Finding, question: Question) -> bool:
    text = question.prompt if found.where == "prompt" else question.negative_prompt or ""
    edits = found.mend.edits if found.mend else ()
    return (
        0 <= found.start <= found.stop <= len(text)
        and all(0 <= each.start <= each.stop <= len(text) for each in edits)
        and "\n" not in found.sentence
        and len(found.sentence) < 400
    )


@settings(deadline=None)  # the first example reads the cards
@given(data=st.data(), rule=st.sampled_from(RULES), name=st.sampled_from([*all_presets(), None]))
def test_any_prompt_can_be_looked_at(
    prompts: st.SearchStrategy[str],
    ruler: Ruler,
    data: st.DataObject,
    rule: str,
    name: str | None,
) -> None:
    texts = st.one_of(prompts, st.text())
    question = Question(
        data.draw(texts),
        data.draw(st.one_of(st.none(), texts)),
        Manner(rule, data.draw(st.sampled_from(["Original", "None"])), 9),  # type: ignore[arg-type]
    )
    report = Linter(all_presets()[name] if name else None, ruler).lint(question)
    assert all(is_sound(each, question) for each in report.findings)


@pytest.mark.parametrize("rule", RULES)
def test_a_megabyte_is_refused_at_once(linter: Linter, rule: str) -> None:
    began = time.process_time()
    report = linter.lint(Question("1girl, " * 150_000, "x" * 1_000_000, Manner(rule)))  # type: ignore[arg-type]
    assert time.process_time() - began < 0.1
    assert [each.code for each in report.findings] == ["refused", "refused"]


@pytest.mark.parametrize("unit", ["x (y),", "[a|b],", "a BREAK "])
def test_the_longest_prompts_take_bounded_time(linter: Linter, unit: str) -> None:
    began = time.process_time()
    linter.lint(Question((unit * 32_768)[:32_768]))
    assert time.process_time() - began < 2
