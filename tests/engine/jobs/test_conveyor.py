"""From the engine to the disk: nothing waits for another, nothing piles up, nothing is dropped."""

import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from sakuga.engine.errors import EngineFault, RenderError, UsageError
from sakuga.engine.jobs import conveyor as conveyors
from sakuga.engine.jobs.conveyor import Conveyor
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.outcome import Failed, Outcome, Task, Written
from sakuga.engine.jobs.stop import Stop
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.request import Request

Render = Any  # the fixture of a painter and a folder
Write = Callable[[Task, Picture], Written]


def tasks(count: int) -> Iterator[Task]:
    for i in range(count):
        yield Task(Job(str(i), Request(str(i), seed=i)), f"{i}.png", "16x16")


def written(task: Task, picture: Picture) -> Written:
    return Written(task, picture.seed, picture.parameters, (), "16x16", 1, "", 0)


class Kept:
    """Remembers what it is told to keep."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def __call__(self, outcomes: list[Outcome]) -> None:
        self.outcomes += outcomes

    @property
    def ids(self) -> set[str]:
        return {outcome.task.job.id for outcome in self.outcomes}


def run(render: Render, write: Write = written, stop: Stop | None = None, count: int = 40) -> Kept:
    kept = Kept()
    conveyor = Conveyor(render.painter, write, kept, stop or Stop())
    for outcome in conveyor.run(tasks(count)):
        assert outcome in kept.outcomes, "nobody is told before it is kept"
    return kept


def test_everything_arrives(render: Render) -> None:
    kept = run(render)
    assert kept.ids == set(map(str, range(40)))
    assert all(isinstance(outcome, Written) and outcome.seconds >= 0 for outcome in kept.outcomes)


def test_nothing_piles_up_before_a_slow_disk(
    render: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    may_write, most = threading.Event(), 0

    def slow(task: Task, picture: Picture) -> Written:
        nonlocal most
        if not may_write.wait(0.3):
            most = max(most, len(render.painter.made))
        may_write.set()
        return written(task, picture)

    run(render, slow)
    assert most == 4 + 2 * 2  # the painter's appetite, and two for each writer


def test_writing_and_rendering_go_on_together(render: Render) -> None:
    """The first picture is written while the fifth is rendered: each waits for the other."""
    rendering, writing = threading.Event(), threading.Event()

    def before(request: Request) -> None:
        if request.prompt == "4":
            rendering.set()
            assert writing.wait(10)

    def write(task: Task, picture: Picture) -> Written:
        if task.job.id == "0":
            writing.set()
            assert rendering.wait(10)
        return written(task, picture)

    render.painter.before = before
    outcomes = run(render, write, count=8).outcomes
    assert len(outcomes) == 8 and all(isinstance(outcome, Written) for outcome in outcomes)


@pytest.mark.parametrize("error", [EngineFault("gone"), OSError(28, "full")])
def test_what_ends_it_is_raised_after_the_rest_is_kept(render: Render, error: Exception) -> None:
    def write(task: Task, picture: Picture) -> Written:
        if task.job.id == "7":
            raise error
        return written(task, picture)

    kept = Kept()
    conveyor = Conveyor(render.painter, write, kept, Stop())
    with pytest.raises(type(error)):
        list(conveyor.run(tasks(40)))
    made = {str(seed) for seed in render.painter.made}
    assert kept.ids == made - {"7"} and len(made) < 20


def test_failures_of_a_picture_s_own_are_outcomes(render: Render) -> None:
    render.painter.trouble["3"] = RenderError("NaN.")
    kept = run(render)
    (failed,) = (outcome for outcome in kept.outcomes if isinstance(outcome, Failed))
    assert failed.task.job.id == "3" and len(kept.outcomes) == 40


def test_whoever_stops_listening_loses_nothing_that_is_written(render: Render) -> None:
    kept = Kept()
    conveyor = Conveyor(render.painter, written, kept, Stop())
    running = conveyor.run(tasks(40))
    next(running)
    assert isinstance(running, Generator)
    running.close()
    assert kept.ids == {str(seed) for seed in render.painter.made}


def test_pictures_that_take_too_long_are_given_up_when_asked(
    render: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conveyors, "DRAIN_SECONDS", 0.1)
    stop, free = Stop(), threading.Event()

    class Endless:
        """A picture on the device that only cancelling ends."""

        def __init__(self) -> None:
            self.done = False
            self._calls: list[Any] = []

        def result(self, timeout: float | None = None) -> Picture:
            raise conveyors.CancelledError

        def cancel(self) -> bool:
            self.done = True
            for call in self._calls:
                call(self)
            return True

        def progress(self) -> conveyors.Progress:
            return conveyors.Progress(5, 28)

        def add_done_callback(self, work: Any) -> None:  # noqa: ANN401 (a call)
            self._calls.append(work)

    class Device:
        appetite = 3

        def submit(self, request: Request) -> Endless:
            free.set()
            return Endless()

    looked: list[float] = []
    conveyor = Conveyor(Device(), written, Kept(), stop, looked.append)
    start = monotonic()
    asking = threading.Timer(0.3, stop.ask)
    asking.start()
    assert list(conveyor.run(tasks(9))) == []
    assert 0.3 < monotonic() - start < 5
    assert looked[0] == pytest.approx(3 * 5 / 29)


def test_a_ledger_that_fails_ends_it(render: Render, tmp_path: Path) -> None:
    def fail(outcomes: list[Outcome]) -> None:
        raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        list(Conveyor(render.painter, written, fail, Stop()).run(tasks(40)))
    assert len(render.painter.made) < 40


@pytest.mark.parametrize("refused", ["0", "3", "9"])
def test_a_request_that_is_refused_is_a_job_that_failed(
    render: Render, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    submit = render.painter.submit

    def picky(request: Request) -> Any:  # noqa: ANN401
        if request.prompt == refused:
            raise UsageError("The prompt is too long.")
        return submit(request)

    monkeypatch.setattr(render.painter, "submit", picky)
    kept = Kept()
    outcomes = list(Conveyor(render.painter, written, kept, Stop()).run(tasks(10)))
    (failed,) = [each for each in outcomes if isinstance(each, Failed)]
    assert failed.task.job.id == refused and "too long" in failed.text
    assert len(outcomes) == len(kept.outcomes) == 10
