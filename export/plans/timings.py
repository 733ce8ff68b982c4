"""TensorRT's own timing cache: what it measured of kernels, so that a later build measures less.

One file for each library version, GPU and driver, since times of another are worth nothing. Only
the `tensorrt` backend measures; TensorRT for RTX builds without a GPU and keeps a runtime cache
instead, which belongs to whoever runs the plans.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sakuga.engine.gpu import Gpu
from sakuga.engine.platform import cache_folder, write_file_atomic
from sakuga.export.plans.flavour import Flavour
from sakuga.export.plans.log import BuildLog


@dataclass(frozen=True)
class Timings:
    """The cache file of one library version on one GPU, in a folder of mode 0700."""

    path: Path

    def load_into(self, config: Any) -> None:  # noqa: ANN401
        """Give a builder's config what is known; a cache TensorRT does not like is begun anew."""
        known = self.path.read_bytes() if self.path.exists() else b""
        if not config.set_timing_cache(config.create_timing_cache(known), False):
            config.set_timing_cache(config.create_timing_cache(b""), False)

    def save_from(self, config: Any, log: BuildLog) -> None:  # noqa: ANN401
        """Keep what the builder learnt. Not being able to costs time later, and no plan now."""
        try:
            write_file_atomic(self.path, bytes(config.get_timing_cache().serialize()))
        except OSError as error:
            log.write("WARNING", f"{self.path} is not kept: {error.strerror}.")


def timings(flavour: Flavour, tuned_on: Gpu | None) -> Timings | None:
    """The cache for a build on this GPU; None for a library that measures nothing."""
    if tuned_on is None or not flavour.keeps_timings():
        return None
    folder = cache_folder() / "timings"
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = f"{flavour.version} {tuned_on.name} {tuned_on.capability} {tuned_on.driver}"
    return Timings(folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:32]}.timings")
