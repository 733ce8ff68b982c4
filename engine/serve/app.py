"""The HTTP application: everything that is served, under one guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from sakuga.engine.errors import (
    DeadlineError,
    EngineFault,
    OverloadedError,
    SakugaError,
    UsageError,
)
from sakuga.engine.serve import health, native
from sakuga.engine.serve.guard import MAX_BODY_BYTES, RETRY_AFTER_S, Guard
from sakuga.engine.serve.served import Served
from sakuga.engine.version import VERSION

_STATUSES = ((UsageError, 422), (OverloadedError, 429), (DeadlineError, 504), (EngineFault, 503))
_MOST_FAULTS = 5
_WORKS = frozenset({"/v1/jobs"})


@dataclass(frozen=True)
class AppOptions:
    """`token`: what clients must show, None for nothing. `max_body_bytes` of a request."""

    token: str | None = None
    max_body_bytes: int = MAX_BODY_BYTES


def create_app(served: Served, options: AppOptions) -> FastAPI:
    """The application; its engines start and stop with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        served.start()
        try:
            yield
        finally:
            await served.close()

    app = FastAPI(title="Sakuga", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_exception_handler(SakugaError, answer_error)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.include_router(health.routes(served))
    app.include_router(native.routes(served))
    app.add_middleware(
        Guard,
        served=served,
        token=options.token,
        works=_WORKS,
        max_bytes=options.max_body_bytes,
    )
    return app


async def answer_error(_: Request, error: Exception) -> Response:
    """An error of Sakuga's own as JSON, with the status that fits it."""
    assert isinstance(error, SakugaError)
    return JSONResponse(
        {"error": error_body(error)}, status_of(error), headers=retry_headers(error)
    )


async def answer_invalid(_: Request, error: Exception) -> Response:
    """What is wrong with a request's fields; what was in them is not repeated."""
    assert isinstance(error, RequestValidationError)
    found = [
        f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}"
        for each in error.errors()[:_MOST_FAULTS]
    ]
    what = "The request cannot be read." if not found else f"{'; '.join(found)}."
    return JSONResponse({"error": error_body(UsageError(what))}, 422)


def error_body(error: SakugaError) -> dict[str, Any]:
    """Its parts."""
    kind = type(error).__name__
    return {"kind": kind, "what": error.what, "note": error.note, "hint": error.hint}


def status_of(error: SakugaError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def retry_headers(error: SakugaError) -> dict[str, str]:
    """When to come again, for whoever was turned away."""
    if not isinstance(error, OverloadedError):
        return {}
    return {"retry-after": str(max(ceil(error.retry_after_s or 0), RETRY_AFTER_S))}
