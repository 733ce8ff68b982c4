"""How long a prompt is, as its tool counts and cuts."""

from dataclasses import replace

import numpy as np
import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.lint.length import Length, Ruler
from sakuga.engine.lint.linter import Linter, Question
from sakuga.engine.lint.reading import Manner, read
from sakuga.engine.text.embeddings import Embedding, Embeddings
from sakuga.engine.text.segments import Rule
from sakuga.profiles.presets import all_presets


def length(ruler: Ruler, prompt: str, rule: Rule = "a1111") -> Length:
    manner = Manner(rule)
    return ruler.length(read(prompt, manner), manner)


@pytest.mark.parametrize(
    ("prompt", "rule", "expected"),
    [
        ("1girl", "a1111", Length(2, 1)),
        ("", "a1111", Length(0, 1)),
        ("1girl BREAK 1boy", "a1111", Length(4, 2)),
        ("1girl BREAK 1boy", "comfy", Length(5, 1)),
        ("(1girl:1.2)", "a1111", Length(2, 1)),
        ("(1girl:1.2)", "diffusers", Length(8, 1)),
        ("cat, " * 40, "a1111", Length(80, 2)),
        ("cat, " * 40, "diffusers", Length(80, 1, cut=5)),
        ("cat AND dog cat bird", "a1111", Length(3, 1)),
        ("[cat:dog bird fish:0.5]", "a1111", Length(3, 1)),
        ("<lora:x:1> cat", "a1111", Length(1, 1)),
    ],
)
def test_lengths(ruler: Ruler, prompt: str, rule: Rule, expected: Length) -> None:
    assert length(ruler, prompt, rule) == expected


def test_embeddings_count_as_their_vectors(ruler: Ruler) -> None:
    vectors = {"clip_l": np.zeros((12, 8), np.float32)}
    known = Embeddings([Embedding("rough", "0" * 64, vectors)], ruler.tokenizer)
    with_it = replace(ruler, embeddings=known)
    assert length(with_it, "rough, cat").tokens == 14
    assert length(with_it, "embedding:rough cat", "comfy").tokens == 13
    assert length(ruler, "rough, cat").tokens == 3
    with pytest.raises(UsageError, match="no embedding called 'rough'"):
        length(ruler, "embedding:rough cat", "comfy")


def test_what_rendering_would_refuse_is_told(ruler: Ruler) -> None:
    report = Linter(None, ruler).lint(Question("cat, " * 120))
    (found,) = (each for each in report.findings if each.code == "refused")
    assert found.sentence == (
        "The prompt is too long. 240 tokens make 4 chunks of 75; at most 3 are read."
    )
    assert report.lengths == {}
    short = Linter(None, replace(ruler, most_chunks=1))
    assert short.lint(Question("cat BREAK dog")).findings[0].code == "refused"
    report = Linter(None, ruler).lint(Question("cat", "embedding:x", Manner("comfy")))
    assert [(each.code, each.where) for each in report.findings] == [("refused", "negative prompt")]


def test_where_diffusers_stops_reading(ruler: Ruler) -> None:
    tags = [f"hat {chr(97 + at)}" for at in range(26)]
    report = Linter(None, ruler).lint(Question(", ".join(tags), None, Manner("diffusers")))
    (found,) = report.findings
    assert found.code == "length"
    cut = report.lengths["prompt"].cut
    first = ", ".join(tags)[found.start : found.stop]
    assert f"{cut} of {75 + cut} tokens are not read, from '{first}' on" in found.sentence
    assert len(ruler.tokenizer.encode(", ".join(tags[: tags.index(first)]))) <= 75
    assert len(ruler.tokenizer.encode(", ".join(tags[: tags.index(first) + 1]))) > 75


def test_the_card_s_limit_counts_what_is_rendered(ruler: Ruler) -> None:
    preset = all_presets()["baxl-v3"]
    assert preset.max_tokens == 74
    short, long = ", ".join(f"hat {at}" for at in range(9)), ", ".join(["cat dog"] * 25)
    assert Linter(preset, ruler).lint(Question(f"1girl, {short}")).findings == ()
    found = Linter(preset, ruler).lint(Question(f"1girl, {long}")).findings
    assert "77 tokens are more than the 74 the card advises." in [e.sentence for e in found]
    padded = replace(preset, suffix="by night and by day, " * 20)
    assert Linter(padded, ruler).lint(Question("1girl")).findings[0].code == "length"
