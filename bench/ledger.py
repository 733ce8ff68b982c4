"""What a ledger costs: 100,000 jobs entered and gone on with, and a picture made safe.

    python bench/ledger.py [--jobs 100000] [--pictures 200]

The bars: rendering begins 2 s after the jobs are checked, and again 2 s after a killed process is
started anew; what makes a picture of 1.5 MB survive (fsync, rename, a row) takes 25 ms for 99 of
100. Checking is the engine's, and shown beside. It all depends on the disk that holds the temporary
folder: say which with TMPDIR.
"""

import argparse
import sqlite3
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import numpy as np
from common import SEED, Figure, median, report, small_model, work_folder

from sakuga.engine.engine import Engine
from sakuga.engine.jobs import enlist
from sakuga.engine.jobs.batch import Batch
from sakuga.engine.jobs.enlist import BatchOptions
from sakuga.engine.jobs.folder import claimed
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.ledger_file import ledger_path
from sakuga.engine.jobs.outcome import Task, Written
from sakuga.engine.platform import write_file_atomic
from sakuga.engine.runtime.request import Request

BAR_START_S, BAR_SAFE_MS = 2.0, 25.0
PICTURE_BYTES = 1_500_000
PROMPT = "1girl, green hair, long hair, sweater, looking at viewer, outdoors, night, masterpiece"
NEGATIVE = "lowres, bad anatomy, bad hands, text, error, worst quality, low quality, watermark"


def many_jobs(count: int) -> list[Job]:
    """Half of them with a seed, half without."""
    seeds = (number if number % 2 else None for number in range(count))
    return [
        Job(f"{number:06d}", Request(f"{PROMPT}, {number}", NEGATIVE, seed=seed), "jobs.jsonl", 1)
        for number, seed in enumerate(seeds)
    ]


def start(engine: Engine, jobs: Sequence[Job], out: Path) -> tuple[float, float]:
    """Seconds until rendering could begin, without and within the engine's checks."""
    checking = 0.0
    check: Callable[[Engine, Job], str] = enlist.checked_but_for_prompts

    def watched(engine: Engine, job: Job) -> str:
        nonlocal checking
        begun = perf_counter()
        size = check(engine, job)
        checking += perf_counter() - begun
        return size

    begun = perf_counter()
    with patch.object(enlist, "checked_but_for_prompts", watched), claimed(out) as ledger:
        assert Batch(engine, jobs, out, ledger, BatchOptions()).counts
        return perf_counter() - begun - checking, checking


def pretend_done(out: Path, jobs: Sequence[Job]) -> None:
    """Give every job a file and a row that says so."""
    rows = []
    for job in jobs:
        path = out / f"{job.id}.png"
        path.write_bytes(b"-")
        rows.append((path.stat().st_mtime_ns, job.id))
    with sqlite3.connect(ledger_path(out)) as connection:
        connection.executemany(
            "UPDATE jobs SET state = 'done', size_bytes = 1, mtime_ns = ? WHERE id = ?", rows
        )


def safe_writes(engine: Engine, jobs: Sequence[Job], out: Path) -> list[float]:
    """Milliseconds from encoded bytes to a picture with its row, for each job."""
    data = np.random.default_rng(SEED).bytes(PICTURE_BYTES)
    times = []
    with claimed(out) as ledger:
        Batch(engine, jobs, out, ledger, BatchOptions())
        for job in jobs:
            path = f"{job.id}.png"
            begun = perf_counter()
            write_file_atomic(out / path, data)
            task, digest = Task(job, path, ""), sha256(data).hexdigest()
            mtime_ns = (out / path).stat().st_mtime_ns
            ledger.keep([Written(task, 0, PROMPT, (), "", len(data), digest, mtime_ns)])
            times.append(1e3 * (perf_counter() - begun))
    return times


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--pictures", type=int, default=200, help="made safe")
    given = parser.parse_args()
    jobs = many_jobs(given.jobs)
    with work_folder() as folder:
        _, bundle = small_model("sdxl-tiny", folder)
        with Engine.open(bundle, threads=1) as engine:
            entered, checking = start(engine, jobs, folder / "out")
            again, _ = start(engine, jobs, folder / "out")
            pretend_done(folder / "out", jobs)
            done, _ = start(engine, jobs, folder / "out")
            times = safe_writes(engine, jobs[: given.pictures], folder / "safe")
    figures = [
        Figure(f"{given.jobs:,} jobs checked", checking, "s"),
        Figure("entered", entered, "s", BAR_START_S),
        Figure("gone on with, none done", again, "s", BAR_START_S),
        Figure("gone on with, all done", done, "s", BAR_START_S),
        Figure("a picture made safe, median", median(times), "ms"),
        Figure(
            "a picture made safe, 99 of 100", float(np.quantile(times, 0.99)), "ms", BAR_SAFE_MS
        ),
    ]
    report("ledger", figures, {"safe_ms": times})


if __name__ == "__main__":
    main()
