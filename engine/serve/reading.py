"""`/v1/settings`: from a picture to the job that makes it again."""

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from sakuga.engine.errors import MetadataError, UsageError
from sakuga.engine.image.infotext import Infotext
from sakuga.engine.image.metadata import infotext_in, metadata_of
from sakuga.engine.refine.detail import Detail
from sakuga.engine.runtime.remake import remake_in_part
from sakuga.engine.runtime.remake_stages import Given
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stage_facts import usual_order, word_of
from sakuga.engine.runtime.stages import Stage
from sakuga.engine.serve.native import Name
from sakuga.engine.serve.served import Served, ServedBundle
from sakuga.profiles.buckets import Size

_SEEDS = ("seed", "variation_seed")
_USUAL = {each.name: each.default for each in fields(Request) if each.default is not MISSING}


def routes(served: Served) -> APIRouter:
    """`/v1/settings`."""
    router = APIRouter(tags=["jobs"])

    @router.post("/v1/settings")
    async def settings(
        picture: Annotated[bytes, Body(media_type="application/octet-stream")],
        bundle: Annotated[Name | None, Query()] = None,
    ) -> dict[str, Any]:
        """The settings in a PNG, JPEG or WebP: as text, as the `job` that makes the picture again,
        and in `notes` what keeps it from being the same.

        The job is for the bundle of the picture's model; where there is none, for the one asked
        for. Seeds are texts, for numbers of JavaScript end at 2⁵³.
        """
        try:
            found = metadata_of(picture)
            info = infotext_in(found, "the picture")
        except MetadataError as error:
            raise UsageError(error.what, note=error.note, hint=error.hint) from error
        chosen = _bundle(served, info, bundle)
        # Which backend it will be is not known before the engine has opened.
        backend = chosen.keeper.opened.backend if chosen.keeper.opened else info.backend or ""
        given = Given(tools=chosen.tools)
        made = remake_in_part(info, chosen.bundle, backend, chosen.prompts.embeddings, given)
        job = {"bundle": chosen.name} | _job(made.request)
        notes = [*made.notes, *_of_order(made.request.stages)]
        return {"parameters": found.parameters, "job": job, "notes": notes}

    return router


def _bundle(served: Served, info: Infotext, name: str | None) -> ServedBundle:
    asked = served.bundle(name)
    candidates = [asked, *served.bundles.values()]
    hashes = ((each, each.bundle.manifest.checkpoint.model_hash) for each in candidates)
    return next((each for each, known in hashes if known and known == info.model_hash), asked)


def _job(request: Request) -> dict[str, Any]:
    """Fields of a job's body; what is as usual is left out, and so is a picture to begin from, of
    which settings hold a hash alone."""
    told = {
        name: str(value) if isinstance(value, Size) or name in _SEEDS else value
        for name, value in vars(request).items()
        if value is not None and name not in ("init", "stages")
    }
    said = {name: value for name, value in told.items() if value != _USUAL.get(name, MISSING)}
    return said | (_stages(request.stages) if usual_order(request.stages) else {})


def _stages(stages: Sequence[Stage]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for stage in stages:
        if isinstance(stage, Detail):
            found.setdefault("detail", []).append(_said(stage))
        else:
            found[word_of(stage)] = _said(stage)
    return found


def _said(stage: Stage) -> dict[str, Any]:
    """What of a stage is not as usual, and what it cannot be without."""
    return {
        each.name: str(value) if isinstance(value, Size) else value
        for each in fields(stage)
        if (value := getattr(stage, each.name)) != each.default
    }


def _of_order(stages: Sequence[Stage]) -> list[str]:
    if usual_order(stages):
        return []
    return [f"A job has its stages in A1111's order, and not {', '.join(map(word_of, stages))}: "
            "they were left out."]  # fmt: skip
