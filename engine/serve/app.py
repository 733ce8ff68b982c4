"""The HTTP application: everything that is served, under one guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from sakuga.engine.serve import (
    a1111,
    a1111_extras,
    a1111_lists,
    bundles,
    health,
    metrics,
    native,
    openai,
    openai_edits,
    page,
    reading,
)
from sakuga.engine.serve.answers import answer_errors
from sakuga.engine.serve.guard import Guard
from sakuga.engine.serve.served import Served
from sakuga.engine.version import VERSION

_OPEN = frozenset({"/health/live", "/health/ready"}) | page.PATHS
_WORDS = frozenset({"/v1/images/generations", "/sdapi/v1/txt2img"})
_WORKS = _WORDS | {
    "/v1/jobs",
    "/v1/images/edits",
    "/v1/images/variations",
    "/sdapi/v1/img2img",
    "/sdapi/v1/extra-single-image",
    "/sdapi/v1/extra-batch-images",
}


@dataclass(frozen=True)
class AppOptions:
    """`token`: what clients must show, None for nothing."""

    token: str | None = None


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
    answer_errors(app, served.discretion)
    app.include_router(health.routes(served))
    app.include_router(metrics.routes(metrics.Meters(served)))
    app.include_router(native.routes(served))
    app.include_router(bundles.routes(served))
    app.include_router(reading.routes(served))
    app.include_router(page.routes())
    app.include_router(openai.routes(served))
    app.include_router(openai_edits.routes(served))
    chosen, asked = a1111.Options(served), a1111.Asked(served)
    app.include_router(a1111.routes(served, chosen, asked))
    app.include_router(a1111_extras.routes(served, chosen, asked))
    app.include_router(a1111_lists.routes(served, chosen))
    app.add_middleware(
        Guard,
        served=served,
        token=options.token,
        open_paths=_OPEN,
        works=_WORKS,
        words=_WORDS,
    )
    return app
