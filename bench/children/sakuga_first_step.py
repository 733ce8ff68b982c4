"""Run the command line until the first denoising step is done; print the monotonic clock then.

python sakuga_first_step.py render BUNDLE "1girl" --out DIR
"""

import os
import sys
import time

from sakuga.__main__ import main
from sakuga.engine.progress import LineReport


def first_step(self: LineReport, index: int, done: int, total: int) -> None:
    """Called by the renderer after each step, the first time with one done."""
    print(time.monotonic(), flush=True)
    os._exit(0)


LineReport.step = first_step
main(sys.argv[1:])
sys.exit("No step was reported.")
