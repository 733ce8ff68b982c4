"""Pictures that jobs begin from: read when their turn comes, and noticed where they change."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sakuga.engine.errors import UsageError
from sakuga.engine.image import source
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.jobfile import parse_jobs

Render = Any  # the fixture


def paint(path: Path, level: int) -> None:
    """Another picture of the same size in bytes, for another level."""
    Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(path, "BMP")


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """Two of one picture, the second with a mask."""
    paint(tmp_path / "a.bmp", 10)
    paint(tmp_path / "m.bmp", 255)
    lines = (
        '{"prompt": "a", "id": "a", "seed": 1, "init": "a.bmp"}\n'
        '{"prompt": "b", "id": "b", "seed": 2, "init": "a.bmp", "mask": "m.bmp"}'
    )
    return parse_jobs(lines, str(tmp_path / "jobs.jsonl"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are hashed from now on."""
    found: list[str] = []
    hashed = source.file_sha256

    def counted(path: Path) -> str:
        found.append(path.name)
        return hashed(path)

    monkeypatch.setattr(source, "file_sha256", counted)
    return found


def test_a_file_that_stays_as_it_is_is_not_read_again(
    render: Render, jobs: list[Job], reads: list[str]
) -> None:
    assert len(render(jobs)) == 2
    assert sorted(reads) == ["a.bmp", "a.bmp", "m.bmp"]  # each by the picture made of it
    reads.clear()
    assert render(jobs) == [] and reads == []


def test_a_file_that_was_touched_is_read_once(
    render: Render, jobs: list[Job], reads: list[str], tmp_path: Path
) -> None:
    render(jobs)
    reads.clear()
    os.utime(tmp_path / "a.bmp", ns=(1, 1))
    assert render(jobs) == [] and reads == ["a.bmp"]
    assert render(jobs) == [] and reads == ["a.bmp"]


def test_a_file_that_changed_is_noticed(render: Render, jobs: list[Job], tmp_path: Path) -> None:
    render(jobs)
    paint(tmp_path / "m.bmp", 0)
    with pytest.raises(UsageError, match=r"line 2 .* have changed") as caught:
        render(jobs)
    assert "Mask hash: " in caught.value.note and "m.bmp" in caught.value.note
    assert render(jobs, changed="keep") == []
    (again,) = render(jobs, changed="redo")
    assert again.task.job.id == "b"
    assert render(jobs) == []
    paint(tmp_path / "a.bmp", 99)
    assert len(render(jobs, changed="redo")) == 2


def test_a_picture_may_lie_elsewhere(render: Render, jobs: list[Job], tmp_path: Path) -> None:
    render(jobs)
    paint(tmp_path / "c.bmp", 10)
    lines = '{"prompt": "a", "id": "a", "seed": 1, "init": "c.bmp"}'
    (moved,) = parse_jobs(lines, str(tmp_path / "jobs.jsonl"))
    assert render([moved, jobs[1]]) == []


def test_what_is_gone_is_missed_where_it_is_needed(
    render: Render, jobs: list[Job], tmp_path: Path
) -> None:
    render(jobs[:1])
    (tmp_path / "a.bmp").unlink()
    outcomes, batch = render.batch(jobs[:1])
    assert outcomes == [] and any("a.bmp" in note for note in batch.notes)
    with pytest.raises(UsageError, match=r"line 2 \(b\): .*a.bmp is no file") as caught:
        render(jobs)
    assert "from that file's folder" in caught.value.note


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_what_never_ends_is_not_opened(render: Render, jobs: list[Job], tmp_path: Path) -> None:
    (tmp_path / "a.bmp").unlink()
    os.mkfifo(tmp_path / "a.bmp")
    with pytest.raises(UsageError, match="is no file that can be read"):
        render(jobs)
