"""Errors as HTTP answers, in one form that every dialect's clients can read.

`error` has Sakuga's own parts (kind, what, note, hint) and OpenAI's (message, type, param, code);
`detail` is what A1111's clients look for.
"""

from math import ceil
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sakuga.engine.errors import (
    DeadlineError,
    EngineFault,
    OverloadedError,
    SakugaError,
    UsageError,
)
from sakuga.engine.serve.discretion import Discretion

RETRY_AFTER_S = 1  # where nothing says when there is room
_MOST_FAULTS = 5  # of a request's fields that are told
_STATUSES = ((UsageError, 422), (OverloadedError, 429), (DeadlineError, 504), (EngineFault, 503))
_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


def error_body(status: int, kind: str, what: str, note: str = "", hint: str = "") -> dict[str, Any]:
    """The body of an error."""
    message = " ".join(filter(None, (what, note, hint)))
    usual = "invalid_request_error" if status < 500 else "server_error"
    return {
        "error": {
            "kind": kind,
            "what": what,
            "note": note,
            "hint": hint,
            "message": message,
            "type": _TYPES.get(status, usual),
            "param": None,
            "code": kind,
        },
        "detail": message,
    }


def answer_errors(app: FastAPI, discretion: Discretion) -> None:
    """Have an application answer every error so, with no path of this machine in it."""

    async def answer_error(request: Request, error: Exception) -> Response:
        """An error of Sakuga's own, with the status that fits it."""
        assert isinstance(error, SakugaError)
        status, told = _status(request, error), discretion.error(error)
        body = error_body(status, told.kind, told.what, told.note, told.hint)
        return JSONResponse(body, status, headers=_retry_headers(error))

    async def answer_invalid(request: Request, error: Exception) -> Response:
        """What is wrong with a request's fields; what was in them is not repeated."""
        assert isinstance(error, RequestValidationError)
        return await answer_error(request, UsageError(_faults(error)))

    app.add_exception_handler(SakugaError, answer_error)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)


def _faults(error: RequestValidationError) -> str:
    found = [
        ": ".join(filter(None, (".".join(map(str, each["loc"][1:])), each["msg"].rstrip("."))))
        for each in error.errors()[:_MOST_FAULTS]
    ]
    return f"{'; '.join(found)}." if found else "The request cannot be read."


async def _answer_http(_: Request, error: Exception) -> Response:
    """What the framework refuses, and what is not there."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    kind = "NotFoundError" if status == 404 else "HttpError"
    return JSONResponse(error_body(status, kind, error.detail), status, headers=error.headers)


def _status(request: Request, error: SakugaError) -> int:
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    openai = request.url.path.startswith(("/v1/images", "/v1/models"))
    return 400 if status == 422 and openai else status


def _retry_headers(error: SakugaError) -> dict[str, str]:
    """When to come again, for whoever was turned away."""
    if not isinstance(error, OverloadedError):
        return {}
    return {"retry-after": str(max(ceil(error.retry_after_s or 0), RETRY_AFTER_S))}
