"""The demo model and the demo jobs.

Until a trained demo model ships, `demo` is a synthetic checkpoint of the small SDXL family, made
from a seed: everything runs as with a real one, the pictures are abstract.
"""

from pathlib import Path

from sakuga.export.synthetic import write_synthetic
from sakuga.profiles.families import SDXL_TINY

SEED = 0


def write_demo(folder: Path) -> Path:
    """Write the demo checkpoint into `folder`; returns its path."""
    path = folder / "demo.safetensors"
    write_synthetic(SDXL_TINY, "single", "fp32", SEED, path)
    return path
