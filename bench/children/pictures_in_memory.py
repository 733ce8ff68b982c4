"""Render pictures with an engine and say after every few how much memory the process holds.

python pictures_in_memory.py BUNDLE PICTURES EVERY LEAKED

LEAKED bytes are kept of every picture, on purpose. The memory of encoded prompts is cut to 1 MiB,
so that it is full, as it is in the long run, when the measuring begins. What is free is given back
to the system before each look, or growth would hide in the holes that opening networks has left.
"""

import ctypes
import gc
import json
import os
import sys
from pathlib import Path

from sakuga.engine.engine import Engine
from sakuga.engine.runtime import prompts
from sakuga.engine.runtime.request import Request

SIZES = ((128, 128), (160, 128), (128, 160))  # lanes come and go
REMEMBERED_BYTES = 1 << 20


def resident_bytes() -> int:
    """Of this process, now, without what is free."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def request(number: int) -> Request:
    """Like no other, and short."""
    width, height = SIZES[number % len(SIZES)]
    return Request(f"girl number {number}", "bad", width, height, 1 + number % 2, 7.0, seed=number)


bundle, pictures, every, leaked = sys.argv[1:]
prompts._REMEMBERED_BYTES = REMEMBERED_BYTES
samples: list[int] = []
kept: list[bytes] = []
with Engine.open(bundle, threads=1) as engine:
    for first in range(0, int(pictures), int(every)):
        # A few at a time: the settings of all, let go of one by one, would hide what grows.
        wanted = [request(number) for number in range(first, first + int(every))]
        for picture in engine.render_many(wanted):
            kept.append(picture.pixels.tobytes()[: int(leaked)])
        samples.append(resident_bytes())
print(json.dumps(samples))
