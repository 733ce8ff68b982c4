"""The command line as people use it: what it prints, where, with which exit code."""

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from sakuga.__main__ import main


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def check_error(self) -> None:
        """An error message says what happened and what to do next, or gives the facts."""
        assert self.err.startswith(("Error: ", "Usage: "))
        if self.err.startswith("Error: "):
            assert re.search("^(Note|Hint): .", self.err, re.M), self.err
        assert self.out == ""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`run("render", bundle, "a", "--out", folder)`: the command line, in this process."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        code = stopped.value.code
        assert isinstance(code, int)
        return Outcome(code, out, err)

    return run
