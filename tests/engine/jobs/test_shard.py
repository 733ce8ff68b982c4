"""Shares of a job file: each job in one of them, the same one every time."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.shard import Shard, parse_shard


@given(st.integers(0, 200), st.integers(1, 20))
def test_each_job_is_in_one_share(jobs: int, parts: int) -> None:
    shares = [Shard(part, parts).of(range(jobs)) for part in range(1, parts + 1)]
    assert sorted(chain.from_iterable(shares)) == list(range(jobs))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert all(share == sorted(share) for share in shares)


def test_jobs_go_round() -> None:
    assert parse_shard("1/3").of("abcdefgh") == ["a", "d", "g"]
    assert parse_shard("3/3").of("abcdefgh") == ["c", "f"]
    assert parse_shard(" 1/1 ").of("ab") == ["a", "b"]
    assert str(parse_shard("2/8")) == "2-of-8"


@pytest.mark.parametrize("text", ["", "x/y", "1", "1/", "/3", "1/3/5", "-1/3", "1.5/3", "1 / 3"])
def test_no_share_at_all(text: str) -> None:
    with pytest.raises(UsageError, match="names no share"):
        parse_shard(text)


@pytest.mark.parametrize("text", ["0/3", "4/3", "0/0", "1/0"])
def test_a_share_there_is_not(text: str) -> None:
    with pytest.raises(UsageError, match="There is no share") as error:
        parse_shard(text)
    assert "add 1" in error.value.hint
