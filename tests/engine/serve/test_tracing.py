"""Spans of pictures, read from an exporter in memory."""

from dataclasses import replace
from typing import Any

import pytest

from sakuga.engine.runtime.admission import Limits
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.serve.jobs import ServedPicture
from sakuga.engine.serve.messages import Failed
from sakuga.engine.serve.served import Served
from sakuga.engine.serve.tracing import trace_pictures
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_TINY

sdk = pytest.importorskip("opentelemetry.sdk.trace")


def picture_of(**more: Any) -> ServedPicture:  # noqa: ANN401
    request = Request("a secret wish", steps=3)
    settings = resolve(request, SDXL_TINY, Defaults(Size(128, 128)), "epsilon")
    picture = ServedPicture(("job", 1), request, settings, state="done", accepted=10.0)
    return replace(picture, **({"started": 12.0, "ended": 15.0} | more))


def test_a_picture_is_a_span_with_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", lambda *_: provider.get_tracer("sakuga"))
    served = Served([], Limits())
    trace_pictures(served)
    (over,) = served.watchers
    over("anime", picture_of())
    over("anime", picture_of(started=None, state="cancelled"))
    over("anime", picture_of(error=Failed(("job", 1), "RenderError", "no"), state="failed"))
    spans: Any = exporter.get_finished_spans()  # its fields may be None, but not of these
    assert [span.name for span in spans[:3]] == ["sakuga.queue", "sakuga.render", "sakuga.picture"]
    seconds = [round((span.end_time - span.start_time) / 1e9, 3) for span in spans]
    assert seconds == [2.0, 3.0, 5.0, 5.0, 0.0, 5.0, 2.0, 3.0, 5.0]
    whole = spans[2]
    assert spans[0].parent.span_id == spans[1].parent.span_id == whole.context.span_id
    assert whole.attributes["sakuga.bucket"] == "128x128"
    assert whole.attributes["sakuga.outcome"] == "done"
    assert spans[8].status.description == "RenderError"
    assert not any("secret" in str(span.attributes) for span in spans)
