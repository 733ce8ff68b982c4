"""diffusers' own SDXL pipeline in float16, with the weights of the stand-in.

As its documentation advises for speed: `compiled` compiles the UNet and the VAE's decoder. Its VAE
decodes in float16 and is not brought to float32 first, for the stand-in's is not either.
"""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import torch
from diffusers import (
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
)
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from gpu.torch_models import Models
from gpu.torch_session import compiled
from sakuga.engine.runtime.request import Request
from sakuga.export.diffusers_configs import scheduler_config, text_encoder_config
from sakuga.export.reference_pipeline import clip_tokenizer

Render = Callable[[Sequence[Request]], int]  # renders all in one call; says how many
_SCHEDULERS = {"euler_a": EulerAncestralDiscreteScheduler, "euler": EulerDiscreteScheduler}


def rival(models: Models, compile_networks: bool) -> Render:
    """Renders requests that are alike in all but prompt and seed."""
    first, second = models.family.text_encoders
    with torch.device("meta"):
        config: Any = CLIPTextConfig
        pooled: Any = CLIPTextModelWithProjection(config(**text_encoder_config(second)))
    pooled.text_model = models.text[second.name].text_model
    pooled.text_projection = models.text[second.name].text_projection
    vae = copy(models.vae)  # the same weights; what is set on it stays off the stand-in
    vae.register_to_config(force_upcast=False)
    make: Any = StableDiffusionXLPipeline
    pipeline = make(
        vae=vae,
        text_encoder=models.text[first.name].text_model,
        text_encoder_2=pooled,
        tokenizer=clip_tokenizer("<|endoftext|>"),
        tokenizer_2=clip_tokenizer("!"),
        unet=models.unet,
        scheduler=EulerDiscreteScheduler.from_config(scheduler_config()),
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    if compile_networks:
        pipeline.unet = compiled(models.unet)
        vae.decode = compiled(vae.decode)

    def render(requests: Sequence[Request]) -> int:
        asked = requests[0]
        assert asked.sampler is not None
        scheduler = _SCHEDULERS[asked.sampler]
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
        generators = [
            torch.Generator(models.unet.device).manual_seed(r.seed or 0) for r in requests
        ]
        found = pipeline(
            [request.prompt for request in requests],
            negative_prompt=[request.negative_prompt for request in requests],
            width=asked.width,
            height=asked.height,
            num_inference_steps=asked.steps,
            guidance_scale=asked.guidance,
            generator=generators,
        )
        return len(found.images)

    return render
