"""OpenAI's images API: what its clients know, and what they can add of Sakuga's own.

Source: OpenAI's API reference, "Create image" and "Image generation streaming".
"""

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from sakuga.engine.errors import UsageError
from sakuga.engine.image.formats import format_called
from sakuga.engine.runtime.request import Request as PictureRequest
from sakuga.engine.serve.jobs import Event, Job, ServedPicture, Service
from sakuga.engine.serve.native import Name, Prompt, Seed
from sakuga.engine.serve.served import Served, ServedBundle
from sakuga.engine.serve.strict import Strict
from sakuga.engine.serve.waiting import as_error, finish
from sakuga.profiles.buckets import Size

Output = Literal["png", "webp", "jpeg"]
_GUIDANCE = Annotated[float, Field(ge=0, le=100)]


class GenerationBody(Strict):
    """OpenAI's fields; behind them Sakuga's. `quality`, `style`, `moderation` and `user` mean
    nothing to these models and are taken as they are."""

    prompt: Prompt
    model: Name | None = None
    n: Annotated[int, Field(ge=1, le=10)] | None = 1
    size: Annotated[str, Field(pattern=r"^(auto|\d{1,5}x\d{1,5})$")] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    output_format: Output | None = None
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    background: Literal["auto", "opaque", "transparent"] | None = None
    stream: bool | None = False
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = 0
    quality: Name | None = None
    style: Name | None = None
    moderation: Name | None = None
    user: Name | None = None

    negative_prompt: Prompt | None = None
    seed: Seed | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    guidance: _GUIDANCE | None = None
    guidance_scale: _GUIDANCE | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    sampler: Name | None = None
    schedule: Name | None = None
    compat: Literal["a1111", "comfy", "diffusers"] = "a1111"

    def request(self) -> PictureRequest:
        """What of it is the picture's. Raises UsageError."""
        size = Size.parse(self.size) if self.size and self.size != "auto" else None
        return PictureRequest(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            width=None if size is None else size.width,
            height=None if size is None else size.height,
            steps=_one_of("steps", self.steps, "num_inference_steps", self.num_inference_steps),
            guidance=_one_of("guidance", self.guidance, "guidance_scale", self.guidance_scale),
            sampler=self.sampler,
            schedule=self.schedule,
            seed=self.seed,
            compat=self.compat,
        )

    def service(self, bundle: ServedBundle, wanted: PictureRequest) -> Service:
        """How that wants to be served, by which bundle. Raises UsageError, SizeError."""
        if self.background == "transparent":
            raise UsageError(
                "background: these models paint no transparent pictures.",
                hint="Leave background out, or say opaque.",
            )
        output = self.output_format or "png"
        if output == "png" and self.output_compression not in (None, 100):
            raise UsageError(
                "output_compression: a PNG keeps every pixel.",
                hint="Leave it out, or ask for output_format webp or jpeg.",
            )
        quality = None if output == "png" else self.output_compression
        format = format_called(output, None if quality is None else max(quality, 1))
        if not (self.partial_images and self.stream):
            return Service(format)
        evaluations = bundle.resolver()(wanted).table.evaluations
        return Service(format, preview_every=evaluations // (self.partial_images + 1))


def routes(served: Served) -> APIRouter:
    """`/v1/images/generations` and `/v1/models`."""
    router = APIRouter(tags=["openai"])

    @router.post("/v1/images/generations", response_model=None)
    async def generate(body: GenerationBody, request: Request) -> Response | dict[str, Any]:
        """Pictures of a prompt, all at once or with partial pictures on the way."""
        return await answer(served, body, body.request(), request, "image_generation")

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The bundles, as models."""
        return {"object": "list", "data": [_model(served, name) for name in served.bundles]}

    @router.get("/v1/models/{id}")
    async def model(id: Name) -> dict[str, Any]:
        """One of them."""
        if id not in served.bundles:
            raise HTTPException(404, f"There is no model called {id!r} here.")
        return _model(served, id)

    return router


async def answer(
    served: Served, body: GenerationBody, wanted: PictureRequest, request: Request, events: str
) -> Response | dict[str, Any]:
    """Render what a body asks for, and answer it. `events`: how the names of its events begin."""
    bundle = served.bundle(body.model)
    service = body.service(bundle, wanted)
    job = served.submit(bundle, wanted.times(body.n or 1), service)
    if body.stream:
        stream = _stream(served, job, job.events(), body, events)
        return StreamingResponse(stream, media_type="text/event-stream")
    urls = str(request.base_url) if body.response_format == "url" else None
    try:
        await finish(request, served, job)
        return _answer(job, body, urls)
    finally:
        if urls is None:  # the answer has all of it, and nobody else knows of the job
            served.jobs.forget(job)


def _answer(job: Job, body: GenerationBody, urls: str | None) -> dict[str, Any]:
    return {
        "created": int(job.created),
        "output_format": body.output_format or "png",
        "size": str(job.pictures[0].settings.size),
        "data": [_datum(job, picture, urls) for picture in job.pictures],
    }


def _one_of(name: str, value: Any, other: str, same: Any) -> Any:  # noqa: ANN401
    if value is not None and same is not None and value != same:
        raise UsageError(f"{name} and {other} say two things.", hint="Give one of them.")
    return same if value is None else value


def _datum(job: Job, picture: ServedPicture, urls: str | None) -> dict[str, Any]:
    assert picture.made is not None
    common = {"seed": picture.settings.seed, "parameters": picture.made.parameters}
    if urls is not None:
        path = f"v1/jobs/{job.id}/pictures/{picture.id[1]}"
        return {"url": f"{urls}{path}", **common}
    return {"b64_json": base64.b64encode(picture.made.data).decode(), **common}


async def _stream(
    served: Served, job: Job, events: AsyncIterator[Event], body: GenerationBody, kind: str
) -> AsyncIterator[str]:
    try:
        seen = 0
        async for event in events:
            picture = job.pictures[event.index]
            if event.kind == "preview" and picture.preview and seen < (body.partial_images or 0):
                yield _event(f"{kind}.partial_image", picture.preview, job, "jpeg", seen)
                seen += 1
            elif event.kind == "state" and picture.made is not None:
                output = body.output_format or "png"
                yield _event(f"{kind}.completed", picture.made.data, job, output, None)
        if job.error is not None:
            yield _error_event(served, job)
    finally:
        if not job.over:
            served.cancel(job)
        served.jobs.forget(job)


def _event(kind: str, data: bytes, job: Job, output: str, index: int | None) -> str:
    fields = {
        "type": kind,
        "b64_json": base64.b64encode(data).decode(),
        "created_at": int(time.time()),
        "size": str(job.pictures[0].settings.size),
        "quality": "auto",
        "background": "opaque",
        "output_format": output,
    }
    if index is not None:
        fields["partial_image_index"] = index
    return f"event: {kind}\ndata: {json.dumps(fields)}\n\n"


def _error_event(served: Served, job: Job) -> str:
    assert job.error is not None
    error = as_error(served.discretion.error(job.error))
    fields = {"type": "error", "error": {"message": str(error), "type": "server_error"}}
    return f"event: error\ndata: {json.dumps(fields)}\n\n"


def _model(served: Served, name: str) -> dict[str, Any]:
    created = int((served.bundles[name].bundle.path / "manifest.json").stat().st_mtime)
    return {"id": name, "object": "model", "created": created, "owned_by": "sakuga"}
