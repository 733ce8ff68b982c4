"""Words of a command line against the standard library's `shlex`."""

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sakuga.engine.jobs.shell_words import shell_words


@given(st.text(alphabet=" \t\r\n\\\"'ab-\x0b\x85é緑", max_size=16))
@settings(max_examples=500)
def test_the_words_are_those_of_shlex(line: str) -> None:
    try:
        wanted = shlex.split(line)
    except ValueError:
        with pytest.raises(ValueError, match="has no end"):
            shell_words(line)
    else:
        assert shell_words(line) == wanted


@pytest.mark.parametrize("line", ['"' * 200_001, "\\" * 200_001, 'a"\\' * 100_000, " '" * 100_001])
def test_quotes_that_never_end_take_no_time(line: str) -> None:
    with pytest.raises(ValueError, match="has no end"):
        shell_words(line)
