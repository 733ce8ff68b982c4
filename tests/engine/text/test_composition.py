"""AND and its weights."""

import time

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.text.composition import MOST, read_composition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a cat :1.2 AND a dog:0.5 AND BAND",
            [("a cat", 1.2), (" a dog", 0.5), (" BAND", 1.0)],
        ),
        ("1girl", [("1girl", 1.0)]),
        ("", [("", 1.0)]),
        ("a AND ", [("a", 1.0), ("", 1.0)]),
        ("a :-1 AND b: +2.", [("a", -1.0), (" b", 2.0)]),
        ("a:.5", [("a", 0.5)]),
        ("ratio 16:9", [("ratio 16", 9.0)]),  # A1111's
        ("a:b", [("a:b", 1.0)]),
        ("(a:1.2)", [("(a:1.2)", 1.0)]),
        ("a:1e3", [("a:1e3", 1.0)]),
        ("a\nb :2\n AND c", [("a\nb", 2.0), (" c", 1.0)]),
        ("sAND AND_ANDs and", [("sAND AND_ANDs and", 1.0)]),
    ],
)
def test_vectors(text: str, expected: list[tuple[str, float]]) -> None:
    assert read_composition(text) == expected


def test_as_many_parts_as_a_picture_has_rows_for() -> None:
    assert len(read_composition(" AND ".join("a" * MOST))) == MOST == 7
    with pytest.raises(UsageError, match="8 parts between ANDs"):
        read_composition(" AND ".join("a" * (MOST + 1)))


@pytest.mark.parametrize("unit", [" ", ":", ": ", "AND ", ":1", "\n"])
def test_hostile_text_is_read_at_once(unit: str) -> None:
    began = time.process_time()
    try:
        read_composition((unit * 32_768)[:32_768])
    except UsageError:
        assert unit == "AND "
    assert time.process_time() - began < 0.2
