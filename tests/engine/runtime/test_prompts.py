"""Conditioning of a picture: encoded once, zeroed where the tool would."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.base import Session
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.request import Defaults, Request, Settings, resolve
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
    assert sessions.runs == {"text_encoder": 2, "text_encoder_2": 2}
    again = encoded(prompts, settings_of(bundle, "1girl", "lowres", seed=7, steps=9))
    swapped = encoded(prompts, settings_of(bundle, "lowres", "1girl"))
    assert sessions.runs == {"text_encoder": 2, "text_encoder_2": 2}
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
    assert sessions.runs["text_encoder"] == 2 and sessions.rows["text_encoder"] == 3


def test_diffusers_cuts_a_long_prompt_and_says_so(sdxl: Sdxl) -> None:
    prompts, _, bundle = sdxl
    long, _ = encoded(prompts, settings_of(bundle, "girl " * 85, compat="diffusers"))
    assert len(long.states) == 77
    assert long.tokens_cut == 10
