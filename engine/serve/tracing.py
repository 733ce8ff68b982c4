"""Spans for OpenTelemetry: each picture, the time it waited and the time it was rendered.

Whoever runs the server sets the exporter by OpenTelemetry's own variables, and starts it with
`--trace`. Nothing of a prompt is in a span.
"""

from time import time_ns

from sakuga.engine.errors import MissingDependencyError, install_hint
from sakuga.engine.serve.jobs import ServedPicture
from sakuga.engine.serve.served import Served
from sakuga.engine.version import VERSION

_NS = 10**9


def trace_pictures(served: Served) -> None:
    """Have a span of every picture that is over. Raises MissingDependencyError."""
    try:
        from opentelemetry import trace
    except ImportError as error:
        raise MissingDependencyError(
            "Tracing needs opentelemetry.", hint=install_hint("otel")
        ) from error
    tracer = trace.get_tracer("sakuga", VERSION)

    def over(bundle: str, picture: ServedPicture) -> None:
        if picture.ended is None:
            return
        shift = time_ns() - int(picture.ended * _NS)  # its clock to that of the spans

        def at(seconds: float) -> int:
            return int(seconds * _NS) + shift

        begun = picture.started if picture.started is not None else picture.ended
        attributes: dict[str, str | int] = {
            "sakuga.bundle": bundle,
            "sakuga.job": picture.id[0],
            "sakuga.index": picture.id[1],
            "sakuga.bucket": str(picture.settings.size),
            "sakuga.steps": picture.total,
            "sakuga.outcome": picture.state,
        }
        span = tracer.start_span(
            "sakuga.picture", attributes=attributes, start_time=at(picture.accepted)
        )
        context = trace.set_span_in_context(span)
        parts = (("sakuga.queue", picture.accepted, begun), ("sakuga.render", begun, picture.ended))
        for name, start, end in parts:
            tracer.start_span(name, context, start_time=at(start)).end(at(end))
        if picture.error is not None:
            span.set_status(trace.StatusCode.ERROR, picture.error.kind)
        span.end(at(picture.ended))

    served.watchers.append(over)


def configure_exporter() -> None:
    """As OpenTelemetry's variables say: OTEL_EXPORTER_OTLP_ENDPOINT and the others.

    Raises MissingDependencyError.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # pyright: ignore[reportMissingImports]
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingDependencyError(
            "Tracing needs opentelemetry with its OTLP exporter.",
            hint=install_hint("otel"),
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "sakuga"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
