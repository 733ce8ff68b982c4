"""Which prompt goes with which mask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.detail_prompts import prompts_of

OWN, BAD = "1girl, night", "lowres"


def prompts(prompt: str, masks: int, negative: str = "") -> list[str | None]:
    pairs = prompts_of(Detail(prompt=prompt, negative_prompt=negative), OWN, BAD, masks)
    return [None if pair is None else pair[0] for pair in pairs]


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("", [OWN, OWN, OWN]),
        ("smile", ["smile"] * 3),
        ("smile [SEP] angry", ["smile", "angry", "angry"]),
        ("smile[SEP]\n[SEP]  angry", ["smile", OWN, "angry"]),
        ("a [SEP] b [SEP] c [SEP] d", ["a", "b", "c"]),
        ("[SKIP][SEP]smile", [None, "smile", "smile"]),
        ("smile[SEP] [SKIP]\n", ["smile", None, None]),
        ("smile, [SKIP]", ["smile, [SKIP]"] * 3),  # a word among others, as in ADetailer
        ("[PROMPT], smile", [f"{OWN}, smile"] * 3),
        ("[PROMPT][SEP][PROMPT] [PROMPT]", [OWN, f"{OWN} {OWN}", f"{OWN} {OWN}"]),
        ("[sep]", ["[sep]"] * 3),
    ],
)
def test_one_part_for_each_mask(written: str, wanted: list[str | None]) -> None:
    assert prompts(written, 3) == wanted


def test_negative_prompts_go_by_the_same_rules_and_skip_nothing() -> None:
    detail = Detail(prompt="a [SEP] b", negative_prompt="[PROMPT], blurry [SEP] [SEP] [SKIP]")
    assert list(prompts_of(detail, OWN, BAD, 3)) == [
        ("a", "lowres, blurry"), ("b", BAD), ("b", "[SKIP]")
    ]  # fmt: skip


@given(st.lists(st.text("abc ,", min_size=1), min_size=1, max_size=4), st.integers(0, 6))
def test_every_mask_has_the_part_of_its_number_or_the_last(parts: list[str], masks: int) -> None:
    found = prompts(" [SEP] ".join(parts), masks)
    assert len(found) == masks
    for at, prompt in enumerate(found):
        part = parts[min(at, len(parts) - 1)].strip()
        assert prompt is not None and prompt.strip() == (part or OWN)
