"""Captions say what is painted, in words the model is taught."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sakuga.export.demo.captions import (
    ATTRIBUTES,
    BEST_TAGS,
    WORST_TAGS,
    caption,
    prompt,
    said,
    vocabulary,
    words,
)
from sakuga.export.demo.scene import random_scene
from sakuga.export.demo.training.tokens import phrase


@given(st.integers(0, 2**32 - 1))
def test_a_caption_never_says_what_is_not_there(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scene = random_scene(generator)
    named = said(caption(scene, generator))
    for key in (
        "person",
        "hair",
        "style",
        "eyes",
        "expression",
        "garment",
        "cloth",
        "place",
        "framing",
    ):
        if named[key]:
            assert ATTRIBUTES[key][named[key] - 1] == getattr(scene, key)
    for name in ("beanie", "glasses", "ribbon"):
        assert not named[name] or name in scene.accessories


@given(st.integers(0, 2**32 - 1))
def test_a_caption_uses_known_words(seed: int) -> None:
    generator = np.random.default_rng(seed)
    tags = caption(random_scene(generator), generator)
    assert {text for text, _ in tags} <= set(vocabulary())
    assert words(tags).split(", ") == [text for text, _ in tags]


def test_every_known_word_is_taught() -> None:
    generator, taught = np.random.default_rng(0), set[int]()
    for _ in range(4000):
        for text, _ in caption(random_scene(generator), generator):
            taught.update(phrase(text))
    untaught = {text for text in vocabulary() if not set(phrase(text)) <= taught}
    assert untaught == set()


@given(st.integers(0, 2**32 - 1))
def test_quality_tags_are_true(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scene = random_scene(generator)
    texts = {text for text, _ in caption(scene, generator)}
    wrong = WORST_TAGS if scene.quality == "best" else BEST_TAGS
    assert texts.isdisjoint(wrong)


def test_a_prompt_names_everything_once() -> None:
    scene = random_scene(np.random.default_rng(1))
    texts = prompt(scene).split(", ")
    assert len(texts) == len(set(texts))
    assert scene.hair in texts and texts[-4:] == list(BEST_TAGS)
