"""What A1111's clients ask before they ask for pictures: models, samplers, options and the like."""

import base64
import binascii
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from sakuga.engine.errors import MetadataError, UsageError
from sakuga.engine.image.infotext_parser import parse_infotext
from sakuga.engine.image.metadata import metadata_of
from sakuga.engine.sampling.samplers import SAMPLERS
from sakuga.engine.sampling.schedules import AUTOMATIC, SCHEDULES
from sakuga.engine.serve.a1111 import Options
from sakuga.engine.serve.a1111_answers import model_hash, title_of
from sakuga.engine.serve.memory import memory
from sakuga.engine.serve.served import Served, ServedBundle
from sakuga.engine.text.embeddings import Embedding


class PngInfoBody(BaseModel):
    """A picture in base64, with or without `data:image/png;base64,` before it."""

    model_config = ConfigDict(extra="forbid")

    image: str


def routes(served: Served, options: Options) -> APIRouter:
    """`options`, `sd-models`, `samplers`, `schedulers`, `loras`, `embeddings`, `png-info`,
    `cmd-flags`, `memory`."""
    router = APIRouter(prefix="/sdapi/v1", tags=["a1111"])
    _add_options(router, options)
    _add_models(router, served, options)
    _add_names(router)
    _add_machine(router)
    return router


def _add_options(router: APIRouter, options: Options) -> None:
    @router.get("/options")
    async def read_options() -> dict[str, Any]:
        """Those there are."""
        return options.read()

    @router.post("/options")
    async def change_options(body: dict[str, Any]) -> None:
        """Choose the bundle that renders where a request names none."""
        options.change(body)


def _add_models(router: APIRouter, served: Served, options: Options) -> None:
    @router.get("/sd-models")
    async def models() -> list[dict[str, Any]]:
        """The bundles."""
        return [_model(bundle) for bundle in served.bundles.values()]

    @router.get("/loras")
    async def loras() -> list[dict[str, Any]]:
        """Those merged into the bundle that is chosen."""
        return [
            {"name": lora.name, "alias": lora.name, "path": lora.name, "metadata": {}}
            for lora in options.bundle.bundle.manifest.loras
        ]

    @router.get("/embeddings")
    async def embeddings() -> dict[str, Any]:
        """Those prompts may name."""
        usable = options.bundle.prompts.embeddings.usable
        return {"loaded": {each.name: _embedding(each) for each in usable}, "skipped": {}}


def _add_names(router: APIRouter) -> None:
    @router.get("/samplers")
    async def samplers() -> list[dict[str, Any]]:
        """By the names pictures tell."""
        return [
            {"name": each.label, "aliases": [name, *each.spellings], "options": {}}
            for name, each in SAMPLERS.items()
        ]

    @router.get("/schedulers")
    async def schedulers() -> list[dict[str, Any]]:
        """With the one that is the sampler's own."""
        usual = {"aliases": None, "default_rho": -1.0, "need_inner_model": False}
        named = [(AUTOMATIC.casefold(), AUTOMATIC)]
        named += [(name, each.label) for name, each in SCHEDULES.items()]
        return [{"name": name, "label": label, **usual} for name, label in named]


def _add_machine(router: APIRouter) -> None:
    @router.post("/png-info")
    async def png_info(body: PngInfoBody) -> dict[str, Any]:
        """The settings in a picture."""
        return _png_info(body.image)

    @router.get("/cmd-flags")
    async def flags() -> dict[str, Any]:
        """None that mean anything here."""
        return {"api": True}

    @router.get("/memory")
    async def read_memory() -> dict[str, Any]:
        """Of the machine; what the GPU's is used for is the engine's to know."""
        return memory()


def _model(bundle: ServedBundle) -> dict[str, Any]:
    checkpoint = bundle.bundle.manifest.checkpoint
    return {
        "title": title_of(bundle),
        "model_name": bundle.name,
        "hash": model_hash(bundle),
        "sha256": checkpoint.sha256,
        "filename": checkpoint.name,  # and not where it lies
        "config": None,
    }


def _embedding(embedding: Embedding) -> dict[str, Any]:
    return {
        "step": None,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
        "shape": next(iter(embedding.vectors.values())).shape[1],
        "vectors": embedding.count,
    }


def _png_info(image: str) -> dict[str, Any]:
    try:
        data = base64.b64decode(image.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError("image: it is not base64.", hint="Encode the picture's file.") from error
    try:
        text = metadata_of(data).parameters or ""
        parameters = vars(parse_infotext(text)) if text else {}
    except MetadataError as error:
        raise UsageError(error.what, note=error.note, hint=error.hint) from error
    told = {name: each for name, each in parameters.items() if each not in (None, {}, "")}
    return {"info": text, "items": {"parameters": text} if text else {}, "parameters": told}
