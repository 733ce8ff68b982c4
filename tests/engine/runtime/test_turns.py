"""Work that pauses: turns one after the other, and how it ends."""

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from sakuga.engine.errors import EngineFault, SakugaError
from sakuga.engine.runtime.turns import Pausing, Turns


def counting(name: str, pauses: int, told: list[str]) -> Pausing[str]:
    for turn in range(pauses):
        told.append(f"{name}{turn}")
        yield turn
    return name


def take_all(turns: Turns) -> int:
    taken = 0
    while turns:
        turns.take()
        taken += 1
    return taken


def test_one_is_finished_before_the_next_begins() -> None:
    turns, told, results = Turns(), list[str](), [Future[str](), Future[str]()]
    turns.add(lambda: counting("a", 2, told), results[0])
    turns.add(lambda: counting("b", 1, told), results[1])
    assert told == []  # nothing begins before its turn
    assert take_all(turns) == 3 + 2  # each pause, and each end
    assert told == ["a0", "a1", "b0"]
    assert [each.result(0) for each in results] == ["a", "b"]


def test_a_turn_may_last() -> None:
    turns, told, result = Turns(), list[str](), Future[str]()
    turns.add(lambda: counting("a", 3, told), result)
    turns.take(seconds=60)
    assert not turns and result.result(0) == "a"


def test_cancelled_work_ends_at_its_pause() -> None:
    turns, told, result = Turns(), list[str](), Future[str]()
    turns.add(lambda: counting("a", 3, told), result)
    turns.take()
    assert result.cancel()
    turns.take()
    assert not turns and told == ["a0"]
    turns.add(lambda: counting("b", 3, told), result)  # cancelled before its first
    turns.take()
    assert not turns and told == ["a0"]


def test_what_it_raises_is_its_result() -> None:
    def broken() -> Iterator[Any]:
        yield
        raise KeyError("a")

    turns, result = Turns(), Future[Any]()
    turns.add(broken, result)  # type: ignore[arg-type]  # it has no end
    take_all(turns)
    with pytest.raises(KeyError):
        result.result(0)


def test_what_beginning_raises_is_its_result() -> None:
    def broken() -> Pausing[str]:
        raise KeyError("a")

    turns, result = Turns(), Future[str]()
    turns.add(broken, result)
    take_all(turns)
    with pytest.raises(KeyError):
        result.result(0)


def test_a_fault_of_the_device_is_everybody_s() -> None:
    def faulty() -> Pausing[str]:
        yield
        raise EngineFault("The GPU is gone.")

    turns, result = Turns(), Future[str]()
    turns.add(faulty, result)
    turns.take()
    with pytest.raises(EngineFault):
        turns.take()
    with pytest.raises(EngineFault):
        result.result(0)


def test_the_end_is_told_to_all_and_everything_is_let_go_of() -> None:
    closed: list[str] = []

    def held(name: str) -> Pausing[str]:
        try:
            yield
        finally:
            closed.append(name)
            if name == "a":
                raise KeyError(name)  # which must not keep it from the others
        return name

    turns, results = Turns(), [Future[str](), Future[str]()]
    for name, result in zip("ab", results, strict=True):
        turns.add(lambda name=name: held(name), result)  # type: ignore[misc]
    turns.take()
    turns.end(SakugaError("The engine is closed."))
    assert not turns and closed == ["a"]  # b had not begun
    for result in results:
        with pytest.raises(SakugaError, match="closed"):
            result.result(0)
