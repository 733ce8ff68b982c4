"""Prompts for properties: tags in all that grammars know, well formed and not."""

import pytest
from hypothesis import strategies as st

from sakuga.engine.lint.length import Ruler
from sakuga.engine.text.tokenizer import clip_tokenizer

TAGS = [
    *("1girl", "2girls", "solo", "smile", "long hair", "short_hair", "night", "high quality"),
    *("High_Quality", "masterpiece", "best quality", "very aesthetic", "rating: general"),
    *("flat_coating", "highres", "score_9", "by ask", "newest", "nsfw", "lucy (cyberpunk)"),
    *(r"lucy \(cyberpunk\)", "shiroko_(blue archive)", "late", ":)", "^_^", "EasyNegative"),
    *("ratio 16:9", "a girl named frieren from sousou no frieren series", "amazing quality"),
]
tags = st.sampled_from(TAGS)
weights = st.sampled_from(["1.2", "0.8", ".5", "1", "+1.1", "-1", "1.2.3", "1e3", "nan", "x"])
steps = st.sampled_from(["0.5", "3", "0", "1.2", "99", "1e1", "x", " 5 "])


def _around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(inner, min_size=1, max_size=3).map(", ".join)
    return st.one_of(
        several.map("({})".format),
        several.map("[{}]".format),
        several.map("{{{}}}".format),
        st.builds("({}:{})".format, several, weights),
        st.builds("[{}:{}]".format, several, steps),
        st.builds("[{}:{}:{}]".format, several, inner, steps),
        st.builds("[{}|{}]".format, several, inner),
        st.builds("{} {}".format, inner, inner),
    )


items = st.recursive(
    st.one_of(
        tags,
        tags,
        st.sampled_from(["<lora:x:0.8>", "<lora:a, b>", "<lora:y:1:0.5> smile", "", " "]),
        st.sampled_from(["(", ")", "[", "]", "|", "\\", "\\(", "a:1.2)", "b (c", "x:0.5]", "AND"]),
        st.text(max_size=5),
    ),
    _around,
    max_leaves=6,
)
between = st.sampled_from([", ", ", ", ", ", ",", ",\n", "\n", " BREAK ", ", BREAK\n", " AND ",
                           " :1.2 AND ", ", , "])  # fmt: skip


@st.composite
def _prompts(draw: st.DrawFn) -> str:
    said = ""
    for item in draw(st.lists(items, max_size=7)):
        said += (draw(between) if said else "") + item
    return said


@st.composite
def _tidy_prompts(draw: st.DrawFn) -> str:
    # At the end 16:9 would be a weight, and in ComfyUI no bracket behind :) is one.
    plain = tags.filter(lambda tag: tag not in ("ratio 16:9", ":)"))
    weighted = st.builds("({}:{})".format, plain, st.sampled_from(["1.2", "0.8"]))
    return ", ".join(draw(st.lists(st.one_of(plain, plain, weighted), min_size=1, max_size=9)))


@pytest.fixture(scope="session")
def prompts() -> st.SearchStrategy[str]:
    """Prompts of items, with commas, lines, BREAKs and ANDs between them."""
    return _prompts()


@pytest.fixture(scope="session")
def tidy_prompts() -> st.SearchStrategy[str]:
    """Prompts as people write them: tags, some of them weighted."""
    return _tidy_prompts()


@pytest.fixture(scope="session")
def ruler() -> Ruler:
    """CLIP's tokenizer to measure with."""
    return Ruler(clip_tokenizer())
