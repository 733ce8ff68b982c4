"""The native API: jobs that are asked for, followed, fetched and cancelled."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, HTTPException, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from sakuga.engine.image.formats import format_called
from sakuga.engine.runtime.request import Request
from sakuga.engine.serve.jobs import Event, Job, ServedPicture, Service
from sakuga.engine.serve.messages import Failed
from sakuga.engine.serve.sent import check_pictures
from sakuga.engine.serve.served import Served
from sakuga.engine.serve.stage_bodies import (
    MOST_DETAILS,
    DetailBody,
    HiresBody,
    InitBody,
    UpscaleBody,
    stages_of,
)
from sakuga.engine.serve.strict import Strict
from sakuga.profiles.buckets import Size

MOST_PICTURES = 16  # of one job
MOST_CHARACTERS = 1 << 14  # of a prompt
MEDIA_TYPES = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg"}

Prompt = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Name = Annotated[str, Field(max_length=200)]
Seed = Annotated[int, Field(ge=-1, lt=2**64)]
Share = Annotated[float, Field(ge=0, le=1)]


class JobBody(Strict):
    """A job: one picture, or `count` of one request. Fields are those of `sakuga.Request`."""

    prompt: Prompt
    negative_prompt: Prompt | None = None
    bundle: Name | None = None
    width: Annotated[int, Field(ge=1, le=1 << 14)] | None = None
    height: Annotated[int, Field(ge=1, le=1 << 14)] | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    guidance: Annotated[float, Field(ge=0, le=100)] | None = None
    guidance_interval: tuple[Share, Share] | None = None
    sampler: Name | None = None
    schedule: Name | None = None
    eta: Annotated[float, Field(ge=0, le=100)] | None = None
    s_noise: Annotated[float, Field(ge=0, le=100)] | None = None
    seed: Seed | None = None
    rng: Name | None = None
    variation_seed: Seed | None = None
    variation_strength: Share | None = None
    seed_resize: Annotated[str, Field(pattern=r"^\d{1,5}x\d{1,5}$")] | None = None
    ensd: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    compat: Literal["a1111", "comfy", "diffusers"] = "a1111"
    clip_skip: Annotated[int, Field(ge=0, le=100)] | None = None
    emphasis: Name | None = None
    pad_conds: bool = False
    prefix: Literal["preset", "none"] = "preset"
    init: InitBody | None = None
    hires: HiresBody | None = None
    detail: Annotated[list[DetailBody], Field(max_length=MOST_DETAILS)] = Field(
        default_factory=list[DetailBody]
    )
    upscale: UpscaleBody | None = None
    count: Annotated[int, Field(ge=1, le=MOST_PICTURES)] = 1
    format: Literal["png", "webp", "jpeg"] = "png"
    quality: Annotated[int, Field(ge=1, le=100)] | None = None
    preview_every: Annotated[int, Field(ge=0, le=1000)] = 0
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    deadline_s: Annotated[float, Field(gt=0, le=86400)] | None = None

    def request(self) -> Request:
        """What of it is the picture's. Raises UsageError."""
        given = self.model_dump(exclude=_NOT_THE_PICTURE)
        if self.seed_resize is not None:
            given["seed_resize"] = Size.parse(self.seed_resize)
        if self.init is not None:
            given["init"] = self.init.init()
        given["stages"] = stages_of(self.hires, self.detail, self.upscale)
        return Request(**given)

    def service(self) -> Service:
        """How it wants to be served. Raises UsageError."""
        format = format_called(self.format, self.quality)
        return Service(format, self.priority, self.deadline_s, self.preview_every)


_NOT_THE_PICTURE = {
    "bundle", "count", "format", "quality", "preview_every", "priority", "deadline_s",
    "init", "hires", "detail", "upscale",
}  # fmt: skip


def routes(served: Served) -> APIRouter:
    """`/v1/jobs` of what is served."""
    router = APIRouter(tags=["jobs"])
    _add_asking(router, served)
    _add_looking(router, served)
    return router


def _add_asking(router: APIRouter, served: Served) -> None:
    @router.post("/v1/jobs", status_code=202)
    async def submit(
        body: JobBody,
        response: Response,
        idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
    ) -> dict[str, Any]:
        """Ask for pictures. With an `Idempotency-Key` that was given before: the same job."""

        asked = body.request()
        if asked.init is not None:
            await check_pictures(asked.init, mask="init.mask.picture")

        def make() -> Job:
            requests = asked.times(body.count)
            return served.submit(served.bundle(body.bundle), requests, body.service())

        if idempotency_key is None:
            job = make()
        else:
            fingerprint = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
            job = served.jobs.once(idempotency_key, fingerprint, make)
        response.headers["location"] = f"/v1/jobs/{job.id}"
        return view(served, job)

    @router.delete("/v1/jobs/{id}")
    async def cancel(id: Name) -> dict[str, Any]:
        """Take what is left of it off the device."""
        job = find(served, id)
        served.cancel(job)
        return view(served, job)


def _add_looking(router: APIRouter, served: Served) -> None:
    @router.get("/v1/jobs/{id}")
    async def look(id: Name) -> dict[str, Any]:
        """How far a job is, and how many pictures are `ahead` of it."""
        job = find(served, id)
        return view(served, job) | {"ahead": served.ahead(job)}

    @router.get("/v1/jobs/{id}/events")
    async def follow(id: Name) -> StreamingResponse:
        """Server-sent events until the job is over: `job`, `step`, `preview`."""
        job = find(served, id)
        return StreamingResponse(_events(served, job), media_type="text/event-stream",
                                 headers={"cache-control": "no-store"})  # fmt: skip

    @router.get("/v1/jobs/{id}/pictures/{index}", responses={200: {"content": _PICTURES}})
    async def fetch(id: Name, index: Annotated[int, Field(ge=0)]) -> Response:
        """A finished picture's file."""
        job = find(served, id)
        made = job.pictures[index].made if index < len(job.pictures) else None
        if made is None:
            raise HTTPException(404, "There is no such picture, or not yet.")
        return Response(made.data, media_type=MEDIA_TYPES[job.service.format.suffix])


_PICTURES: dict[str, Any] = {kind: {} for kind in MEDIA_TYPES.values()}


def find(served: Served, id: str) -> Job:
    """The job of an id. Raises HTTPException 404."""
    job = served.jobs.get(id)
    if job is None:
        raise HTTPException(404, "There is no such job, or no longer.")
    return job


def view(served: Served, job: Job) -> dict[str, Any]:
    """A job as JSON."""
    return {
        "id": job.id,
        "bundle": job.bundle,
        "state": job.state,
        "created": job.created,
        "finished": job.finished,
        "eta_s": job.eta_s,
        "pictures": [_picture_view(served, job, picture) for picture in job.pictures],
        "error": error_view(served, job.error),
    }


def error_view(served: Served, error: Failed | None) -> dict[str, str] | None:
    """An error as JSON, with no path of this machine in it."""
    if error is None:
        return None
    told = served.discretion.error(error)
    return {"kind": told.kind, "what": told.what, "note": told.note, "hint": told.hint}


def _picture_view(served: Served, job: Job, picture: ServedPicture) -> dict[str, Any]:
    made, index = picture.made, picture.id[1]
    return {
        "index": index,
        "state": picture.state,
        "step": picture.step,
        "steps": picture.total,
        "seed": picture.settings.seed,
        "url": None if made is None else f"/v1/jobs/{job.id}/pictures/{index}",
        "parameters": None if made is None else made.parameters,
        "notes": [] if made is None else list(made.notes),
        "error": error_view(served, picture.error),
    }


async def _events(served: Served, job: Job) -> AsyncIterator[str]:
    events = job.events()
    yield _event("job", view(served, job))
    async for event in events:
        picture = job.pictures[event.index]
        if event.kind == "preview" and picture.preview is not None:
            yield _event("preview", _preview_view(event, picture))
        elif event.kind == "step":
            yield _event("step", {
                "index": event.index, "step": picture.step, "steps": picture.total,
                "eta_s": job.eta_s,
            })  # fmt: skip
        elif event.kind == "state":
            yield _event("job", view(served, job))


def _preview_view(event: Event, picture: ServedPicture) -> dict[str, Any]:
    assert picture.preview is not None
    jpeg = base64.b64encode(picture.preview).decode()
    return {"index": event.index, "step": picture.step, "jpeg": jpeg}


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
