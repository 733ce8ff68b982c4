"""Render a batch with the diffusers pipeline; print the seconds it took, keep the pictures.

python batch_diffusers.py FOLDER REQUESTS.json PICTURES.npz THREADS MOST

MOST pictures of one size make one call of the pipeline.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sakuga.engine.runtime.request import Request
from sakuga.export.reference_pipeline import SCHEDULERS, reference

folder, wanted, out, threads, most = sys.argv[1:]
torch.set_num_threads(int(threads))
requests = [Request(**fields) for fields in json.loads(Path(wanted).read_text())]
pipeline: Any = reference(Path(folder)).pipeline
pipeline.scheduler = SCHEDULERS["euler_a"](pipeline.scheduler.config)


def render(group: Sequence[Request]) -> list[Any]:
    """Pictures of one size and of the same steps and guidance, in one call."""
    first = group[0]
    with torch.inference_mode():
        found: list[Any] = pipeline(
            [each.prompt for each in group],
            negative_prompt=[each.negative_prompt for each in group],
            width=first.width,
            height=first.height,
            num_inference_steps=first.steps,
            guidance_scale=first.guidance,
            generator=[torch.Generator().manual_seed(each.seed or 0) for each in group],
        ).images
    return [np.asarray(picture) for picture in found]


def groups() -> list[list[int]]:
    """Which requests go together."""
    sizes = defaultdict[tuple[int | None, int | None], list[int]](list)
    for index, request in enumerate(requests):
        sizes[request.width, request.height].append(index)
    step = int(most)
    return [same[at : at + step] for same in sizes.values() for at in range(0, len(same), step)]


render(requests[-1:])
pictures: dict[int, Any] = {}
start = time.perf_counter()
for group in groups():
    pictures |= dict(zip(group, render([requests[index] for index in group]), strict=True))
seconds = time.perf_counter() - start
np.savez(out, *[pictures[index] for index in range(len(requests))])
print(seconds)
