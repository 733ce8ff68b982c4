"""A tag has one name, however it is spelled."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.lint.names import literal_name, names_in, tag_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Best_Quality ", "best quality"),
        ("  long \t hair", "long hair"),
        ("rating: general", "rating:general"),
        ("rating_: _general", "rating:general"),
        ("lucy (cyberpunk)", "lucy (cyberpunk)"),
        ("", ""),
    ],
)
def test_names_of_what_stands_without_brackets(text: str, name: str) -> None:
    assert tag_name(text) == literal_name(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("(bad)", "bad"),
        ("((worst quality:1.3))", "worst quality"),
        ("[abstract]", "abstract"),
        ("{masterpiece}", "masterpiece"),
        ("(long hair", "long hair"),
        ("blue eyes:1.2)", "blue eyes"),
        (r"lucy \(cyberpunk\)", "lucy (cyberpunk)"),
        ("(lucy (cyberpunk):1.2)", "lucy (cyberpunk)"),
        ("st. louis (luxurious wheels) (azur lane)", "st. louis (luxurious wheels) (azur lane)"),
        ("rem (re:zero)", "rem (re:zero)"),
        ("()", ""),
        ("(" * 300 + "x", "(" * 300 + "x"),  # no tag
    ],
)
def test_brackets_that_were_read_as_text_are_no_part_of_a_name(text: str, name: str) -> None:
    assert literal_name(text) == name


def test_names_in_a_card_s_words() -> None:
    text = r"(worst quality:1.3), flat_coating, ganyu \(genshin impact\), [abstract],, "
    assert names_in(text) == ("worst quality", "flat coating", "ganyu (genshin impact)", "abstract")


@given(st.text(alphabet="ab _:()[]{}\\1.", max_size=30))
def test_a_name_is_its_own_name(text: str) -> None:
    assert tag_name(tag_name(text)) == tag_name(text)
    assert literal_name(text) == literal_name(f"  {text.upper()} ")


def test_long_text_has_a_name_at_once() -> None:
    began = time.process_time()
    for text in ("(" * 32_768, "()" * 16_384, "a_" * 16_384, ":" * 32_768):
        literal_name(text)
    assert time.process_time() - began < 0.2
