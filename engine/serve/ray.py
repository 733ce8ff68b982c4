"""A bundle as a Ray Serve application: replicas by the queue, requests to where their size is warm.

    serve run sakuga.engine.serve.ray:app bundle=NAME.sakuga

Each replica has an engine, in which requests share steps. A request names its bucket as Ray's
multiplexed model id, so that the router prefers replicas that have rendered this size before: their
calls are fuller, and on a GPU captured. How many replicas there are follows from how many requests
wait and run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import serve  # Ray's; pyright takes this file for it

from sakuga.engine.bundle import open_bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import UsageError
from sakuga.engine.image.formats import encode, format_called
from sakuga.engine.runtime.defaults import bundle_defaults, bundle_preset
from sakuga.engine.runtime.request import Request
from sakuga.engine.serve.discretion import Discretion
from sakuga.engine.serve.messages import Opening

WARM_SIZES = 4  # a replica keeps; beyond, the router spreads others


@dataclass(frozen=True)
class RaySettings:
    """`bundle`: a path every node sees. `replicas`: fewest and most. `at_once`: requests a replica
    is meant to have under way; more, and another one is started. `gpus`, `cpus`: of a replica."""

    bundle: Path
    replicas: tuple[int, int] = (1, 4)
    at_once: int = 8
    gpus: float = 0.0
    cpus: float = 1.0
    backend: str | None = None
    preset: str | None = None


@dataclass(frozen=True)
class Rendering:
    """A picture's file, its settings and its seed, and which replica's process made it."""

    data: bytes
    parameters: str
    seed: int
    replica: str


class Replica:
    """An engine of the bundle."""

    def __init__(self, settings: RaySettings) -> None:
        self._engine = Engine.open(
            settings.bundle,
            backend=settings.backend,
            preset=settings.preset,
            threads=None if settings.gpus else max(int(settings.cpus), 1),
        )

    @serve.multiplexed(max_num_models_per_replica=WARM_SIZES)  # type: ignore[untyped-decorator]
    async def warm(self, bucket: str) -> str:
        """A size this replica is known for from now on."""
        return bucket

    async def render(self, request: Request, format: str = "png") -> Rendering:
        """A picture. Raises what `Engine.asubmit` raises."""
        await self.warm(serve.get_multiplexed_model_id())  # pyright: ignore[reportAttributeAccessIssue]
        picture = await self._engine.asubmit(request)
        data = encode(picture.pixels, picture.parameters, format_called(format).options)
        replica = serve.get_replica_context().replica_tag  # pyright: ignore[reportAttributeAccessIssue]
        return Rendering(data, picture.parameters, picture.seed, replica)

    def check_health(self) -> None:
        """Ray replaces a replica that raises: one whose GPU does not answer any more."""
        self._engine.ping()


class Door:
    """What clients call: over HTTP with JSON, or `render` through a handle."""

    def __init__(self, replicas: Any, settings: RaySettings) -> None:  # noqa: ANN401 (a handle)
        self._replicas = replicas
        self._discretion = Discretion([Opening(settings.bundle)])
        bundle = open_bundle(settings.bundle)
        self._defaults = bundle_defaults(bundle, bundle_preset(bundle, settings.preset))

    async def render(self, request: Request, format: str = "png") -> Rendering:
        """A picture, by a replica where its size is warm if one is free."""
        size = self._defaults.size
        bucket = f"{request.width or size.width}x{request.height or size.height}"
        handle = self._replicas.options(multiplexed_model_id=bucket)
        found: Rendering = await handle.render.remote(request, format)
        return found

    async def __call__(self, http: Any) -> Any:  # noqa: ANN401 (Starlette's)
        """POST a request's fields as JSON; the answer is the file."""
        from starlette.responses import JSONResponse, Response

        try:
            fields = await http.json()
            format = fields.pop("format", "png")
            rendering = await self.render(Request(**fields), format)
        except (UsageError, TypeError, ValueError, AttributeError) as error:
            cause = getattr(error, "cause", error)  # what Ray wraps in the trace of the replica
            return JSONResponse({"detail": self._discretion.text(str(cause))}, 422)
        headers = {"x-sakuga-seed": str(rendering.seed), "x-sakuga-replica": rendering.replica}
        return Response(rendering.data, media_type=f"image/{format}", headers=headers)


def application(settings: RaySettings) -> Any:  # noqa: ANN401 (Ray's application)
    """The application, to be run by `serve.run`."""
    least, most = settings.replicas
    replica = serve.deployment(  # pyright: ignore[reportAttributeAccessIssue]
        Replica,
        name="Replica",
        max_ongoing_requests=2 * settings.at_once,
        autoscaling_config={
            "min_replicas": least,
            "max_replicas": most,
            "target_ongoing_requests": settings.at_once,
        },
        ray_actor_options={"num_gpus": settings.gpus, "num_cpus": settings.cpus},
    )
    door = serve.deployment(Door, name="Door", ray_actor_options={"num_cpus": 0})  # pyright: ignore[reportAttributeAccessIssue]
    return door.bind(replica.bind(settings), settings)


def app(arguments: Mapping[str, str]) -> Any:  # noqa: ANN401 (Ray's application)
    """For `serve run`: `bundle=` must be there, `gpus=`, `cpus=`, `least=`, `most=`, `at_once=`,
    `backend=` and `preset=` may be."""
    usual = RaySettings(Path(arguments["bundle"]).absolute())
    return application(
        RaySettings(
            usual.bundle,
            (
                int(arguments.get("least", usual.replicas[0])),
                int(arguments.get("most", usual.replicas[1])),
            ),
            int(arguments.get("at_once", usual.at_once)),
            float(arguments.get("gpus", usual.gpus)),
            float(arguments.get("cpus", usual.cpus)),
            arguments.get("backend"),
            arguments.get("preset"),
        )
    )
