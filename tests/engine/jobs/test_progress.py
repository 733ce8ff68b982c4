"""What is told while pictures are made, and counted for it."""

import re
from pathlib import Path

import pytest

from sakuga.engine import progress
from sakuga.engine.jobs import tally as tallies
from sakuga.engine.jobs.outcome import Rendered
from sakuga.engine.jobs.records import Count
from sakuga.engine.jobs.tally import Tally, rate_text, time_text
from sakuga.engine.progress import LineReport, render_progress


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tallies, "monotonic", clock)
    monkeypatch.setattr(progress, "monotonic", clock)
    return clock


COUNTS = [
    Count("832x1216", "done", 100),
    Count("832x1216", "queued", 300),
    Count("1024x1024", "failed", 2),
    Count("1024x1024", "queued", 98),
]


def rendered(id: str, *notes: str) -> Rendered:
    return Rendered(id, Path(f"{id}.png"), 1, "", notes, 1.5)


def test_counts_grow_by_size(clock: Clock) -> None:
    tally = Tally(COUNTS)
    assert (tally.total, tally.done, tally.failed, tally.queued) == (500, 100, 2, 398)
    assert tally.rate is None and tally.speed() == ""
    for _ in range(4):
        clock.now += 0.5
        tally.add("832x1216")
    tally.add("1024x1024", failed=True)
    assert (tally.done, tally.failed, tally.queued, tally.made) == (104, 3, 393, 4)
    assert tally.rate == 2 and tally.seconds_left == 393 / 2 and tally.seconds == 2
    assert tally.speed() == "2.00 pictures/s, 0:03:16 left"
    assert tally.by_size() == "832x1216 104/400, 1024x1024 0/100"
    assert tally.by_size(1) == "832x1216 104/400, …"


def test_the_rate_is_that_of_the_last_hundred(clock: Clock) -> None:
    tally = Tally(COUNTS)
    for seconds in [10.0] * 50 + [0.25] * 100:
        clock.now += seconds
        tally.add("832x1216")
    assert tally.rate == 4


def test_words() -> None:
    assert rate_text(1.2345) == "1.23 pictures/s" and rate_text(0.05) == "20.0 s/picture"
    assert time_text(3725.4) == "1:02:05" and time_text(90000) == "1 day, 1:00:00"


def test_few_pictures_have_a_line_each(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally([Count("64x64", "queued", 3)])
    report = LineReport(tally)
    for id in "ab":
        clock.now += 2
        tally.add("64x64")
        report.picture(rendered(id, "odd"))
    tally.add("64x64", failed=True)
    report.failed("c", "NaN.")
    assert capsys.readouterr().err.splitlines() == [
        "[1/3] a 1.50 s",
        "a: odd",
        "[2/3] b 1.50 s, 0.50 pictures/s, 0:00:02 left",
        "c failed: NaN.",
    ]


def test_many_pictures_have_a_line_now_and_then(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally(COUNTS)
    report = LineReport(tally)
    for _ in range(99):
        clock.now += 0.5
        tally.add("832x1216")
        report.picture(rendered("x"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9
    assert lines[0] == (
        "[111/500] 387 queued, 2.00 pictures/s, 0:03:14 left; 832x1216 111/400, 1024x1024 0/100"
    )


def test_a_terminal_has_a_bar(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    tally = Tally(COUNTS)
    with render_progress(tally) as report:
        report.look(0.5)
        clock.now += 2
        tally.add("832x1216")
        report.picture(rendered("a", "[odd]"))
        report.failed("b", "NaN.")
    told = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "a: [odd]" in told and "b failed: NaN." in told
    assert "103/500 0.50 pictures/s, 0:13:14 left; 832x1216 101/400, 1024x1024 0/100" in told
