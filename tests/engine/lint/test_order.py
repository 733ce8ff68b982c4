"""The order of the cards, as far as it is known what a tag is; and putting prompts into it."""

import pytest

from sakuga.engine.lint.card import card_of
from sakuga.engine.lint.finding import edited
from sakuga.engine.lint.items import blocks
from sakuga.engine.lint.order import is_character, latecomer, sorting_key
from sakuga.engine.lint.ordering import order_findings
from sakuga.engine.lint.reading import Manner, read
from sakuga.engine.text.segments import Rule
from sakuga.profiles.presets import all_presets

ANIMAGINE, AIDXL, V2, V3 = "animagine-xl-3.1", "aidxl", "baxl-v2", "baxl-v3"


def ordered(name: str, prompt: str, rule: Rule = "a1111") -> str:
    """The prompt with the mends of its findings; fails where there are none."""
    card = card_of(all_presets()[name])
    found = [*order_findings(read(prompt, Manner(rule)), card, rule)]
    assert found
    assert all(each.code == "order" and card.title in each.sentence for each in found)
    return edited(prompt, [edit for each in found if each.mend for edit in each.mend.edits])


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        (ANIMAGINE, "1girl, souryuu asuka langley, neon genesis evangelion, smile"),
        (ANIMAGINE, r"1girl, 1boy, lucy \(cyberpunk\), cyberpunk edgerunners, smile"),
        (ANIMAGINE, "masterpiece, newest, general, 1girl, smile, very aesthetic"),
        (ANIMAGINE, "great quality, flat_coating, 1girl"),  # foreign ones have no place
        (ANIMAGINE, r"1girl, painting \(medium\), lucy"),
        (ANIMAGINE, "(1girl:1.2), smile BREAK 1boy, hat"),
        (ANIMAGINE, "smile"),
        (V2, "shiroko, 1girl, smile, highres"),
        (V2, "shiroko, hoshino, 2girls, smile"),
        (V2, r"shiroko \(blue archive\), 1girl, absurdres, flat_coating"),
        (V2, "1girl, smile, best_quality"),
        (V3, r"1girl, shiroko \(blue archive\), smile, great quality"),
        (AIDXL, "by ask, 1girl, elf, flat color, smile, detailed, best quality"),
        (AIDXL, "elf, impasto, smile, amazing quality, by ask, (by modare:0.8)"),
        ("sdxl", "smile, 1girl"),
        ("anything-v3.1", "smile, 1girl, masterpiece"),
    ],
)
def test_orders_of_the_cards(name: str, prompt: str) -> None:
    card = card_of(all_presets()[name])
    assert [*order_findings(read(prompt, Manner()), card, "a1111")] == []


@pytest.mark.parametrize(
    ("name", "prompt", "turned"),
    [
        (ANIMAGINE, "smile, 1girl", "1girl, smile"),
        (ANIMAGINE, "masterpiece, smile, newest, 1girl", "masterpiece, 1girl, smile, newest"),
        (ANIMAGINE, r"1girl, smile, lucy \(x\), hat", r"1girl, lucy \(x\), smile, hat"),
        (ANIMAGINE, "hat, (smile:1.2),\n1girl,  sky", "1girl, hat,\n(smile:1.2),  sky"),
        (ANIMAGINE, "<lora:a, b:1>, smile, 1girl", "<lora:a, b:1>, 1girl, smile"),
        (ANIMAGINE, "[day:night:0.5], [a, b|c], 1girl", "1girl, [day:night:0.5], [a, b|c]"),
        (ANIMAGINE, "x, 1girl BREAK y, 1boy, z", "1girl, x BREAK 1boy, y, z"),
        (ANIMAGINE, "x, 1girl :1.2 AND y, 1boy:0.5", "1girl, x :1.2 AND 1boy, y:0.5"),
        (V2, "smile, hat, 1girl", "1girl, smile, hat"),
        (V2, "highres, 1girl, smile", "1girl, smile, highres"),
        (V2, r"1girl, shiroko \(blue archive\), hat", r"shiroko \(blue archive\), 1girl, hat"),
        (V2, r"shiroko \(x\), hat, 1girl", r"shiroko \(x\), 1girl, hat"),
        (V3, "best quality, 1girl, smile", "1girl, smile, best quality"),
        (AIDXL, "1girl, elf, by ask", "by ask, 1girl, elf"),
        (AIDXL, "by ask, by modare, elf, detailed", "elf, detailed, by ask, by modare"),
        (AIDXL, "best quality, detailed, 1girl, elf", "1girl, elf, detailed, best quality"),
    ],
)
def test_the_card_s_order(name: str, prompt: str, turned: str) -> None:
    assert ordered(name, prompt) == turned


@pytest.mark.parametrize(
    ("prompt", "rule"),
    [("(smile, 1girl:1.2), hat", "a1111"), ("smile, [x|hat, 1girl]", "a1111")],
)
def test_what_lies_in_one_bracket_stays(prompt: str, rule: Rule) -> None:
    assert ordered(ANIMAGINE, prompt, rule) == prompt


def test_other_tools_have_no_blocks() -> None:
    assert ordered(ANIMAGINE, "x BREAK y, ratio 16:9, 1girl", "comfy") == (
        "1girl, x BREAK y, ratio 16:9"
    )


def test_the_sentence_tells_both_places() -> None:
    card = card_of(all_presets()[V2])
    (found,) = order_findings(read("highres, hat", Manner()), card, "a1111")
    assert found.sentence == (
        "'hat' stands behind 'highres'; the card of BAXL v2 puts everything else before quality."
    )
    card = card_of(all_presets()[AIDXL])
    (found,) = order_findings(read("by a, by b, elf", Manner()), card, "a1111")
    assert "puts the rest before several of trigger word" in found.sentence


@pytest.mark.parametrize("name", ["lucy (cyberpunk)", "st. louis (a b) (azur lane)", "x (re:zero)"])
def test_characters(name: str) -> None:
    assert is_character(name)


@pytest.mark.parametrize("name", ["lucy", "(x)", "painting (medium)", "bow (weapon)", "a (b) c"])
def test_no_characters(name: str) -> None:
    assert not is_character(name)


def test_latecomers() -> None:
    assert latecomer([0, None, 1, 1, None, 2]) is None
    assert latecomer([0, 2, None, 1, 0]) == (3, 1)
    assert latecomer([]) is None and latecomer([None, None]) is None


def test_keys_to_sort_by() -> None:
    assert sorting_key([None, 0, None, 3, None], rest=2) == [-1, 0, 2, 3, 2]


@pytest.mark.parametrize(
    ("prompt", "rule", "expected"),
    [
        ("a, (b, c:1.2),\n d", "a1111", [["a", "(b, c:1.2)", "d"]]),
        ("a BREAK b, c AND d :1.2", "a1111", [["a"], ["b", "c"], ["d"]]),
        ("(a BREAK b, c", "a1111", [["(a BREAK b, c"]]),
        ("(a AND b, c", "a1111", [["(a"], ["b", "c"]]),
        ("a BREAK b, c :2", "comfy", [["a BREAK b", "c :2"]]),
        (r"a, \(b, c\), <lora:x, y:1>", "diffusers", [["a", r"\(b", r"c\)", "<lora:x, y:1>"]]),
        (" , ,, ", "a1111", [[]]),
        ("", "a1111", [[]]),
    ],
)
def test_what_lies_between_commas(prompt: str, rule: Rule, expected: list[list[str]]) -> None:
    found = blocks(prompt, rule)
    assert [[prompt[start:stop] for start, stop in block.items] for block in found] == expected
