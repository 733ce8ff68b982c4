"""What does building a real-size model cost? SDXL, fp16, 6.9 GB in one file, to an fp16 bundle.

    python bench/full_size.py --folder DIR [--remove]

The bars: 3 minutes and 2.5 GB of memory on two cores, no torch. The checkpoint is synthetic and is
made in DIR where it is not there yet; DIR needs 14 GB. Built twice, with the file outside the page
cache and inside it. The floor is the disk: the bundle's bytes written and flushed, nothing done.
"""

import argparse
import os
import shutil
import time
from pathlib import Path
from typing import Any

from common import CHILDREN, GIGABYTE, Figure, report, run_child, work_folder

BAR_SECONDS, BAR_GIGABYTES = 180.0, 2.5
BLOCK = 1 << 24
HEAVY = {"torch", "diffusers", "transformers"}


def checkpoint(folder: Path) -> Path:
    """The synthetic checkpoint; made in a child, so that this process stays small."""
    path = folder / "sdxl-full.safetensors"
    if not path.exists():
        size = ["--family", "sdxl", "--scale", "full"]
        form = ["--layout", "single", "--dtype", "fp16", "--seed", "0"]
        run_child(["-m", "sakuga.export.synthetic", *size, *form, "--out", path])
    return path


def evict(path: Path) -> bool:
    """Drop a file from the page cache; False where the system cannot."""
    if not hasattr(os, "posix_fadvise"):
        return False
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def warm(path: Path) -> None:
    """Read a file into the page cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(BLOCK):
            pass


def build(model: Path, bundle: Path) -> dict[str, Any]:
    """`sakuga build` in a child: seconds, peak memory, size of the bundle, heavy modules."""
    clear(bundle)
    names = bundle.with_suffix(".modules.txt")
    command = ["build", model, "--out", bundle, "--precision", "fp16"]
    child = run_child([CHILDREN / "modules_at_exit.py", names, *command])
    packages = packages_of(names)
    size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    return {
        "seconds": child.seconds,
        "peak_gb": child.peak_bytes / GIGABYTE,
        "bundle_gb": size / GIGABYTE,
        "heavy": sorted(HEAVY & packages),
    }


def packages_of(names: Path) -> set[str]:
    """The packages of a list of modules; the list is removed."""
    lines = names.read_text(encoding="utf-8").splitlines()
    names.unlink()
    return {name.partition(".")[0] for name in lines}


def clear(*folders: Path) -> None:
    """Remove folders that may be there."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def write_gb_per_second(folder: Path) -> float:
    """What the disk takes in one gigabyte written in a row and flushed."""
    path, block = folder / "write-speed.bin", os.urandom(BLOCK)
    start = time.monotonic()
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(64):
                file.write(block)
            os.fsync(file.fileno())
        return 64 * BLOCK / GIGABYTE / (time.monotonic() - start)
    finally:
        path.unlink(missing_ok=True)


def measure(folder: Path) -> dict[str, dict[str, Any]]:
    """Builds by the state of the page cache."""
    model, bundle = checkpoint(folder), folder / "bench.sakuga"
    runs: dict[str, dict[str, Any]] = {}
    try:
        if evict(model):
            runs["cold"] = build(model, bundle)
        warm(model)
        runs["warm"] = build(model, bundle)
    finally:
        clear(bundle)
    return runs


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="with 14 GB free")
    parser.add_argument("--remove", action="store_true", help="delete the checkpoint afterwards")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    with work_folder():
        runs = measure(folder)
    disk = write_gb_per_second(folder)
    figures: list[Figure] = []
    for state, run in runs.items():
        floor = f"floor {run['bundle_gb'] / disk:.0f} s: {run['bundle_gb']:.2f} GB to this disk"
        heavy = ", ".join(run["heavy"]) or "no torch, diffusers, transformers"
        figures += [
            Figure(f"build, {state} page cache", run["seconds"], "s", BAR_SECONDS, beside=floor),
            Figure(f"peak memory, {state}", run["peak_gb"], "GB", BAR_GIGABYTES),
            Figure(f"heavy packages, {state}", len(run["heavy"]), "loaded", 0, beside=heavy),
        ]
    if arguments.remove:
        checkpoint(folder).unlink()
    report("full_size", figures, {"builds": runs, "disk_gb_per_second": disk})


if __name__ == "__main__":
    main()
