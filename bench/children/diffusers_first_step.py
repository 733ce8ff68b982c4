"""Open a diffusers folder as its documentation says and render until the first step is done.

python diffusers_first_step.py FOLDER SIDE PROMPT
"""

import os
import sys
import time
from typing import Any

from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionXLPipeline


def first_step(*_: object) -> dict[str, Any]:
    """Called by the pipeline at the end of each step."""
    print(time.monotonic(), flush=True)
    os._exit(0)


folder, side, prompt = sys.argv[1:]
pipeline: Any = StableDiffusionXLPipeline.from_pretrained(folder)
pipeline.scheduler = EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)
pipeline(
    prompt,
    num_inference_steps=28,
    guidance_scale=7.0,
    width=int(side),
    height=int(side),
    callback_on_step_end=first_step,
)
sys.exit("No step was reported.")
