"""A1111's web API, as far as this engine goes; what lies beyond is refused by name.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/api/api.py and models.py.
"""

import base64
from typing import Any

from fastapi import APIRouter, Request

from sakuga.engine.errors import UsageError
from sakuga.engine.image.formats import PNG
from sakuga.engine.runtime.request import Request as PictureRequest
from sakuga.engine.serve.a1111_answers import (
    info_of,
    model_hash,
    parameters_of,
    progress_of,
    title_of,
)
from sakuga.engine.serve.a1111_body import Img2ImgBody, PictureBody, Txt2ImgBody
from sakuga.engine.serve.jobs import Job, Service
from sakuga.engine.serve.messages import Made
from sakuga.engine.serve.sent import check_pictures
from sakuga.engine.serve.served import Served, ServedBundle
from sakuga.engine.serve.waiting import finish

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

    def of(self, body: PictureBody) -> ServedBundle:
        """The one a request wants. Raises UsageError."""
        chosen = body.override_settings and body.override_settings.sd_model_checkpoint
        return self.bundle if chosen is None else self.find(chosen)

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


class Asked:
    """The jobs of this dialect, for `progress` and `interrupt`."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._jobs: list[Job] = []

    @property
    def under_way(self) -> list[Job]:
        """Those that are not over, the oldest first."""
        return [job for job in self._jobs if not job.over]

    async def wait(self, request: Request, job: Job) -> list[Made]:
        """All files of a job, once it is over, and then it is forgotten. Raises as `finish`."""
        self._jobs[:] = [*self.under_way, job]
        try:
            await finish(request, self._served, job)
        finally:
            self._served.jobs.forget(job)  # the answer has all of it, and nobody knows of the job
        return [picture.made for picture in job.pictures if picture.made is not None]


def routes(served: Served, options: Options, asked: Asked) -> APIRouter:
    """Pictures, how far they are, and their end."""
    router = APIRouter(prefix="/sdapi/v1", tags=["a1111"])
    _add_pictures(router, served, options, asked)
    _add_control(router, served, asked)
    return router


def _add_pictures(router: APIRouter, served: Served, options: Options, asked: Asked) -> None:
    async def answer(
        body: PictureBody, bundle: ServedBundle, wanted: PictureRequest, request: Request
    ) -> dict[str, Any]:
        count = body.batch_size * body.n_iter
        service = Service(PNG, preview_every=PREVIEW_EVERY)
        job = served.submit(bundle, wanted.times(count), service)
        made = await asked.wait(request, job)
        images = [base64.b64encode(each.data).decode() for each in made] if body.send_images else []
        return {
            "images": images,
            "parameters": parameters_of(body),
            "info": info_of(job, bundle, body),
        }

    @router.post("/txt2img")
    async def txt2img(body: Txt2ImgBody, request: Request) -> dict[str, Any]:
        """Pictures of a prompt, when all are there."""
        bundle = options.of(body)
        return await answer(body, bundle, body.request(clip_skip_of(bundle)), request)

    @router.post("/img2img")
    async def img2img(body: Img2ImgBody, request: Request) -> dict[str, Any]:
        """Pictures of a picture, when all are there."""
        bundle = options.of(body)
        wanted = body.request(clip_skip_of(bundle))
        assert wanted.init is not None
        await check_pictures(wanted.init, "init_images", "mask")
        return await answer(body, bundle, wanted, request)


def _add_control(router: APIRouter, served: Served, asked: Asked) -> None:
    @router.get("/progress")
    async def progress(skip_current_image: bool = False) -> dict[str, Any]:
        """Of the oldest request of this dialect that is under way."""
        jobs = asked.under_way
        previews = [each.preview for each in jobs[0].pictures if each.preview] if jobs else []
        shown = base64.b64encode(previews[-1]).decode() if previews else None
        return progress_of(jobs, None if skip_current_image else shown)

    @router.post("/interrupt")
    async def interrupt() -> dict[str, Any]:
        """Stop what this dialect has under way; its callers get an error instead of pictures."""
        for job in asked.under_way:
            served.cancel(job)
        return {}

    @router.post("/skip")
    async def skip() -> dict[str, Any]:
        """The same, of the oldest alone."""
        for job in asked.under_way[:1]:
            served.cancel(job)
        return {}


def clip_skip_of(bundle: ServedBundle) -> int | None:
    """Where nothing else is asked for: the preset's."""
    return None if bundle.preset is None else bundle.preset.clip_skip
