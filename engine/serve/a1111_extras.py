"""A1111's extras: pictures that are enlarged and not sampled, and what can enlarge them.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/api/models.py and
scripts/postprocessing_upscale.py.
"""

import asyncio
import base64
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from sakuga.engine.errors import MetadataError, UsageError
from sakuga.engine.image.formats import PNG
from sakuga.engine.image.metadata import metadata_of
from sakuga.engine.image.source import Source
from sakuga.engine.refine.latents import LATENT_UPSCALERS
from sakuga.engine.refine.upscaler import target_size
from sakuga.engine.runtime.stage_facts import UPSCALE, UPSCALER
from sakuga.engine.serve.a1111 import Asked, Options
from sakuga.engine.serve.a1111_adetailer import SCRIPT
from sakuga.engine.serve.enlargement import Enlargement
from sakuga.engine.serve.jobs import Service
from sakuga.engine.serve.native import Name
from sakuga.engine.serve.sent import decoded, picture_in
from sakuga.engine.serve.served import Served
from sakuga.engine.serve.strict import Strict
from sakuga.profiles.buckets import Size

MOST_IMAGES = 16
_NONE = ("None", "", None)
Side = Annotated[int, Field(ge=1, le=1 << 14)]


class ExtrasBody(Strict):
    """What of extras goes for one picture and for many."""

    resize_mode: Annotated[int, Field(ge=0, le=1)] = 0
    show_extras_results: bool = True
    gfpgan_visibility: float = 0
    codeformer_visibility: float = 0
    codeformer_weight: float = 0
    upscaling_resize: Annotated[float, Field(ge=1, le=8)] = 2
    upscaling_resize_w: Side = 512
    upscaling_resize_h: Side = 512
    upscaling_crop: bool = True
    upscaler_1: Name | None = "None"
    upscaler_2: Name | None = "None"
    extras_upscaler_2_visibility: float = 0
    upscale_first: bool = False

    def enlargement(self, image: str, field: str) -> Enlargement:
        """What is to be done with a picture. Raises UsageError, PictureFileError."""
        self._check()
        picture = picture_in(image, field)
        size = picture.size
        settings = _settings_in(picture)
        if self.upscaler_1 in _NONE:  # A1111 then leaves it as it is
            return Enlargement(picture, "nearest", size, size, settings)
        enlarged, wanted = self._sizes(size)
        scale = f"{self.upscaling_resize:g}" if self.resize_mode == 0 else f"{wanted}"
        key = UPSCALE if self.resize_mode == 0 else "Postprocess upscale to"
        told = f"{key}: {scale}, {UPSCALER}: {self.upscaler_1}"
        settings = f"{settings}, {told}" if settings else told
        return Enlargement(picture, str(self.upscaler_1), enlarged, wanted, settings)

    def _sizes(self, size: Size) -> tuple[Size, Size]:
        """Of the enlarged picture, and of what is cut out of it. Mode 1 covers the size asked for
        exactly, where A1111, which goes by eights, may leave a black rim."""
        if self.resize_mode == 0:
            enlarged = target_size(size, self.upscaling_resize)
            return enlarged, enlarged
        asked = Size(self.upscaling_resize_w, self.upscaling_resize_h)
        scale = max(asked.width / size.width, asked.height / size.height)
        enlarged = Size(
            max(asked.width, round(size.width * scale)),
            max(asked.height, round(size.height * scale)),
        )
        return enlarged, asked if self.upscaling_crop else enlarged

    def _check(self) -> None:
        off = {
            "upscaler_2": self.upscaler_2 in _NONE,
            "gfpgan_visibility": self.gfpgan_visibility == 0,
            "codeformer_visibility": self.codeformer_visibility == 0,
        }
        for name, is_off in off.items():
            if not is_off:
                raise UsageError(f"{name} is not followed here.", hint=f"Leave {name} out.")


class SingleBody(ExtrasBody):
    """One picture."""

    image: str = ""


class NamedImage(Strict):
    """A picture in base64 and what it is called."""

    data: str
    name: Name = ""


class BatchBody(ExtrasBody):
    """Several."""

    imageList: Annotated[list[NamedImage], Field(min_length=1, max_length=MOST_IMAGES)]


def routes(served: Served, options: Options, asked: Asked) -> APIRouter:
    """`extra-single-image`, `extra-batch-images`, and lists of what they can be asked for."""
    router = APIRouter(prefix="/sdapi/v1", tags=["a1111"])
    _add_enlarging(router, served, options, asked)
    _add_lists(router, options)
    return router


def _add_enlarging(router: APIRouter, served: Served, options: Options, asked: Asked) -> None:
    async def enlarged(wanted: list[Enlargement], request: Request) -> list[str]:
        for each in wanted:
            options.bundle.tools.upscalers.check(each.upscaler)
        await asyncio.gather(*(decoded(each.picture.read, "image") for each in wanted))
        job = served.enlarge(options.bundle, wanted, Service(PNG))
        made = await asked.wait(request, job)
        return [base64.b64encode(each.data).decode() for each in made]

    @router.post("/extra-single-image")
    async def single(body: SingleBody, request: Request) -> dict[str, Any]:
        """A picture, enlarged."""
        wanted = body.enlargement(body.image, "image")
        (image,) = await enlarged([wanted], request)
        return {"html_info": wanted.parameters, "image": image}

    @router.post("/extra-batch-images")
    async def batch(body: BatchBody, request: Request) -> dict[str, Any]:
        """Pictures, enlarged."""
        wanted = [
            body.enlargement(each.data, f"imageList.{at}") for at, each in enumerate(body.imageList)
        ]
        images = await enlarged(wanted, request)
        return {"html_info": wanted[0].parameters, "images": images}


def _add_lists(router: APIRouter, options: Options) -> None:
    @router.get("/upscalers")
    async def upscalers() -> list[dict[str, Any]]:
        """What enlarges pictures: of the folder and without one."""
        usual = {"model_name": None, "model_path": None, "model_url": None, "scale": 4}
        return [
            {"name": each} | usual for each in ("None", *options.bundle.tools.upscalers.names())
        ]

    @router.get("/latent-upscale-modes")
    async def latent_upscale_modes() -> list[dict[str, str]]:
        """What enlarges latents."""
        return [{"name": each.label} for each in LATENT_UPSCALERS.values()]

    @router.get("/scripts")
    async def scripts() -> dict[str, list[str]]:
        """ADetailer, where there is a detector."""
        found = [SCRIPT.casefold()] if options.bundle.tools.detectors.names() else []
        return {"txt2img": found, "img2img": found}


def _settings_in(picture: Source) -> str:
    """Those it was made with, which stay in the file; none where there are none to read."""
    assert isinstance(picture.origin, bytes)
    try:
        return metadata_of(picture.origin).parameters or ""
    except MetadataError:
        return ""
