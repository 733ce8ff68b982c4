"""What all benches share: small models, child processes, and how figures are printed.

Imports only the standard library at the top: a child's peak memory counts what its parent held
when it was started, so a bench that measures memory must stay small itself.
"""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

CHILDREN = Path(__file__).parent / "children"
PACKAGES = ("onnxruntime", "tensorrt_rtx", "torch", "diffusers", "numpy")
SEED = 0
GIGABYTE = 1e9


@dataclass(frozen=True)
class Figure:
    """One measured figure. `bar` None: shown beside the others, held to nothing."""

    what: str
    value: float
    unit: str
    bar: float | None = None
    sense: Literal["at most", "at least"] = "at most"
    beside: str = ""  # the floor, or the rival's figure of the same run

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.sense == "at most" else self.value >= self.bar


@dataclass(frozen=True)
class Child:
    """A finished child process: wall time, peak resident memory, what it wrote to stdout."""

    seconds: float
    peak_bytes: int
    stdout: str


def machine() -> dict[str, Any]:
    """The machine and the versions a figure belongs to."""
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
        "load_average": round(os.getloadavg()[0], 2),
    }


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def report(name: str, figures: Sequence[Figure], details: dict[str, Any]) -> None:
    """Print machine and figures for people, then everything as one line of JSON."""
    about = machine()
    print("  ".join(f"{key} {value}" for key, value in about.items()))
    print_figures(figures)
    rows = [asdict(figure) | {"met": figure.met} for figure in figures]
    print(json.dumps(finite({"bench": name, "machine": about, "figures": rows, **details})))


def print_figures(figures: Sequence[Figure]) -> None:
    """A table: figure, value, bar, and what stands beside it."""
    width = max((len(figure.what) for figure in figures), default=0)
    for figure in figures:
        value, bar = f"{figure.value:.4g} {figure.unit}", ""
        if figure.bar is not None:
            verdict = "met" if figure.met else "MISSED"
            bar = f"{figure.sense} {figure.bar:g} {figure.unit}: {verdict}"
        print(f"{figure.what:{width}}  {value:>16}  {bar:30}  {figure.beside}".rstrip())


def finite(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """The value with None for what JSON cannot say: infinity and NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def median(samples: Sequence[float]) -> float:
    """The median, which one disturbed sample does not move."""
    return float(statistics.median(samples))


@contextmanager
def work_folder() -> Iterator[Path]:
    """A temporary folder; within the block it also holds the cache, so the user's is untouched."""
    with tempfile.TemporaryDirectory(prefix="sakuga-bench-") as name:
        before = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = str(Path(name, "cache"))
        try:
            yield Path(name)
        finally:
            del os.environ["XDG_CACHE_HOME"]
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before


def small_model(family: str, folder: Path) -> tuple[Path, Path]:
    """A synthetic model in float32: its diffusers folder, and the bundle built from it."""
    from sakuga.export.build import build
    from sakuga.export.synthetic import write_synthetic
    from sakuga.profiles.families import FAMILIES

    model, bundle = folder / family, folder / f"{family}.sakuga"
    write_synthetic(FAMILIES[family], "diffusers", "fp32", SEED, model)
    build(model, bundle)
    return model, bundle


def run_child(arguments: Sequence[str | Path]) -> Child:
    """Run Python with these arguments. Raises RuntimeError where it fails."""
    command = [sys.executable, *map(str, arguments)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=_environment())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{command} failed:\n{err.read().decode(errors='replace')}")
        unit = 1 if sys.platform == "darwin" else 1024
        return Child(seconds, usage.ru_maxrss * unit, out.read().decode())


def _environment() -> dict[str, str]:
    """As a user has it: byte code is kept between runs. Nobody talks to the network."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1"}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
