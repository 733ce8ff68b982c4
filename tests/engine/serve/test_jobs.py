"""Whoever follows a job misses nothing, however late the first look."""

import asyncio
from typing import Any

from sakuga.engine.image.formats import PNG
from sakuga.engine.runtime.request import Request
from sakuga.engine.serve.jobs import Event, Job, ServedPicture, Service

UNREAD: Any = None  # settings, which nothing here looks at


def test_what_happens_before_the_first_look_is_told() -> None:
    async def go() -> list[Event]:
        picture = ServedPicture(("a", 0), Request("hat"), UNREAD, "running")
        job = Job("tiny", Service(PNG), [picture], "a")
        events = job.events()
        picture.state = "done"
        job.tell(Event("state", 0))
        return [event async for event in events]

    assert asyncio.run(go()) == [Event("state", 0)]
