"""What needs the token and what does not: every route there is, asked in process."""

import asyncio
import re
from collections.abc import Iterable, Iterator

import httpx
import pytest
from starlette.routing import BaseRoute, Route

from sakuga.engine.bundle import Bundle
from sakuga.engine.serve.app import AppOptions, create_app
from sakuga.engine.serve.keeper import Patience
from sakuga.engine.serve.messages import Opening
from sakuga.engine.serve.run import DEFAULT_LIMITS
from sakuga.engine.serve.served import Served, serve_bundle

TOKEN = "an-example-of-a-token"
OPEN = {
    "/", "/health/live", "/health/ready",
    *(f"/page/{name}.css" for name in ("base", "form", "pictures")),
    *(f"/page/{name}.js" for name in (
        "api", "card", "cards", "dom", "drop", "follow", "form", "history", "init", "jobs",
        "page", "readiness", "shapes", "stages", "store", "theme", "token", "words",
    )),
}  # fmt: skip


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer another"}])
def test_nothing_else_is_open(sdxl_bundle: Bundle, header: dict[str, str]) -> None:
    statuses = asyncio.run(ask_everything(sdxl_bundle, header))
    assert len(statuses) > 30 and "GET /v1/jobs/0/pictures/0" in statuses
    opened = {path.split()[1] for path, status in statuses.items() if status != 401}
    assert opened == OPEN
    assert statuses["GET /"] == 200 and statuses["GET /health/ready"] == 503


def routes_of(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """Also those inside the routers that were included, where FastAPI keeps these whole."""
    for route in routes:
        if isinstance(route, Route):
            yield route
        else:
            yield from routes_of(route.original_router.routes)  # type: ignore[attr-defined]


async def ask_everything(bundle: Bundle, header: dict[str, str]) -> dict[str, int]:
    """Status of every method of every route, and of some that are none."""
    served = Served([serve_bundle("tiny", Opening(bundle.path), Patience())], DEFAULT_LIMITS)
    app = create_app(served, AppOptions(token=TOKEN))
    asked = [("GET", path) for path in ("/docs", "/page/", "/page/none.js", "/page//page.js")]
    for route in routes_of(app.routes):
        asked += [(each, re.sub(r"\{\w+\}", "0", route.path)) for each in route.methods or ()]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return {
            f"{method} {path}": (await client.request(method, path, headers=header)).status_code
            for method, path in asked
        }
