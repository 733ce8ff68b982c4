"""The golden reference of whole pictures: diffusers' own pipeline in float32, on torch's noise.

Needs the `verify` extra. Used by the tests and the benches, never by a build.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from sakuga.engine.runtime.request import Request
from sakuga.engine.text.vocabulary import clip_merges, clip_vocabulary
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.profiles.families import CHUNK

# Sampler to what makes diffusers' scheduler of it from a folder's scheduler_config.json.
SCHEDULERS: Mapping[str, Callable[[Any], Any]] = {
    "euler_a": EulerAncestralDiscreteScheduler.from_config,
    "euler": EulerDiscreteScheduler.from_config,
    "dpmpp_2m": DPMSolverMultistepScheduler.from_config,
}

OnStep = Callable[..., Any]  # diffusers' callback_on_step_end


@dataclass(frozen=True, eq=False)
class Reference:
    """A diffusers pipeline, SDXL or SD1.5 by its folder, with a CPU generator of the seed."""

    pipeline: Any  # the two pipelines share no useful type

    def latents(self, request: Request) -> NDArray[np.float32]:
        """The final latent of a fully given request, float32 [4, height / 8, width / 8]."""
        latents: NDArray[np.float32] = self._run(request, "latent")[0].numpy()
        return latents

    def pixels(self, request: Request) -> NDArray[np.uint8]:
        """The picture, uint8 [height, width, 3]."""
        return np.asarray(self._run(request, "pil")[0])

    def latents_and_pixels(self, request: Request) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Both, of one run."""
        seen: list[torch.Tensor] = []

        def watch(pipeline: object, step: int, timestep: object, tensors: Any) -> Any:  # noqa: ANN401
            seen[:] = [tensors["latents"]]
            return tensors

        pixels = np.asarray(self._run(request, "pil", watch)[0])
        return seen[0][0].numpy(), pixels

    def _run(self, request: Request, output: str, watch: OnStep | None = None) -> Any:  # noqa: ANN401 (tensor or pictures)
        assert request.width and request.height and request.steps and request.sampler
        assert request.seed is not None and request.rng in (None, "CPU")
        pipeline, given = self._for(request)
        scheduler = SCHEDULERS[request.sampler](self.pipeline.scheduler.config)
        pipeline.scheduler = scheduler
        with torch.inference_mode():
            return pipeline(
                request.prompt,
                negative_prompt=request.negative_prompt,
                **given,
                num_inference_steps=request.steps,
                guidance_scale=request.guidance,
                clip_skip=request.clip_skip,
                generator=torch.Generator().manual_seed(request.seed),
                output_type=output,
                callback_on_step_end=watch,
            ).images

    def _for(self, request: Request) -> tuple[Any, dict[str, Any]]:
        """The pipeline with the same parts for what is asked, and what only it is given."""
        init, parts = request.init, dict(self.pipeline.components)
        size = {"width": request.width, "height": request.height}
        xl = isinstance(self.pipeline, StableDiffusionXLPipeline)
        if init is None:
            return self.pipeline, size
        more = {"add_watermarker": False} if xl else {"requires_safety_checker": False}
        given: dict[str, Any] = {"image": Image.fromarray(init.picture.read())}
        given["strength"] = init.strength
        pipeline: Any
        if init.mask is None:
            pipeline = StableDiffusionXLImg2ImgPipeline if xl else StableDiffusionImg2ImgPipeline
        else:
            pipeline = StableDiffusionXLInpaintPipeline if xl else StableDiffusionInpaintPipeline
            given |= {"mask_image": Image.fromarray(init.mask.picture.read_mask()), **size}
        made = pipeline(**parts, **more)
        made.set_progress_bar_config(disable=True)
        return made, given


def reference(folder: Path) -> Reference:
    """The pipeline of a diffusers folder, in float32, as its configs ask for."""
    with open_checkpoint(folder) as checkpoint:
        kind = checkpoint.family.kind
    parts: dict[str, Any] = {
        "unet": UNet2DConditionModel.from_pretrained(folder / "unet"),
        "vae": AutoencoderKL.from_pretrained(folder / "vae"),
        "scheduler": EulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        "text_encoder": CLIPTextModel.from_pretrained(folder / "text_encoder"),
        "tokenizer": clip_tokenizer("<|endoftext|>"),
    }
    make: Any
    if kind == "sdxl":
        make = StableDiffusionXLPipeline
        second = CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2")
        parts |= {"text_encoder_2": second, "tokenizer_2": clip_tokenizer("!")}
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        zeros = index.get("force_zeros_for_empty_prompt", True)
        parts |= {"add_watermarker": False, "force_zeros_for_empty_prompt": zeros}
    else:
        make = StableDiffusionPipeline
        parts |= {"safety_checker": None, "feature_extractor": None}
        parts |= {"requires_safety_checker": False}
        # For clip skip, diffusers looks for the final norm where older transformers had it.
        vars(parts["text_encoder"])["text_model"] = parts["text_encoder"]
    pipeline = make(**parts)
    pipeline.set_progress_bar_config(disable=True)
    return Reference(pipeline.to(torch.float32))


def clip_tokenizer(pad: str) -> CLIPTokenizer:
    """transformers' CLIP tokenizer, from the vocabulary that ships with Sakuga."""
    merges = clip_merges()
    kind: Any = CLIPTokenizer  # its annotations refuse pairs, which it takes
    tokenizer: CLIPTokenizer = kind(
        clip_vocabulary(merges), merges, pad_token=pad, model_max_length=CHUNK
    )
    return tokenizer
