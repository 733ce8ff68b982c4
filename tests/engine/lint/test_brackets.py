"""Brackets as each tool's parser takes them, where that is not what they look like."""

import pytest

from sakuga.engine.lint.brackets import bracket_findings
from sakuga.engine.lint.finding import edited
from sakuga.engine.lint.reading import Manner, read, read_negative
from sakuga.engine.lint.structure import structure_findings
from sakuga.engine.text.attention import read_attention
from sakuga.engine.text.segments import Rule


def sentences(prompt: str, rule: Rule = "a1111", steps: int = 28) -> list[str]:
    manner = Manner(rule, evaluations=steps)
    reading = read(prompt, manner)
    found = [*bracket_findings(reading, "prompt", manner)]
    found += structure_findings(reading, "prompt", manner)
    for each in found:
        assert each.code == "brackets" and 0 <= each.start < each.stop <= len(prompt)
    return [f"{prompt[each.start : each.stop]} | {each.sentence}" for each in found]


@pytest.mark.parametrize(
    "prompt",
    [
        "1girl, (smile:1.2), ((night)), [bad], (a, b:0.5)",
        "[a:b:0.5], [a|b], [a::3], [a:3]",
        r"lucy \(cyberpunk\), \[x\], st. louis \(luxurious wheels\) \(azur lane\)",
        "a BREAK b AND c :1.2 AND d",
        "<lora:x:0.8>, 1girl",
        ":), ^_^, ;), :d, +_+",
        "(smile:1.2) (night:1.1), (1girl)",
        "(1girl (smile))",
        "1girl (smile)",  # emphasis, not a name: nobody is called 1girl
        "lucy (cyberpunk:1.2)",
        "re:zero, 16:9 picture",
        "",
    ],
)
def test_what_a1111_does_as_it_looks(prompt: str) -> None:
    assert sentences(prompt) == []


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("x, lucy (cyberpunk)", r"lucy (cyberpunk) | 'lucy (cyberpunk)': the brackets weigh"),
        ("rem_(re:zero)", r"a name is written rem_\(re:zero\)."),
        ("(a (b c):1.2), d", r"a (b c) | 'a (b c)'"),
        ("(x:1.2.3)", "1.2.3 | '1.2.3' in a prompt is no number"),
        ("(x:..)", ".. | '..' in a prompt is no number"),
        ("a, (b, c", "( | A '(' is never closed and weighs all that follows by 1.1."),
        ("a, [b, c", "[ | A '[' is never closed and weighs all that follows by 0.91."),
        ("a, b), c", ") | A ')' closes no bracket and is read as text."),
        ("a, :(, c", "( | A '(' is never closed"),
        ("(a AND b)", "(AND ends all brackets before it.)"),
        ("(a BREAK b:1.2)", "BREAK | BREAK within a weight is read as a word"),
        ("(a BREAK b", "BREAK within a weight"),
        ("[x:1.2], y", "x | 'x' never appears in 28 steps"),
        ("[day:night:0]", "day | 'day' never appears"),
        ("[x:30] y", "x | 'x' never appears"),
        ("[x, y:99]", "x, y | 'x, y' never appears"),
        ("c|d [a:b:0.5]", "a:b | '[a:b:0.5]' is read as words: a | outside"),
        ("[a|b] c\\", "a|b | '[a|b]' is read as words"),
        ("1girl, ratio 16:9", ":9 | The prompt ends with a number behind a colon"),
        ("{night}, {{x}}", "{night} | '{night}' is read as words, and so is 1 more: curly"),
    ],
)
def test_what_a1111_does_otherwise(prompt: str, words: str) -> None:
    found = sentences(prompt)
    assert any(words in each for each in found), found


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a, [abstract], [b]", "[abstract] | '[abstract]' is read as words, and so is 1 more"),
        ("[a:b:0.5]", "ComfyUI knows no square brackets"),
        ("a BREAK b", "BREAK | 'BREAK' is read as words: ComfyUI knows no BREAK."),
        ("a AND b", "ComfyUI knows no AND"),
        ("<lora:x:1>, a", "<lora:x:1> | '<lora:x:1>' is read as words: ComfyUI knows no networks."),
        ("lucy (cyberpunk)", r"a name is written lucy \(cyberpunk\)."),
        ("(x:1.2.3)", "'1.2.3' in a prompt is no number"),
        ("(a, b", "A '(' is never closed and is read as text."),
        ("(a, (b)", "A '(' is never closed and is read as text."),  # one of the two
        ("a), b", "A ')' closes no bracket and is read as text."),
    ],
)
def test_what_comfyui_does_otherwise(prompt: str, words: str) -> None:
    found = sentences(prompt, "comfy")
    assert any(words in each for each in found), found


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (
            "a, (bad), [b], (c:1.2)",
            "bad | The brackets around 'bad' are read as text, and so are 2",
        ),
        ("a BREAK b", "diffusers knows no BREAK"),
        ("a AND b", "diffusers knows no AND"),
        ("<lora:x:1>, a", "diffusers knows no networks"),
        (r"lucy \(cyberpunk\)", r"\( | A backslash before a bracket is read as text, and so is 1"),
    ],
)
def test_what_diffusers_does_otherwise(prompt: str, words: str) -> None:
    found = sentences(prompt, "diffusers")
    assert any(words in each for each in found), found


def test_what_the_others_do_as_it_looks() -> None:
    assert sentences(r"(a:1.2), ((b)), lucy \(cyberpunk\), :)", "comfy") == []
    assert sentences("lucy (cyberpunk), 1girl, :), ^_^", "diffusers") == []


def test_a_negative_prompt_of_a1111() -> None:
    manner = Manner()
    reading = read_negative("low <lora:x:1> AND bad", manner)
    found = [each.sentence for each in structure_findings(reading, "negative prompt", manner)]
    assert found == [
        "'AND' is read as words: A1111, in a negative prompt, knows no AND.",
        "'<lora:x:1>' is read as words: A1111, in a negative prompt, knows no networks.",
    ]


def test_brackets_that_are_not_read_at_all() -> None:
    manner = Manner(emphasis="None")
    reading = read("lucy (cyberpunk), (x:1.2.3), (a BREAK b", manner)
    assert [*bracket_findings(reading, "prompt", manner)] == []


def test_the_steps_decide_what_never_appears() -> None:
    assert sentences("[x:30]", steps=40) == []
    assert "in 20 steps" in sentences("[x:30]", steps=20)[0]


@pytest.mark.parametrize(
    "prompt",
    ["lucy (cyberpunk)", "a, st. louis (luxurious wheels) (azur lane), b", "(x_(y):1.2), x_(y)"],
)
def test_an_escaped_name_is_read_whole_and_as_strongly(prompt: str) -> None:
    manner = Manner()
    (found,) = bracket_findings(read(prompt, manner), "prompt", manner)
    assert found.mend is not None
    escaped = edited(prompt, found.mend.edits)
    assert {weight for _, weight in read_attention(escaped)} <= {1.0, 1.2}
    assert "(" in "".join(text for text, _ in read_attention(escaped))
    assert sentences(escaped) == []
