"""What A1111 answers about pictures: `info`, and how far they are."""

import json
import time
from typing import Any

from sakuga.engine.runtime.settings import Settings
from sakuga.engine.serve.a1111_body import Img2ImgBody, PictureBody, Txt2ImgBody
from sakuga.engine.serve.jobs import Job
from sakuga.engine.serve.served import ServedBundle
from sakuga.engine.version import VERSION


def title_of(bundle: ServedBundle) -> str:
    """What A1111 calls a checkpoint: its name and its hash."""
    return f"{bundle.name} [{model_hash(bundle)}]"


def model_hash(bundle: ServedBundle) -> str | None:
    """The first ten digits of the checkpoint's SHA-256."""
    return bundle.bundle.manifest.checkpoint.model_hash


def parameters_of(body: PictureBody) -> dict[str, Any]:
    """The request, as A1111 gives it back: of pictures only where that is asked for."""
    told = body.model_dump()
    if isinstance(body, Img2ImgBody) and not body.include_init_images:
        told |= {"init_images": None, "mask": None}
    return told


def info_of(job: Job, bundle: ServedBundle, body: PictureBody) -> str:
    """`info`: JSON in a text."""
    settings = [each.settings for each in job.pictures if isinstance(each.settings, Settings)]
    noises = [each.noise for each in settings]
    texts = [picture.made.parameters for picture in job.pictures if picture.made is not None]
    return json.dumps({
        "prompt": settings[0].prompt,
        "all_prompts": [each.prompt for each in settings],
        "negative_prompt": body.negative_prompt,
        "all_negative_prompts": [body.negative_prompt] * len(settings),
        "seed": settings[0].seed,
        "all_seeds": [each.seed for each in settings],
        "subseed": noises[0].variation_seed or 0,
        "all_subseeds": [each.variation_seed or 0 for each in noises],
        "subseed_strength": body.subseed_strength,
        "width": body.width,
        "height": body.height,
        "sampler_name": body.sampler_name or body.sampler_index or "Euler a",
        "cfg_scale": body.cfg_scale,
        "steps": body.steps,
        "batch_size": body.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": bundle.name,
        "sd_model_hash": model_hash(bundle),
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": body.seed_resize_from_w,
        "seed_resize_from_h": body.seed_resize_from_h,
        "denoising_strength": _strength(body),
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": texts,
        "styles": [],
        "job_timestamp": _timestamp(job),
        "clip_skip": settings[0].clip_skip or 1,
        "is_using_inpainting_conditioning": False,
        "version": f"sakuga {VERSION}",
    })  # fmt: skip


def progress_of(jobs: list[Job], shown: str | None) -> dict[str, Any]:
    """Of the first of them. `shown`: a picture in base64."""
    job = jobs[0] if jobs else None
    pictures = job.pictures if job else []
    done = sum(each.step for each in pictures)
    total = sum(each.total for each in pictures)
    current = next((each for each in pictures if each.state == "running"), None)
    return {
        "progress": min(done / total, 1.0) if total else 0.0,
        "eta_relative": (job.eta_s or 0.0) if job else 0.0,
        "state": {
            "skipped": False,
            "interrupted": False,
            "stopping_generation": False,
            "job": job.id if job else "",
            "job_count": len(jobs),
            "job_timestamp": _timestamp(job) if job else "0",
            "job_no": 0,
            "sampling_step": current.step if current else 0,
            "sampling_steps": current.total if current else 0,
        },
        "current_image": shown,
        "textinfo": None,
    }


def _strength(body: PictureBody) -> float | None:
    if isinstance(body, Img2ImgBody):
        return body.denoising_strength
    return body.denoising_strength if isinstance(body, Txt2ImgBody) and body.enable_hr else None


def _timestamp(job: Job) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.localtime(job.created))
