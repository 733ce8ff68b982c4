"""Render a batch with an engine on the processor; print the seconds it took, keep the pictures.

python batch_sakuga.py BUNDLE REQUESTS.json PICTURES.npz THREADS SLOTS
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from sakuga.engine.backend.choose import processor
from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnx_networks import OnnxNetworks
from sakuga.engine.bundle import open_bundle
from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request

path, wanted, out, threads, slots = sys.argv[1:]
requests = [Request(**fields) for fields in json.loads(Path(wanted).read_text())]
bundle = open_bundle(Path(path))


def device() -> CpuDevice:
    """As `choose_device` opens it, where SLOTS is 0; else with so many places."""
    if slots == "0":
        return processor(bundle, int(threads))
    return CpuDevice(Networks.of(bundle), OnnxNetworks(bundle, int(threads)), int(slots))


with Engine(bundle, device) as engine:
    engine.render(requests[-1])
    start = time.perf_counter()
    pictures = list(engine.render_many(requests))
    seconds = time.perf_counter() - start
np.savez(out, *[picture.pixels for picture in sorted(pictures, key=lambda each: each.index)])
print(seconds)
