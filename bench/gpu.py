"""How fast is Sakuga on a GPU? Part by part; every figure is measured here, none is estimated.

    python bench/gpu.py [--part NAME ...] [--out DIR] [--bundle DIR] [--work DIR] [--list]

Needs an NVIDIA GPU, and torch and diffusers for the ceilings, the stand-in networks and the rival.
Every part runs in a process of its own, is stopped after nine minutes, and leaves its result in
DIR/<machine>/PART.json (DIR: bench/results). A part whose result is there is not run again, so a
run that was cut off goes on where it was. A missed bar is printed as missed; a part that fails
makes the bench fail.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from common import Figure, print_figures
from gpu.parts import PARTS
from gpu.results import RESULTS, Answer, about, answer_of, folder_of, known_answer, write_answer
from gpu.site import Site

from sakuga.engine.backend.cuda.core_driver import CoreDriver
from sakuga.engine.gpu import Gpu, driver_version, find_gpu

LIMIT_SECONDS = 540


def run_part(name: str, gpu: Gpu, options: argparse.Namespace) -> None:
    """Measure a part in this process and write its result."""
    with tempfile.TemporaryDirectory(prefix="sakuga-bench-gpu-") as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        site = Site(lambda: CoreDriver(gpu), work, options.bundle)
        found = PARTS[name].measure(site)
    answer = answer_of(name, about(gpu), found.figures, found.details)
    write_answer(answer, folder_of(gpu, options.out))


def start_part(name: str, options: argparse.Namespace) -> str | None:
    """Run a part in a child; why it failed, None where it did not."""
    command = [sys.executable, __file__, "--here", "--part", name, "--out", options.out]
    for option in ("bundle", "work"):
        if value := getattr(options, option):
            command += [f"--{option}", value]
    try:
        status = subprocess.run(command, timeout=LIMIT_SECONDS, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"stopped after {LIMIT_SECONDS} s"
    return f"exit code {status}" if status else None


def show(answer: Answer) -> None:
    """A part's figures for people."""
    print("  ".join(f"{key} {value}" for key, value in answer["machine"].items()))
    for key in ("networks", "instead_of", "finding"):
        if key in answer:
            print(f"{key}: {answer[key]}")
    rows = [{key: row[key] for key in row if key != "met"} for row in answer["figures"]]
    print_figures([Figure(**row) for row in rows])


def run_parts(gpu: Gpu, options: argparse.Namespace) -> int:
    """Every part asked for whose result is not there yet; the exit code."""
    names = options.part or list(PARTS)
    places = [folder_of(gpu, options.out), folder_of(gpu, RESULTS)]
    failed: dict[str, str] = {}
    answers: list[Answer] = []
    for name in names:
        print(f"\n== {name}", flush=True)
        if known_answer(name, places) is None and (reason := start_part(name, options)):
            failed[name] = reason
            print(f"{name} failed: {reason}.", flush=True)
        elif (answer := known_answer(name, places)) is not None:
            answers.append(answer)
            show(answer)
    print(json.dumps({"bench": "gpu", "failed": failed, "parts": answers}))
    return 1 if failed else 0


def parsed() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="only this one; repeatable")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results go")
    parser.add_argument("--bundle", type=Path, help="a full-size bundle with plans")
    parser.add_argument("--work", type=Path, help="a folder for what is made on the way")
    parser.add_argument("--list", action="store_true", help="name the parts and end")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run, or refuse."""
    options = parsed()
    if options.list:
        for name, part in PARTS.items():
            print(f"{name:18} {part.words}")
        return 0
    gpu = find_gpu()
    if gpu is None:
        driver = driver_version()
        why = "no NVIDIA driver is installed" if driver is None else f"its driver has CUDA {driver}"
        print(f"bench/gpu.py needs an NVIDIA GPU and there is none here: {why}.\n"
              "Nothing was measured, and nothing is estimated.", file=sys.stderr)  # fmt: skip
        return 1
    if options.here:
        (name,) = options.part
        run_part(name, gpu, options)
        return 0
    return run_parts(gpu, options)


if __name__ == "__main__":
    sys.exit(main())
