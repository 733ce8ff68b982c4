"""Does an engine's memory grow? Over 2,000 pictures, and with a leak that is made on purpose.

    python bench/memory.py [--pictures 2000]

Resident memory of a process that renders with a tiny model: three sizes, one step or two, a prompt
of its own for each picture. The first fifth fills what is remembered and is not counted; through
the rest goes a line. The bar: it rises by at most 0.1 MiB in 100 pictures, 1 KiB each. A second
process, which runs beside it, keeps 4 KiB of every picture and must be seen to break the bar. Takes
two minutes; Linux with glibc only.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from common import CHILDREN, Figure, report, run_child, small_model, work_folder

BAR_MEBIBYTES = 0.1
EVERY = 10  # pictures from one look at memory to the next
LEAK_BYTES = 4096
MEBIBYTE = 1 << 20


def samples(bundle: Path, pictures: int, leaked: int) -> list[int]:
    """Bytes resident after every ten pictures."""
    script = CHILDREN / "pictures_in_memory.py"
    child = run_child([script, bundle, str(pictures), str(EVERY), str(leaked)])
    found: list[int] = json.loads(child.stdout)
    return found


def slope(found: list[int]) -> float:
    """MiB in 100 pictures, by least squares, without the first fifth."""
    counted = np.array(found[len(found) // 5 :]) / MEBIBYTE
    pictures = np.arange(len(counted)) * EVERY
    return float(100 * np.polyfit(pictures, counted, 1)[0])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    pictures = parser.parse_args().pictures
    with work_folder() as folder:
        _, bundle = small_model("sdxl-tiny", folder)
        with ThreadPoolExecutor(2) as both:
            runs = [both.submit(samples, bundle, pictures, leaked) for leaked in (0, LEAK_BYTES)]
        plain, leaking = (run.result() for run in runs)
    beside = f"{plain[-1] / MEBIBYTE:.1f} MiB at the end of {pictures} pictures"
    made = f"{100 * LEAK_BYTES / MEBIBYTE:.2f} MiB are kept on purpose"
    figures = [
        Figure("growth in 100 pictures", slope(plain), "MiB", BAR_MEBIBYTES, beside=beside),
        Figure("with a leak, in 100 pictures", slope(leaking), "MiB", BAR_MEBIBYTES,
               "at least", made),
    ]  # fmt: skip
    report("memory", figures, {"every": EVERY, "resident": {"plain": plain, "leaking": leaking}})


if __name__ == "__main__":
    main()
