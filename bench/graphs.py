"""How large are the graphs that ship, and what does it cost to make them anew?

    python bench/graphs.py [--retrace]

The graphs ride in the package so that a build needs no torch; they may cost a download of 2 MB at
most. `--retrace` (maintainers, minutes) traces all of them again in a child: 30 minutes and 4 GB
at most, and with the pinned versions the same bytes.
"""

import argparse
from pathlib import Path
from typing import Any

from common import Figure, report, run_child, work_folder

import sakuga.export

MEGABYTE, GIGABYTE = 1e6, 1e9
SHIPPED = Path(sakuga.export.__file__).parent / "graphs"


def graph_bytes(folder: Path) -> dict[str, bytes]:
    """Every graph of a folder by its path in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.xz"))
    }


def retrace(shipped: dict[str, bytes]) -> tuple[list[Figure], dict[str, Any]]:
    """Trace all graphs in a child process and compare them with those that ship."""
    with work_folder() as folder:
        child = run_child(["-m", "sakuga.export.trace", "--out", folder / "graphs"])
        traced = graph_bytes(folder / "graphs")
    names = shipped.keys() | traced.keys()
    changed = sorted(name for name in names if shipped.get(name) != traced.get(name))
    figures = [
        Figure("full retrace, time", child.seconds / 60, "min", 30),
        Figure("full retrace, peak memory", child.peak_bytes / GIGABYTE, "GB", 4),
        Figure("graphs that came out otherwise", len(changed), "graphs", 0),
    ]
    return figures, {"changed": changed, "traced": len(traced)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--retrace", action="store_true", help="trace all graphs anew (minutes)")
    arguments = parser.parse_args()
    shipped = graph_bytes(SHIPPED)
    sizes = {name: len(data) for name, data in shipped.items()}
    total, count = sum(sizes.values()) / MEGABYTE, f"{len(sizes)} graphs"
    figures = [Figure("shipped graphs", total, "MB", 2, beside=count)]
    details: dict[str, Any] = {"bytes": sizes}
    if arguments.retrace:
        more, details["retrace"] = retrace(shipped)
        figures += more
    report("graphs", figures, details)


if __name__ == "__main__":
    main()
