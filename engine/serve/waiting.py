"""Answers that come when a job is over, to clients that may have gone by then."""

import asyncio

from fastapi import HTTPException, Request

from sakuga.engine.errors import (
    DeadlineError,
    EngineFault,
    OverloadedError,
    PictureFileError,
    RenderError,
    SakugaError,
    SizeError,
    UsageError,
)
from sakuga.engine.serve.jobs import Job
from sakuga.engine.serve.messages import Failed
from sakuga.engine.serve.served import Served

_KINDS = {
    kind.__name__: kind
    for kind in (
        UsageError,
        SizeError,
        PictureFileError,
        RenderError,
        DeadlineError,
        OverloadedError,
        EngineFault,
    )
}


async def finish(request: Request, served: Served, job: Job) -> None:
    """Until a job is over. If its client goes away first, it is taken off the device.

    Raises what kept it from being made; HTTPException 409 where somebody else cancelled it.
    """
    over = asyncio.ensure_future(job.wait())
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({over, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        over.cancel()
        gone.cancel()
        if not job.over:
            served.cancel(job)
    if job.error is not None:
        raise as_error(job.error)
    if job.state == "cancelled":
        raise HTTPException(409, "The pictures were cancelled.")


def as_error(failed: Failed) -> SakugaError:
    """The error an engine process told of."""
    kind = _KINDS.get(failed.kind, RenderError)
    return kind(failed.what, note=failed.note, hint=failed.hint)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
