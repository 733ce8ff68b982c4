"""Every bench that fits in minutes and in memory, one after another, and one table of all.

    python bench/all.py

Each runs in a process of its own. `full_size.py`, `plans.py`, `demo.py`, `batches.py`, `load.py`
and `graphs.py --retrace` take gigabytes or much longer and `gpu.py` takes a GPU: they are run by
hand. A missed bar is printed as missed; only a bench that fails makes this one fail.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import Figure, finite, print_figures

BENCHES = (
    "networks",
    "pipeline",
    "imports",
    "graphs",
    "prompts",
    "startup",
    "jobfile",
    "host_step",
    "batcher",
    "encode",
    "ledger",
    "throughput",
    "policies",
    "memory",
    "http_overhead",
)


def run(name: str) -> dict[str, Any] | None:
    """What a bench says in its last line, None where it failed; all else is passed on."""
    print(f"\n== {name}", flush=True)
    script = Path(__file__).with_name(f"{name}.py")
    done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True, check=False)
    *lines, last = done.stdout.splitlines() or [""]
    print("\n".join(lines), flush=True)
    if done.returncode:
        print(f"{last}\n{name} failed with exit code {done.returncode}.")
        return None
    answer: dict[str, Any] = json.loads(last)
    return answer


def figures(answer: dict[str, Any]) -> list[Figure]:
    """The figures of a bench, named after it."""
    return [
        Figure(
            what=f"{answer['bench']}: {row['what']}",
            value=float("inf") if row["value"] is None else row["value"],  # JSON has no infinity
            unit=row["unit"],
            bar=row["bar"],
            sense=row["sense"],
            beside=row["beside"],
        )
        for row in answer["figures"]
    ]


def main() -> None:
    """Command line."""
    answers = [run(name) for name in BENCHES]
    print("\n== all")
    done = [answer for answer in answers if answer is not None]
    print_figures([figure for answer in done for figure in figures(answer)])
    failed = [name for name, answer in zip(BENCHES, answers, strict=True) if answer is None]
    print(json.dumps(finite({"bench": "all", "failed": failed, "benches": done})))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
