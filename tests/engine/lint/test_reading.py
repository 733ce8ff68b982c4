"""What a tool reads in a prompt: tags with weights, sections, moments, threads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.lint.reading import Manner, Reading, read, read_negative

A1111, COMFY, DIFFUSERS = Manner(), Manner("comfy"), Manner("diffusers")


def said(reading: Reading) -> list[list[list[list[tuple[str, tuple[float, ...]]]]]]:
    """Names with weights, by thread, moment and section."""
    return [
        [
            [[(each.name, each.weights) for each in section] for section in moment.sections]
            for moment in thread.moments
        ]
        for thread in reading.threads
    ]


def names(reading: Reading) -> list[str]:
    return [mention.name for mention in reading.mentions]


def test_the_grammar_of_a1111() -> None:
    prompt = r"1girl, (smile:1.2), <lora:x:1> A_b BREAK lucy \(x\), [c:d:2] :1.3 AND [e|f]"
    found = read(prompt, Manner(evaluations=3))
    first = [("1girl", (1.0,)), ("smile", (1.2,)), ("a b", (1.0,))]
    lucy = ("lucy (x)", (1.0,))
    assert said(found) == [
        [[first, [lucy, ("c", (1.0,))]], [first, [lucy, ("d", (1.0,))]]],
        [[[("e", (1.0,))]], [[("f", (1.0,))]]],
    ]
    assert [thread.weight for thread in found.threads] == [1.3, 1.0]
    assert [lora.name for lora in found.loras] == ["x"]
    assert found.whole and found.refused is None


def test_where_a_tag_stands() -> None:
    prompt = "1girl, ((long_hair)), a [b:c:0.5] d"
    texts = [prompt[each.start : each.stop] for each in read(prompt, A1111).mentions]
    assert texts == ["1girl", "long_hair", "a [b:c:0.5] d"] * 2
    assert names(read(prompt, A1111))[2::3] == ["a b d", "a c d"]


def test_other_tools_take_structure_for_words() -> None:
    prompt = "[a], (b:1.2) BREAK c, (d (e))"
    assert said(read(prompt, COMFY)) == [
        [[[("a", (1.0,)), ("b break c", (1.2, 1.0)), ("d e", (1.1, 1.1 * 1.1))]]]
    ]
    assert names(read(prompt, DIFFUSERS)) == ["a", "(b:1.2) break c", "d (e)"]
    unread = Manner(emphasis="None")
    assert said(read("(a), b BREAK c", unread)) == [[[[("a", (1.0,)), ("b break c", (1.0,))]]]]


def test_a_negative_prompt_knows_neither_and_nor_networks() -> None:
    found = read_negative("a AND b, <lora:x:1>, [c:d:0.5]", A1111)
    assert len(found.threads) == 1 and found.loras == ()
    assert names(found) == ["a and b", "c", "a and b", "d"]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a" * 40_000, "too long"),
        ("a\ud800", "lone surrogate U\\+D800"),
        ("a AND " * 9, "10 parts between ANDs"),
        ("<hypernet:x:1> a", "<hypernet:x:1> cannot be followed"),
        ("<lora:x:abc>", "'abc' is no weight"),
    ],
)
def test_what_cannot_be_read_is_told_in_the_prompt_s_own_words(prompt: str, words: str) -> None:
    found = read(prompt, A1111)
    assert found.refused is not None and not found.threads
    with pytest.raises(type(found.refused), match=words.split()[0]):
        raise found.refused
    assert words.replace("\\", "") in str(found.refused)


def test_a_weight_beyond_all_numbers_is_refused_in_words_of_the_prompt() -> None:
    found = read("(green:1e999)", COMFY)
    assert "'green' has a weight" in str(found.refused)


def test_not_everything_a_prompt_becomes_is_looked_at() -> None:
    many = "[a|b]" + ",x" * 15_000
    found = read(many, Manner(evaluations=30))
    assert len(found.threads[0].moments) == 2 and found.whole
    many = "".join(f"[a{step}:{step}]" for step in range(1, 20)) + ",x" * 15_000
    found = read(many, Manner(evaluations=20))
    assert 1 <= len(found.threads[0].moments) < 20 and not found.whole


@given(data=st.data(), rule=st.sampled_from(["a1111", "comfy", "diffusers"]))
def test_every_tag_is_in_the_prompt(
    prompts: st.SearchStrategy[str], data: st.DataObject, rule: str
) -> None:
    prompt = data.draw(prompts)
    found = read(prompt, Manner(rule))  # type: ignore[arg-type]
    for mention in found.mentions:
        assert 0 <= mention.start < mention.stop <= len(prompt)
        assert prompt[mention.start].isalnum() and prompt[mention.stop - 1].isalnum()
        assert mention.weights
    spans = [[each.span for each in section] for section in found.sections]
    assert all(section == sorted(section) for section in spans)
