"""Which ids are safe file names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.jobs.ids import MAX_BYTES, id_fault, same_file_key


@pytest.mark.parametrize("text", ["a", "animagine-1girl", "00001", "東京", "a b", "a.b", "console"])
def test_safe(text: str) -> None:
    assert id_fault(text) is None


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "../x", "a/b", "a\\b", "c:x", "a\x00", "a\n", "\x7f", ".hidden", "a.", "a ",
     " a", "a*", "a?", "CON", "nul.txt", "COM1", "lpt9.x", "\ud83d", "x" * (MAX_BYTES + 1),
     "緑" * 100],
)  # fmt: skip
def test_unsafe(text: str) -> None:
    assert id_fault(text)


@given(st.text(max_size=80))
def test_safe_ids_stay_in_their_folder(text: str) -> None:
    if id_fault(text) is None:
        assert not set(text) & set("/\\\0") and text not in (".", "..")
        assert len(text.encode()) <= MAX_BYTES


def test_names_some_file_systems_take_for_one() -> None:
    assert same_file_key("Asuka") == same_file_key("asuka")
    assert same_file_key("caf\u00e9") == same_file_key("cafe\u0301")
    assert same_file_key("a-1") != same_file_key("a-2")
