"""The page at `/`: its files, and the headers that keep it to itself.

It is plain HTML, CSS and JavaScript modules, and asks this server alone. Its files hold no secret,
so whoever has no token yet can load them; what they ask for wants the token.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

_FOLDER = Path(__file__).with_name("page")
_INDEX = "index.html"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)


@dataclass(frozen=True)
class _File:
    data: bytes
    headers: dict[str, str]
    tag: str


def _read(path: Path) -> _File:
    data = path.read_bytes()
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {
        "content-type": _TYPES[path.suffix],
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "etag": tag,
        "cache-control": "no-cache",  # kept, and asked for again: mostly it is the same
    }
    return _File(data, headers, tag)


def _files() -> dict[str, _File]:
    """Path to file: the page itself at `/`, what it loads below `/page/`."""
    paths = sorted(path for path in _FOLDER.iterdir() if path.suffix in _TYPES)
    return {"/" if path.name == _INDEX else f"/page/{path.name}": _read(path) for path in paths}


_FILES = _files()
PATHS = frozenset(_FILES)  # which need no token


def routes() -> APIRouter:
    """The page's files."""
    router = APIRouter()
    for path, file in _FILES.items():
        router.add_api_route(path, _answer(file), methods=["GET", "HEAD"], include_in_schema=False)
    return router


def _answer(file: _File) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        known = request.headers.get("if-none-match", "")
        if file.tag in (each.strip().removeprefix("W/") for each in known.split(",")):
            return Response(status_code=304, headers=file.headers)
        return Response(file.data, headers=file.headers)

    return answer
