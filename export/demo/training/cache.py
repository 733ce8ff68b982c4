"""Arrays computed once and kept in the folder of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.platform import fsync_file


def cached(path: Path, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """The array at `path`, mapped; made, and written whole or not at all, where it is not there.

    The path must name everything the array depends on.
    """
    if not path.exists():
        temporary = path.with_suffix(".tmp.npy")
        np.save(temporary, make())
        fsync_file(temporary)
        temporary.replace(path)
    found: NDArray[Any] = np.load(path, mmap_mode="r")
    return found
