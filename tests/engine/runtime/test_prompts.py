"""Conditioning of a picture: encoded once, zeroed where the tool would."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.base import Session
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import UsageError
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.text.conditioning import Conditioning


class Counted:
    """Sessions of a bundle, loaded when asked for; counts their runs and rows."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.runs: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()

    def __call__(self, name: str) -> Session:
        counted, session = self, OnnxSession(self._bundle.graph(name), threads=1)

        class One:
            def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
                counted.runs[name] += 1
                counted.rows[name] += len(inputs["end_index"])
                return session.run(inputs)

        return One()


@pytest.fixture
def sdxl(sdxl_bundle: Bundle) -> tuple[PromptEncoder, Counted, Bundle]:
    sessions = Counted(sdxl_bundle)
    return PromptEncoder(sdxl_bundle, sessions), sessions, sdxl_bundle


def settings_of(bundle: Bundle, *args: Any, **options: Any) -> Settings:  # noqa: ANN401
    request = Request(*args, **options)
    return resolve(request, bundle.family, Defaults(bundle.family.buckets[0]), "epsilon")


def encoded(prompts: PromptEncoder, settings: Settings) -> tuple[Conditioning, Conditioning | None]:
    """Conditioning of a prompt without AND and of the negative prompt, neither of them edited."""
    (positive,), negative = prompts.encode(settings)
    found = [course.conditionings for course in (positive, negative) if course is not None]
    assert all(one is each[0] for each in found for one in each)
    return found[0][0], found[1][0] if len(found) == 2 else None


def same(a: Conditioning, b: Conditioning) -> bool:
    assert a.pooled is not None and b.pooled is not None
    return np.array_equal(a.states, b.states) and np.array_equal(a.pooled, b.pooled)


Sdxl = tuple[PromptEncoder, Counted, Bundle]


def test_a_prompt_is_encoded_once(sdxl: Sdxl) -> None:
    prompts, sessions, bundle = sdxl
    first = encoded(prompts, settings_of(bundle, "1girl", "lowres"))
    assert sessions.runs == {"text_encoder": 1, "text_encoder_2": 1}  # both prompts at once
    again = encoded(prompts, settings_of(bundle, "1girl", "lowres", seed=7, steps=9))
    swapped = encoded(prompts, settings_of(bundle, "lowres", "1girl"))
    assert sessions.runs == {"text_encoder": 1, "text_encoder_2": 1}
    assert again[0] is first[0] and again[1] is first[1]
    assert swapped == (first[1], first[0])


def test_another_layer_or_rule_is_another_prompt(sdxl: Sdxl) -> None:
    prompts, sessions, bundle = sdxl
    usual, _ = encoded(prompts, settings_of(bundle, "1girl", guidance=1.0))
    deeper, _ = encoded(prompts, settings_of(bundle, "1girl", guidance=1.0, clip_skip=3))
    encoded(prompts, settings_of(bundle, "1girl", guidance=1.0, compat="comfy"))
    assert sessions.runs["text_encoder"] == 3
    assert not same(usual, deeper)


def test_old_prompts_are_forgotten(sdxl: Sdxl, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, sessions, bundle = sdxl
    one_bytes = encoded(prompts, settings_of(bundle, "girl 0", guidance=1.0))[0].states.nbytes
    monkeypatch.setattr("sakuga.engine.runtime.prompts._REMEMBERED_BYTES", 5 * one_bytes)
    for number in range(1, 6):
        encoded(prompts, settings_of(bundle, f"girl {number}", guidance=1.0))
    assert sessions.runs["text_encoder"] == 6
    encoded(prompts, settings_of(bundle, "girl 1", guidance=1.0))
    assert sessions.runs["text_encoder"] == 6
    encoded(prompts, settings_of(bundle, "girl 0", guidance=1.0))
    assert sessions.runs["text_encoder"] == 7


def test_without_guidance_the_negative_prompt_is_not_encoded(sdxl: Sdxl) -> None:
    prompts, sessions, bundle = sdxl
    positive, negative = encoded(prompts, settings_of(bundle, "1girl", "lowres", guidance=1.0))
    assert negative is None and positive.states.shape == (77, 96)
    assert sessions.rows["text_encoder"] == 1


@pytest.mark.parametrize(
    "compat, negative, zeroed",
    [
        ("a1111", None, True),
        ("a1111", "", True),
        ("a1111", "lowres", False),
        ("comfy", None, False),
        ("comfy", "", False),
        ("diffusers", None, True),
        ("diffusers", "", False),
        ("diffusers", "lowres", False),
    ],
)
def test_which_negative_prompt_becomes_zeros(
    sdxl: Sdxl, compat: str, negative: str | None, zeroed: bool
) -> None:
    prompts, _, bundle = sdxl
    _, found = encoded(prompts, settings_of(bundle, "1girl", negative, compat=compat))
    assert found is not None and found.pooled is not None
    assert (not found.states.any()) is zeroed
    assert (not found.pooled.any()) is zeroed


def test_zeros_are_not_remembered_as_the_empty_prompt(sdxl: Sdxl) -> None:
    prompts, _, bundle = sdxl
    encoded(prompts, settings_of(bundle, "1girl", ""))
    empty, _ = encoded(prompts, settings_of(bundle, "", "1girl"))
    assert empty.states.any()


def test_an_empty_prompt_is_encoded(sdxl: Sdxl) -> None:
    prompts, _, bundle = sdxl
    empty, _ = encoded(prompts, settings_of(bundle, ""))
    assert np.isfinite(empty.states).all() and empty.states.any()


def test_sd15_encodes_the_empty_negative_prompt(sd15_bundle: Bundle) -> None:
    prompts = PromptEncoder(sd15_bundle, Counted(sd15_bundle))
    _, negative = encoded(prompts, settings_of(sd15_bundle, "1girl", ""))
    assert negative is not None and negative.states.any()
    assert negative.states.shape == (77, 32) and negative.pooled is None


def test_a_long_prompt_has_more_chunks(sdxl: Sdxl) -> None:
    prompts, sessions, bundle = sdxl
    long, short = encoded(prompts, settings_of(bundle, "girl " * 85, "lowres"))
    assert short is not None
    assert (len(long.states), len(short.states)) == (154, 77)
    assert sessions.runs["text_encoder"] == 1 and sessions.rows["text_encoder"] == 3


def test_diffusers_cuts_a_long_prompt_and_says_so(sdxl: Sdxl) -> None:
    prompts, _, bundle = sdxl
    long, _ = encoded(prompts, settings_of(bundle, "girl " * 85, compat="diffusers"))
    assert len(long.states) == 77
    assert long.tokens_cut == 10


def test_what_editing_makes_of_a_prompt_is_encoded_at_once(sdxl: Sdxl) -> None:
    prompts, sessions, bundle = sdxl
    settings = settings_of(bundle, "[cat|dog] on a [mat:rug:2]", "lowres", steps=4)
    (positive,), negative = prompts.encode(settings)
    assert negative is not None
    assert sessions.runs == {"text_encoder": 1, "text_encoder_2": 1}
    assert sessions.rows["text_encoder"] == 4 + 1  # cat mat, dog mat, cat rug, dog rug
    first, still_first, second, third = positive.conditionings
    assert first is still_first  # step N serves N + 1 evaluations
    assert len({id(each) for each in negative.conditionings}) == 1
    texts = ["cat on a mat", "dog on a mat", "cat on a rug"]
    for found, text in zip((first, second, third), texts, strict=True):
        plain, _ = encoded(prompts, settings_of(bundle, text))
        np.testing.assert_allclose(found.states, plain.states, atol=1e-5)


def test_prompts_between_ands_are_encoded_apart(sdxl: Sdxl) -> None:
    prompts, _, bundle = sdxl
    positives, _ = prompts.encode(settings_of(bundle, "cat :0.5 AND dog AND " + "girl " * 85))
    assert [course.weight for course in positives] == [0.5, 1.0, 1.0]
    assert [course.chunks for course in positives] == [2, 2, 2]
    cat, _ = encoded(prompts, settings_of(bundle, "cat"))
    stretched = positives[0].conditionings[0].states
    assert np.array_equal(stretched[:77], cat.states)
    assert np.array_equal(stretched[77:], np.repeat(cat.states[-1:], 77, axis=0))


@pytest.mark.parametrize(("prompt", "negative"), [("girl " * 85, "low"), ("girl", "low " * 85)])
def test_pad_conds_pads_the_shorter_with_empty_chunks(
    sdxl: Sdxl, prompt: str, negative: str
) -> None:
    prompts, _, bundle = sdxl
    apart = encoded(prompts, settings_of(bundle, prompt, negative))
    padded = encoded(prompts, settings_of(bundle, prompt, negative, pad_conds=True))
    empty, _ = encoded(prompts, settings_of(bundle, ""))
    for before, after in zip(apart, padded, strict=True):
        assert before is not None and after is not None
        assert len(after.states) == 154
        if len(before.states) == 77:
            assert np.array_equal(after.states[:77], before.states)
            assert np.array_equal(after.states[77:], empty.states)
        else:
            assert after is before


def test_emphasis_is_part_of_what_is_remembered(sdxl: Sdxl) -> None:
    prompts, _, bundle = sdxl
    found = [
        encoded(prompts, settings_of(bundle, "a (cat:1.5)", emphasis=emphasis))[0]
        for emphasis in (None, "No norm", "Ignore", "None")
    ]
    for index, one in enumerate(found):
        assert not any(np.array_equal(one.states, other.states) for other in found[:index])


@pytest.mark.parametrize(
    ("negative", "zeroed"), [("[:lowres:2]", False), ("[::2]", True), ("()", False)]
)
def test_zeros_stand_for_what_says_nothing_all_the_time(
    sdxl: Sdxl, negative: str, zeroed: bool
) -> None:
    prompts, _, bundle = sdxl
    assert prompts.zeroes(settings_of(bundle, "1girl", negative)) is zeroed


def test_a_negative_prompt_knows_editing_and_no_and(sdxl: Sdxl) -> None:
    prompts, _, bundle = sdxl
    _, negative = prompts.encode(settings_of(bundle, "1girl", "low AND [bad:worse:2]", steps=4))
    assert negative is not None
    assert len({id(one) for one in negative.conditionings}) == 2


@pytest.mark.parametrize("compat", ["comfy", "diffusers"])
def test_other_tools_know_neither_editing_nor_and(sdxl: Sdxl, compat: str) -> None:
    prompts, _, bundle = sdxl
    settings = settings_of(bundle, "[a:b:2] AND c :2 <lora:x:1>", compat=compat)
    prompts.check(settings)
    (positive,), _ = prompts.encode(settings)
    assert positive.weight == 1
    assert len({id(one) for one in positive.conditionings}) == 1


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("girl " * 226, "4 chunks of 75"),
        ("cat AND " + "girl " * 226, "4 chunks of 75"),
        ("[cat:" + "girl " * 226 + ":2]", "4 chunks of 75"),
        ("a BREAK b BREAK c BREAK d", "4 chunks of 75"),
        (" AND ".join("abcdefgh"), "7"),
        ("cat <lora:thick:0.8>", "It holds none"),
        ("cat <hypernet:thick:0.8>", "no networks of the kind"),
    ],
)
def test_what_cannot_be_followed_is_refused(sdxl: Sdxl, prompt: str, words: str) -> None:
    prompts, _, bundle = sdxl
    with pytest.raises(UsageError) as caught:
        prompts.check(settings_of(bundle, prompt))
    assert words in str(caught.value) and caught.value.hint


HOSTILE = [
    *("(", ")", "((((a", "[[[[b", "(a:1.2.3)", "(a:1.2", "]]]]", "a\\", "\0", "|", "[|]", "[|||]"),
    *("BREAK", "AND", "[a:b", "[a:b:c:d:e]", "[a:b:1e999]", "(a:-5)", "(a:0)", ":1", "<lora:"),
    *("[" * 50 + "a" + ":1]" * 50, "(" * 500 + ")" * 500, "[a|b]" * 40, "👩‍👩‍👧‍👦" * 5),
    *("\u202e", "\ufffe", "\n"),
]


@pytest.mark.parametrize("compat", ["a1111", "comfy", "diffusers"])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_prompts_are_encoded(sdxl: Sdxl, text: str, compat: str) -> None:
    prompts, _, bundle = sdxl
    settings = settings_of(bundle, text, text, compat=compat, steps=4)
    prompts.check(settings)
    positives, negative = prompts.encode(settings)
    courses = [*positives, *([] if negative is None else [negative])]
    for conditioning in (one for course in courses for one in course.conditionings):
        assert np.isfinite(conditioning.states).all()


@pytest.mark.parametrize("compat", ["a1111", "comfy", "diffusers"])
def test_a_megabyte_is_refused_at_once(
    sdxl: Sdxl, compat: str, worst: Callable[[str, float], float]
) -> None:
    prompts, _, bundle = sdxl
    for unit in ("a", "(", "[a|b]", "a, ", "AND ", "\\", ":1", "<lora:a:1>", "\0"):
        text = (unit * 1_000_000)[:1_000_000]
        for request in ({"prompt": text}, {"prompt": "1girl", "negative_prompt": text}):
            began = time.process_time()
            with pytest.raises(UsageError, match="too long"):
                prompts.check(settings_of(bundle, compat=compat, **request))
            assert worst(f"a million characters, {compat}, s", time.process_time() - began) < 0.1
