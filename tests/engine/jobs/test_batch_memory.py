"""Two thousand pictures through one process: memory stays what it was."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sakuga.engine.bundle import Bundle

MOST_MIB = 0.1  # more for every hundred pictures

RENDER = """
import json, os, sys
from pathlib import Path
from sakuga.engine.engine import Engine
from sakuga.engine.jobs.batch import Batch
from sakuga.engine.jobs.enlist import BatchOptions
from sakuga.engine.jobs.folder import claimed
from sakuga.engine.jobs.job import Job
from sakuga.engine.runtime.request import Request

bundle, out, pictures = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
small = {"width": 128, "height": 128, "steps": 1, "guidance": 1.0}
# Fifty prompts: the encoder remembers 64 MiB of them, which thousands of small ones would not fill.
prompts = [f"1girl, {i % 50}" for i in range(pictures)]
jobs = [Job(f"p{i}", Request(prompt, seed=i, **small), "x", i) for i, prompt in enumerate(prompts)]
page, found = os.sysconf("SC_PAGE_SIZE"), []
with claimed(out) as ledger, Engine.open(bundle, threads=1) as engine:
    batch = Batch(engine, jobs, out, ledger, BatchOptions())
    for number, _ in enumerate(batch.run()):
        if number % 20 == 0:
            resident = int(Path("/proc/self/statm").read_text().split()[1])
            found.append([number, resident * page / 2**20])
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow(sd15_bundle: Bundle, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", RENDER, sd15_bundle.path, tmp_path / "out", "2000"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    samples = np.array(json.loads(done.stdout))
    settled = samples[samples[:, 0] >= 400]  # caches are full, arenas have their size
    slope = np.polyfit(settled[:, 0] / 100, settled[:, 1], 1)[0]
    assert slope <= MOST_MIB, samples[::10].tolist()
