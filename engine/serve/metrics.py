"""`/metrics` for Prometheus: what came in, what became of it, and how long each part took.

Counts hold together: accepted = completed + failed + cancelled + in flight.
"""

from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from sakuga.engine.serve.jobs import ServedPicture
from sakuga.engine.serve.served import Served

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
_STEP_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15)


class Meters:
    """Histograms that pictures fill when they are over."""

    def __init__(self, served: Served) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Counts(served))
        labels = ("bundle", "bucket")
        self._queue = Histogram(
            "sakuga_queue_seconds", "From acceptance to the first evaluation.", labels,
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._step = Histogram(
            "sakuga_step_seconds", "Mean time of a picture's evaluations.", labels,
            buckets=_STEP_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._whole = Histogram(
            "sakuga_e2e_seconds", "From acceptance to the picture's file.", labels,
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        served.watchers.append(self.over)

    def over(self, bundle: str, picture: ServedPicture) -> None:
        """A picture is over; those that were made are measured."""
        if picture.state != "done" or picture.started is None or picture.ended is None:
            return
        bucket = str(picture.settings.size)
        self._queue.labels(bundle, bucket).observe(picture.started - picture.accepted)
        self._step.labels(bundle, bucket).observe(
            (picture.ended - picture.started) / max(picture.total, 1)
        )
        self._whole.labels(bundle, bucket).observe(picture.ended - picture.accepted)


class _Counts:
    """Everything that is counted elsewhere, read when Prometheus asks."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def collect(self) -> Iterator[Metric]:
        """All of one moment."""
        found = self._served.statistics
        pictures = CounterMetricFamily(
            "sakuga_pictures", "Pictures by what became of them.", labels=["outcome"]
        )
        for outcome in ("accepted", "rejected", "completed", "failed", "cancelled"):
            pictures.add_metric([outcome], getattr(found, outcome))
        yield pictures
        sizes = CounterMetricFamily("sakuga_images", "Pictures made, by size.", labels=["bucket"])
        for size, count in found.sizes.items():
            sizes.add_metric([size], count)
        yield sizes
        yield GaugeMetricFamily(
            "sakuga_pictures_in_flight", "Accepted and not over.", found.in_flight
        )
        yield GaugeMetricFamily(
            "sakuga_megapixel_steps_in_flight", "Their work.", found.megapixel_steps
        )
        yield CounterMetricFamily(
            "sakuga_cache_hits", "Requests answered by an earlier job of the same key.",
            self._served.jobs.repeated,
        )  # fmt: skip
        yield from self._of_bundles()

    def _of_bundles(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("sakuga_requests_running", "Begun.", labels=["bundle"])
        waiting = GaugeMetricFamily("sakuga_requests_waiting", "Not begun.", labels=["bundle"])
        restarts = CounterMetricFamily(
            "sakuga_engine_restarts", "Engine processes that were replaced.", labels=["bundle"]
        )
        steps = CounterMetricFamily(
            "sakuga_steps", "Evaluations of the engine at work now.", labels=["bundle"]
        )
        rows = CounterMetricFamily(
            "sakuga_rows", "Rows in them; by steps: how full they are.", labels=["bundle"]
        )
        ready = GaugeMetricFamily("sakuga_ready", "Whether it can render.", labels=["bundle"])
        for name, bundle in self._served.bundles.items():
            keeper = bundle.keeper
            running.add_metric([name], keeper.running)
            waiting.add_metric([name], keeper.waiting)
            restarts.add_metric([name], keeper.restarts)
            steps.add_metric([name], keeper.statistics.evaluations)
            rows.add_metric([name], keeper.statistics.rows)
            ready.add_metric([name], int(keeper.ready))
        yield from (running, waiting, restarts, steps, rows, ready)


def routes(meters: Meters) -> APIRouter:
    """`/metrics`."""
    router = APIRouter(tags=["metrics"])

    @router.get("/metrics")
    async def metrics() -> Response:
        """In Prometheus's text form."""
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE)

    return router
