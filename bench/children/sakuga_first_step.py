"""Run the command line until the first denoising step is done; print the monotonic clock then.

python sakuga_first_step.py render BUNDLE "1girl" --out DIR
"""

import os
import sys
import time

from sakuga.__main__ import main
from sakuga.engine.runtime.batcher import Batch, Batcher
from sakuga.engine.runtime.slot import Slot


def first_step(self: Batcher, batch: Batch) -> list[Slot]:
    """Called by the engine after each step."""
    print(time.monotonic(), flush=True)
    os._exit(0)


Batcher.done = first_step
main(sys.argv[1:])
sys.exit("No step was reported.")
