"""A1111's web API, as far as this engine goes; what lies beyond is refused by name.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/api/api.py and models.py.
"""

import base64
import json
import time
from typing import Any

from fastapi import APIRouter, Request

from sakuga.engine.errors import UsageError
from sakuga.engine.image.formats import PNG
from sakuga.engine.serve.a1111_body import Txt2ImgBody
from sakuga.engine.serve.jobs import Job, Service
from sakuga.engine.serve.served import Served, ServedBundle
from sakuga.engine.serve.waiting import finish
from sakuga.engine.version import VERSION

PREVIEW_EVERY = 5


class Options:
    """What `/sdapi/v1/options` can change: which bundle renders where a request says nothing."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.bundle = served.bundle(None)

    def find(self, name: object) -> ServedBundle:
        """By name, title or hash. Raises UsageError."""
        for bundle in self._served.bundles.values():
            if name in (bundle.name, title_of(bundle), model_hash(bundle)):
                return bundle
        return self._served.bundle(str(name))

    def read(self) -> dict[str, Any]:
        """As A1111 tells them."""
        return {
            "sd_model_checkpoint": title_of(self.bundle),
            "sd_checkpoint_hash": self.bundle.bundle.manifest.checkpoint.sha256,
            "sd_vae": "Automatic",
            "CLIP_stop_at_last_layers": clip_skip_of(self.bundle) or 1,
            "samples_format": "png",
        }

    def change(self, options: dict[str, Any]) -> None:
        """Choose another bundle. Raises UsageError for what cannot be changed."""
        here = self.read()
        for name, value in options.items():
            if name != "sd_model_checkpoint" and (name not in here or here[name] != value):
                raise UsageError(
                    f"The option {name[:80]} cannot be changed here.",
                    hint="Say it in the request, with override_settings.",
                )
        if "sd_model_checkpoint" in options:
            self.bundle = self.find(options["sd_model_checkpoint"])


def routes(served: Served, options: Options) -> APIRouter:
    """Pictures, how far they are, and their end."""
    router = APIRouter(prefix="/sdapi/v1", tags=["a1111"])
    mine: list[Job] = []  # what this dialect asked for, for progress and interrupt

    @router.post("/txt2img")
    async def txt2img(body: Txt2ImgBody, request: Request) -> dict[str, Any]:
        """Pictures of a prompt, when all are there."""
        chosen = body.override_settings and body.override_settings.sd_model_checkpoint
        bundle = options.bundle if chosen is None else options.find(chosen)
        count = body.batch_size * body.n_iter
        wanted = body.request(clip_skip_of(bundle)).times(count)
        job = served.submit(bundle, wanted, Service(PNG, preview_every=PREVIEW_EVERY))
        mine[:] = [each for each in mine if not each.over] + [job]
        try:
            await finish(request, served, job)
        finally:
            served.jobs.forget(job)  # the answer has all of it, and nobody else knows of the job
        made = [picture.made for picture in job.pictures if picture.made is not None]
        images = [base64.b64encode(each.data).decode() for each in made] if body.send_images else []
        return {
            "images": images,
            "parameters": body.model_dump(),
            "info": json.dumps(_info(job, bundle, body)),
        }

    @router.get("/progress")
    async def progress(skip_current_image: bool = False) -> dict[str, Any]:
        """Of the oldest request of this dialect that is under way."""
        under_way = [job for job in mine if not job.over]
        return _progress(under_way, with_image=not skip_current_image)

    @router.post("/interrupt")
    async def interrupt() -> dict[str, Any]:
        """Stop what this dialect has under way; its callers get an error instead of pictures."""
        for job in mine:
            served.cancel(job)
        return {}

    @router.post("/skip")
    async def skip() -> dict[str, Any]:
        """The same, of the oldest alone."""
        for job in [job for job in mine if not job.over][:1]:
            served.cancel(job)
        return {}

    return router


def title_of(bundle: ServedBundle) -> str:
    """What A1111 calls a checkpoint: its name and its hash."""
    return f"{bundle.name} [{model_hash(bundle)}]"


def model_hash(bundle: ServedBundle) -> str | None:
    """The first ten digits of the checkpoint's SHA-256."""
    return bundle.bundle.manifest.checkpoint.model_hash


def clip_skip_of(bundle: ServedBundle) -> int | None:
    """Where nothing else is asked for: the preset's."""
    return None if bundle.preset is None else bundle.preset.clip_skip


def _info(job: Job, bundle: ServedBundle, body: Txt2ImgBody) -> dict[str, Any]:
    settings = [picture.settings for picture in job.pictures]
    noises = [each.noise for each in settings]
    texts = [picture.made.parameters for picture in job.pictures if picture.made is not None]
    return {
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
        "denoising_strength": None,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": texts,
        "styles": [],
        "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(job.created)),
        "clip_skip": settings[0].clip_skip or 1,
        "is_using_inpainting_conditioning": False,
        "version": f"sakuga {VERSION}",
    }


def _progress(jobs: list[Job], with_image: bool) -> dict[str, Any]:
    job = jobs[0] if jobs else None
    pictures = job.pictures if job else []
    done = sum(each.step for each in pictures)
    total = sum(each.total for each in pictures)
    previews = [each.preview for each in pictures if each.preview is not None]
    shown = base64.b64encode(previews[-1]).decode() if previews and with_image else None
    current = next((each for each in pictures if each.state == "running"), None)
    return {
        "progress": done / total if total else 0.0,
        "eta_relative": (job.eta_s or 0.0) if job else 0.0,
        "state": {
            "skipped": False,
            "interrupted": False,
            "stopping_generation": False,
            "job": job.id if job else "",
            "job_count": len(jobs),
            "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(job.created))
            if job
            else "0",
            "job_no": 0,
            "sampling_step": current.step if current else 0,
            "sampling_steps": current.total if current else 0,
        },
        "current_image": shown,
        "textinfo": None,
    }
