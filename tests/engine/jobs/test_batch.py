"""Job files rendered again: what is done is left alone, and whatever has changed is noticed."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from sakuga.engine.engine import Engine
from sakuga.engine.errors import (
    BundleError,
    EngineFault,
    MetadataError,
    OutputError,
    RenderError,
    SizeError,
    StoppedError,
    UsageError,
)
from sakuga.engine.image.formats import format_called
from sakuga.engine.jobs import enlist
from sakuga.engine.jobs.batch import Batch
from sakuga.engine.jobs.enlist import BatchOptions
from sakuga.engine.jobs.folder import claimed
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.outcome import Failed, Written
from sakuga.engine.jobs.stop import Stop
from sakuga.engine.runtime.request import Request

Render = Any  # the fixture


def test_what_is_done_is_not_rendered_again(render: Render) -> None:
    jobs = render.jobs("1girl", "1boy", "2girls")
    outcomes = render(jobs)
    assert {outcome.task.job.id for outcome in outcomes} == {"a", "b", "c"}
    before = render.pictures
    assert set(before) == {"a.png", "b.png", "c.png", "contact-sheet.png", "gallery.html"}
    assert render(jobs) == [] and render.pictures == before and len(render.painter.made) == 3


def test_random_seeds_are_drawn_once(render: Render) -> None:
    jobs = [
        *render.jobs("1girl", "1boy"),
        *(
            replace(job, id=f"v{job.id}")
            for job in render.jobs("1girl", seed=5, variation_strength=0.5)
        ),
    ]
    render(jobs)
    before = render.pictures
    (render.out / "a.png").unlink()
    (render.out / "va.png").unlink()
    outcomes, batch = render.batch(jobs)
    assert sorted(outcome.task.path for outcome in outcomes) == ["a.png", "va.png"]
    assert all(outcome.task.job.request.variation_seed != -1 for outcome in outcomes)
    assert render.pictures == before
    assert batch.notes == ("No longer there and rendered again: a, va.",)


def test_a_picture_somebody_worked_on_is_kept(render: Render) -> None:
    jobs = render.jobs("1girl", "1boy")
    render(jobs)
    before = render.pictures
    for _ in range(2):
        (render.out / "a.png").write_bytes(b"retouched")
        _, batch = render.batch(jobs)
        assert "Changed on the disk" in batch.notes[0] and batch.notes[0].endswith("again: a.")
    aside = render.out / ".sakuga" / "changed"
    assert [path.read_bytes() for path in aside.iterdir()] == [b"retouched"] * 2
    assert render.pictures == before


def test_a_picture_that_was_copied_is_recognised(render: Render) -> None:
    jobs = render.jobs("1girl", "1boy")
    render(jobs)
    copy = render.out.with_name("copy")
    shutil.copytree(render.out, copy, copy_function=shutil.copyfile)  # with new times
    render.out = copy
    assert render(jobs) == []
    path = copy / "a.png"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(data)
    os.utime(path, ns=times)
    assert render(jobs) == []  # size and time are what they were
    assert len(render(jobs, verify=True)) == 1


def test_lines_may_come_and_go(render: Render) -> None:
    first, second, third = render.jobs("1girl", "1boy", "2girls", seed=1)
    render([first, second])
    outcomes, batch = render.batch([third, first])
    assert [outcome.task.job.id for outcome in outcomes] == ["c"] and batch.total == 2
    assert batch.notes == ("No longer in the job file, and left as they are: b.",)
    assert (render.out / "b.png").is_file()
    assert "b.png" not in (render.out / "gallery.html").read_text()
    assert render([second, third, first]) == []
    assert "b.png" in (render.out / "gallery.html").read_text()


def test_changed_settings_are_noticed(render: Render) -> None:
    first, second = render.jobs("1girl", "1boy", seed=1, steps=28)
    render([first, second])
    before = render.pictures
    changed = [replace(first, request=replace(first.request, steps=30, guidance=5.5)), second]
    with pytest.raises(UsageError) as caught:
        render(changed)
    error = caught.value
    assert f"{render.source}, line 1 (a): the settings of a picture that is done" in error.what
    assert error.note == "steps: 28 then, 30 now; guidance: none then, 5.5 now."
    assert "--changed redo" in error.hint and render.pictures == before
    assert render(changed, changed="keep") == [] and render.pictures == before
    with pytest.raises(UsageError):
        render(changed)
    assert [outcome.task.job.id for outcome in render(changed, changed="redo")] == ["a"]
    assert render(changed) == []


def test_settings_of_a_job_that_waits_may_change(render: Render) -> None:
    jobs = render.jobs("1girl", "1boy", seed=1)
    render.painter.trouble["1boy"] = RenderError("NaN.")
    render(jobs)
    assert render(jobs) == []
    outcomes, batch = render.batch(
        [jobs[0], replace(jobs[1], request=replace(jobs[1].request, prompt="2boys"))]
    )
    assert [outcome.task.job.request.prompt for outcome in outcomes] == ["2boys"]
    assert batch.notes == ("Not rendered before and now with other settings: b.",)
    assert (batch.done, batch.failed, batch.waiting) == (2, 0, 0)


def test_what_is_the_same_for_all_jobs_may_not_change_unseen(render: Render) -> None:
    jobs = render.jobs("1girl", "1boy", seed=1)
    render(jobs)
    render.painter.backend = "another"
    with pytest.raises(UsageError) as caught:
        render(jobs)
    assert caught.value.note == ('backend: "painter" then, "another" now. So have those of 1 more.')
    render.painter.backend = "painter"
    with pytest.raises(UsageError, match="changed") as caught:
        render(jobs, format=format_called("jpeg", 80))
    assert 'format: "png" then, "jpeg 80" now' in caught.value.note
    assert "file: a.png then, a.jpg now" in caught.value.note
    assert len(render(jobs, format=format_called("jpeg", 80), changed="redo")) == 2


def test_numbers_and_spellings_that_mean_the_same_are_no_change(render: Render) -> None:
    (job,) = render.jobs("1girl", seed=1, guidance=7)
    render([job])
    assert render([replace(job, request=replace(job.request, guidance=7.0))]) == []
    assert render([replace(job, line=40, source=f"{render.source}/../jobs.jsonl")]) == []


def test_another_job_file_s_folder(render: Render, tmp_path: Path) -> None:
    jobs = render.jobs("1girl", "1boy", seed=1)
    render(jobs)
    before = render.pictures
    other = str(tmp_path / "others.jsonl")
    moved = [replace(job, source=other) for job in jobs]
    assert render(moved) == []  # the same jobs in a file of another name
    others = [
        replace(job, source=render.source, request=Request(f"other {job.id}", seed=1))
        for job in jobs
    ]
    for changed in ("stop", "redo", "keep"):
        with pytest.raises(OutputError) as caught:
            render(others, changed=changed)
        assert "holds the pictures of another job file" in caught.value.what
        assert f"2 pictures of {other}" in caught.value.note and "--out" in caught.value.hint
    assert render.pictures == before


def test_one_picture_is_never_written_over_another_s(render: Render) -> None:
    jobs = render.jobs("1girl", "1boy", seed=1)

    def name_of(job: Job) -> str:
        return f"picture-{job.request.seed}"

    with pytest.raises(UsageError, match="'a' and 'b' have one file") as caught:
        render(jobs, name_of=name_of)
    assert "lines 1 and 2" in caught.value.note and not render.out.exists()
    other = replace(jobs[1], request=replace(jobs[1].request, seed=2))
    render([jobs[0], other], name_of=name_of)
    with pytest.raises(UsageError, match="have one file") as caught:
        render([jobs[0], replace(other, id="c")], name_of=name_of)
    assert "It is the picture of 'b' as that job once was." in caught.value.note
    with pytest.raises(UsageError, match="have one file"):
        render(
            [jobs[0], other, replace(jobs[1], id="c")],
            name_of=lambda job: "picture-2" if job.id == "c" else f"other-{job.id}",
            changed="keep",
        )


def test_names_may_lie_in_folders(render: Render) -> None:
    jobs = render.jobs("1girl", "1boy", seed=1)
    options = {"name_of": lambda job: f"{job.request.prompt}/{job.id} 100%"}
    render(jobs, **options)
    assert (render.out / "1girl" / "a 100%.png").is_file()
    assert render(jobs, **options) == []
    assert '"1girl/a 100%.png"' in (render.out / "gallery.html").read_text()


@pytest.mark.parametrize("error", [RenderError("NaN.", note="In it."), RuntimeError("odd")])
def test_a_picture_that_fails_takes_no_other_with_it(render: Render, error: Exception) -> None:
    jobs = render.jobs("1girl", "1boy", "2girls")
    render.painter.trouble["1boy"] = error
    outcomes, batch = render.batch(jobs)
    (failed,) = (outcome for outcome in outcomes if isinstance(outcome, Failed))
    assert failed.task.job.id == "b"
    assert failed.text in ("NaN. In it.", "RuntimeError: odd")
    assert (batch.done, batch.failed, batch.waiting) == (2, 1, 0)
    assert render(jobs) == []
    seeds = set(render.painter.made)
    render.painter.trouble.clear()
    (done,) = render(jobs, retry_failed=True)
    assert isinstance(done, Written) and done.task.job.id == "b" and done.seed not in seeds
    assert render(jobs, retry_failed=True) == []


def test_a_folder_in_the_place_of_a_picture_fails_alone(render: Render) -> None:
    (render.out / "b.png").mkdir(parents=True)
    outcomes, batch = render.batch(render.jobs("1girl", "1boy", "2girls"))
    assert (batch.done, batch.failed) == (2, 1)
    (failed,) = (each for each in outcomes if isinstance(each, Failed))
    assert f"{render.out / 'b.png'} is a folder." in failed.text


def test_settings_a_format_has_no_room_for_fail_alone(render: Render) -> None:
    jobs = render.jobs("1girl", "1girl, " * 6000)
    outcomes = render(jobs, format=format_called("jpeg"))
    (failed,) = (outcome for outcome in outcomes if isinstance(outcome, Failed))
    assert isinstance(failed.error, MetadataError) and failed.task.job.id == "b"


def test_a_dead_gpu_stops_and_can_be_gone_on_from(render: Render) -> None:
    jobs = render.jobs("1girl", "1boy", "2girls", "2boys", "3girls", "3boys")
    render.painter.trouble["2girls"] = EngineFault("The GPU is gone.", hint="Start again.")
    with pytest.raises(StoppedError) as caught:
        render(jobs)
    assert caught.value.what == "The GPU is gone." and caught.value.exit_code == 75
    assert "of 6 pictures are done" in caught.value.note
    assert caught.value.hint == "Start again. The same command goes on behind them."
    render.painter.trouble.clear()
    render(jobs)
    assert len(render.pictures) == 8
    assert len(render.painter.made) <= 6 + render.painter.appetite


def test_stopped_when_asked(render: Render) -> None:
    jobs = render.jobs(*map(str, range(20)))
    stop = Stop()

    def before(request: Request) -> None:
        if request.prompt == "5":
            stop.ask()
            sleep(0.3)

    render.painter.before = before
    with pytest.raises(StoppedError) as caught:
        render(jobs, stop)
    assert len(render.painter.made) == 6  # what has begun is finished, what waits is not begun
    assert "6 of 20 pictures are done" in caught.value.note
    assert len(render(jobs)) == 14 and len(set(render.painter.made)) == 20


def test_a_replaced_bundle_stops(render: Render, tmp_path: Path) -> None:
    jobs = render.jobs(*map(str, range(8)))
    copy = tmp_path / "b.sakuga"
    shutil.copytree(render.painter.bundle.path, copy)
    render.painter.bundle = replace(render.painter.bundle, path=copy)
    manifest = copy / "manifest.json"
    original = manifest.read_text()

    def replaced(request: Request) -> None:
        if request.prompt == "4":
            other = json.loads(manifest.read_text()) | {"sakuga": "another"}
            manifest.with_suffix(".new").write_text(json.dumps(other))
            manifest.with_suffix(".new").replace(manifest)

    render.painter.before = replaced
    with pytest.raises(BundleError, match="was replaced or removed while"):
        render(jobs)
    assert len(render.pictures) <= 4
    render.painter.before = None
    manifest.write_text(original)
    render(jobs)
    assert len(render.pictures) == 10 and len(set(render.painter.made)) == 8


def test_nothing_is_left_of_a_rendering_that_was_refused(
    render: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(engine: object, job: object) -> str:
        raise UsageError("No.")

    with monkeypatch.context() as patch:
        patch.setattr(enlist, "checked_size", refuse)
        with pytest.raises(UsageError, match="No"):
            render(render.jobs("1girl"))
    assert not render.out.exists()
    render.out.mkdir()
    (render.out / "mine.txt").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(enlist, "checked_size", refuse)
        with pytest.raises(UsageError, match="No"):
            render(render.jobs("1girl"))
    assert [path.name for path in render.out.iterdir()] == ["mine.txt"]


def test_two_processes_cannot_render_into_one_folder(render: Render) -> None:
    with claimed(render.out), pytest.raises(OutputError, match="Another process renders into"):
        render(render.jobs("1girl"))


def test_only_our_own_leftovers_are_cleared(render: Render) -> None:
    render(render.jobs("1girl", "1boy"))
    ours = [".a.png.0123456789abcdef.tmp", ".gallery.html.0123456789abcdef.tmp"]
    others = [".mine.png.0123456789abcdef.tmp", ".a.png.tmp", "a.png.0123456789abcdef.tmp"]
    for name in (*ours, *others):
        (render.out / name).touch()
    render(render.jobs("1girl", "1boy"))
    left = {path.name for path in render.out.iterdir()}
    assert left >= set(others) and not left & set(ours)


def test_of_many_jobs_a_prompt_is_read_when_its_turn_comes(
    sdxl_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enlist, "MANY", 2)
    size: dict[str, Any] = {"width": 128, "height": 128, "steps": 2}
    jobs = [
        Job(f"{n}", Request(prompt, seed=n, **size), "jobs.jsonl", n + 1)
        for n, prompt in enumerate(["a", "tag, " * 500, "b"])
    ]
    with claimed(tmp_path / "out") as ledger:
        batch = Batch(sdxl_engine, jobs, tmp_path / "out", ledger, BatchOptions())
        outcomes = list(batch.run())
        assert (batch.done, batch.failed) == (2, 1)
        assert [each.task.job.id for each in outcomes if isinstance(each, Failed)] == ["1"]
        assert "Line 2 (1)" in batch.failures[0]
    wrong = Job("3", Request("c", width=129, steps=2), "jobs.jsonl", 4)
    with claimed(tmp_path / "out") as ledger, pytest.raises(SizeError, match="line 4"):
        Batch(sdxl_engine, [*jobs, wrong, *(Job(f"n{n}", Request("d", **size)) for n in range(2))],
              tmp_path / "out", ledger, BatchOptions())  # fmt: skip
