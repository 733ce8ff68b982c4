"""Whether the server lives, and whether it can render."""

from typing import Any

from fastapi import APIRouter, Response

from sakuga.engine.serve.served import Served


def routes(served: Served) -> APIRouter:
    """`/health/live` and `/health/ready`, which need no token."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live")
    async def live() -> dict[str, Any]:
        """The HTTP process answers."""
        return {"live": True}

    @router.get("/ready", responses={503: {"description": "Not ready"}})
    async def ready(response: Response) -> dict[str, Any]:
        """Every bundle's engine is open, none dies again and again, and work is taken."""
        response.status_code = 200 if served.ready else 503
        return {
            "ready": served.ready,
            "draining": served.draining,
            "bundles": {name: each.keeper.ready for name, each in served.bundles.items()},
        }

    return router
