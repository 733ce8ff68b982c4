"""How long does a file of a hundred thousand jobs take to read? How much memory does a job hold?

    python bench/jobfile.py [--lines 100000]

Every prompt is another one. Reading checks every field and that no two jobs have one id; then all
get their names, of which no two may be one file. One core; processor seconds, so that other work on
the machine counts little. The bar: 5 s for every format.
"""

import argparse
import json
import random
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import process_time

from common import Figure, report, work_folder

from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.jobfile import read_jobs
from sakuga.engine.jobs.names import DEFAULT, NameSource, NameTemplate, check_names
from sakuga.engine.runtime.request import Defaults
from sakuga.profiles.buckets import ANIMAGINE_BUCKETS

BAR = 5.0
WORDS = (
    *("1girl", "solo", "long_hair", "blue_eyes", "smile", "sweater", "night", "outdoors", "beach"),
    *("dress", "ribbon", "glasses", "twintails", "school_uniform", "upper_body", "portrait"),
    *("masterpiece", "best_quality", "very_aesthetic", "absurdres"),
)
NEGATIVE = "nsfw, lowres, (bad), text, error, worst quality, low quality, watermark, [abstract]"
TEMPLATES = (DEFAULT, "{sampler}/{index}-{prompt}-{seed}-{width}x{height}")
Row = dict[str, str | int | float]


def rows(count: int) -> list[Row]:
    """Jobs with all fields that people usually set."""
    rng = random.Random(0)
    return [
        {
            "id": f"job-{nth}",
            "prompt": f"{', '.join(rng.choices(WORDS, k=18))}, {nth}",
            "negative_prompt": NEGATIVE,
            "width": 832,
            "height": 1216,
            "steps": 28,
            "guidance": 5.5,
            "sampler": "Euler a",
            "seed": nth,
        }
        for nth in range(count)
    ]


def csv_line(row: Row) -> str:
    """The row in quotes."""
    return ",".join(f'"{value}"' for value in row.values())


def options_line(row: Row) -> str:
    """The row as A1111's options."""
    return " ".join(f'--{name} "{value}"' for name, value in row.items())


def write(folder: Path, count: int) -> dict[str, Path]:
    """The same jobs in each format."""
    found = rows(count)
    texts = {
        "JSONL": ("jobs.jsonl", [json.dumps(row) for row in found]),
        "CSV": ("jobs.csv", [",".join(found[0]), *map(csv_line, found)]),
        "options": ("jobs.txt", [options_line(row) for row in found]),
    }
    for name, lines in texts.values():
        (folder / name).write_text("\n".join(lines), encoding="utf-8")
    (folder / "grid.jsonl").write_text(f'{{"prompt": "a", "seed": {[*range(count)]}}}\n', "utf-8")
    return {kind: folder / name for kind, (name, _) in texts.items()} | {
        "grid": folder / "grid.jsonl"
    }


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of the better of two runs."""
    samples: list[float] = []
    for _ in range(2):
        start = process_time()
        work()
        samples.append(process_time() - start)
    return min(samples)


def bytes_of_job(path: Path) -> float:
    """Memory that a job of the file holds when it has been read."""
    tracemalloc.start()
    jobs = read_jobs(path)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / len(jobs)


def names(jobs: list[Job], template: str) -> list[str]:
    """Their names, of which no two are one file."""
    source = NameSource(Defaults(ANIMAGINE_BUCKETS[0]), "model")
    return check_names(NameTemplate.parse(template), jobs, source)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000, help="jobs in each file")
    count = parser.parse_args().lines
    with work_folder() as folder:
        files = write(folder, count)
        jobs = read_jobs(files["JSONL"])
        took = {kind: seconds(lambda path=path: read_jobs(path)) for kind, path in files.items()}
        naming = {text: seconds(lambda text=text: names(jobs, text)) for text in TEMPLATES}
        held = {kind: bytes_of_job(files[kind]) for kind in ("JSONL", "grid")}
    megabytes = sum(map(sys.getsizeof, (job.request.prompt for job in jobs))) / 1e6
    figures = [
        Figure(f"{kind}: {count} jobs read and named", value + naming[DEFAULT], "s", BAR)
        for kind, value in took.items()
    ]
    figures += [Figure(f"names {text}", naming[text], "s") for text in TEMPLATES]
    figures += [Figure(f"{kind}: memory of a job", value, "bytes") for kind, value in held.items()]
    report("jobfile", figures, {"lines": count, "read_s": took, "prompts_mb": megabytes})


if __name__ == "__main__":
    main()
