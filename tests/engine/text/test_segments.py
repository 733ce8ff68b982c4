"""Prompts as tokens with weights, names of embeddings among them."""

import numpy as np
import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.text.embeddings import Embedding, Embeddings
from sakuga.engine.text.segments import Grammar, Rule, Segment, emphasis_name
from sakuga.engine.text.tokenizer import clip_tokenizer

TOKENIZER = clip_tokenizer()


def embedding(name: str, count: int) -> Embedding:
    return Embedding(name, "ab" * 32, {"text_encoder": np.zeros((count, 4), np.float32)})


KNOWN = Embeddings(
    [
        embedding("easynegative", 2),
        embedding("easynegative v2", 3),
        embedding("style-a", 1),
        Embedding("old", fault="old.pt: it is a pickle"),
    ],
    TOKENIZER,
)


def read(text: str, rule: Rule = "a1111") -> list[Segment]:
    return Grammar(rule, embeddings=KNOWN).read(text, TOKENIZER)


def shown(segment: Segment) -> list[object]:
    """Ids, and the names of embeddings with how many vectors they have, each with its weight."""
    return [
        (word[0].embedding.name if word[0].embedding else word[0].id, len(word), word[0].weight)
        for word in segment
    ]


def test_a1111_reads_names_by_their_tokens() -> None:
    (segment,) = read("cat, EasyNegative v2, (EASYNEGATIVE:1.2) easynegatives")
    cat, comma, s = 2368, 267, TOKENIZER.encode("easynegatives")
    assert shown(segment) == [
        (cat, 1, 1.0),
        (comma, 1, 1.0),
        ("easynegative v2", 3, 1.0),
        (comma, 1, 1.0),
        ("easynegative", 2, 1.2),
        *[(token, 1, 1.0) for token in s],
    ]


def test_a_name_is_found_within_one_piece_alone() -> None:
    (segment,) = read("easy(negative)")
    assert all(word[0].embedding is None for word in segment)


def test_break_begins_a_segment() -> None:
    first, second = read("cat BREAK cat")
    assert shown(first) == shown(second) == [(2368, 1, 1.0)]
    assert read("BREAK")[0] == read("BREAK")[1] == ()


def test_comfy_reads_embeddings_by_name() -> None:
    found = read("cat embedding:style-a, dog (embedding:easynegative.safetensors cat:1.2)", "comfy")
    assert [shown(segment) for segment in found] == [
        [(2368, 1, 1.0)],
        [("style-a", 1, 1.0)],
        [(267, 1, 1.0), (1929, 1, 1.0)],
        [("easynegative", 2, 1.2)],
        [(2368, 1, 1.2)],
    ]


@pytest.mark.parametrize("text", ["myembedding:style-a", "embedding:", "embedding: \n"])
def test_comfy_takes_these_for_words(text: str) -> None:
    assert all(not word[0].embedding for segment in read(text, "comfy") for word in segment)


def test_comfy_refuses_an_unknown_embedding() -> None:
    with pytest.raises(UsageError, match="no embedding called 'style-b'") as caught:
        read("embedding:style-b, x", "comfy")
    assert caught.value.hint == "Did you mean 'style-a'?"
    with pytest.raises(UsageError) as caught:
        Grammar("comfy").read("embedding:style-b", TOKENIZER)
    assert "--embeddings DIR" in caught.value.hint


@pytest.mark.parametrize(("text", "rule"), [("an old man", "a1111"), ("embedding:old", "comfy")])
def test_what_cannot_be_used_is_told_when_it_is_named(text: str, rule: Rule) -> None:
    with pytest.raises(UsageError, match="The embedding old cannot be used") as caught:
        read(text, rule)
    assert caught.value.note == "old.pt: it is a pickle."


@pytest.mark.parametrize("text", ["(cat:1.2) [a|b] BREAK easynegative", r"\(", "embedding:style-a"])
def test_diffusers_reads_everything_literally(text: str) -> None:
    (segment,) = read(text, "diffusers")
    assert [word[0].id for word in segment] == TOKENIZER.encode(text)
    assert all(word[0].weight == 1 and word[0].embedding is None for word in segment)


@pytest.mark.parametrize("rule", ["a1111", "comfy", "diffusers"])
@pytest.mark.parametrize("text", ["a" * 1_000_000, "(" * 1_000_000, "a, (b\ud83d:1.2)"])
def test_what_is_too_long_or_no_text_is_refused(text: str, rule: Rule) -> None:
    with pytest.raises(UsageError, match=r"too long|not valid Unicode") as caught:
        read(text, rule)
    assert "1,000,000 characters" in caught.value.note or "Character 6" in caught.value.note


def test_emphasis_by_name() -> None:
    assert emphasis_name("no NORM ") == "No norm"
    with pytest.raises(UsageError, match="no emphasis called 'much'") as caught:
        emphasis_name("much")
    assert "Original" in caught.value.hint
