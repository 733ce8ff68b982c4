"""How many pictures come before a job's, with an engine that has not opened yet."""

import asyncio

from sakuga.engine.bundle import Bundle
from sakuga.engine.image.formats import PNG
from sakuga.engine.runtime.request import Request
from sakuga.engine.serve.jobs import Job, Service
from sakuga.engine.serve.keeper import Patience
from sakuga.engine.serve.messages import Opening, Stepped
from sakuga.engine.serve.run import DEFAULT_LIMITS
from sakuga.engine.serve.served import Served, serve_bundle


def test_what_is_asked_for_earlier_or_is_more_urgent_comes_before(sdxl_bundle: Bundle) -> None:
    asyncio.run(ask_and_look(sdxl_bundle))


async def ask_and_look(sdxl_bundle: Bundle) -> None:
    bundle = serve_bundle("tiny", Opening(sdxl_bundle.path), Patience())
    served = Served([bundle], DEFAULT_LIMITS)

    def ask(count: int, priority: int = 0) -> Job:
        return served.submit(bundle, Request("cat").times(count), Service(PNG, priority))

    first, second, third = ask(2), ask(3), ask(1)
    assert [served.ahead(job) for job in (first, second, third)] == [0, 2, 5]
    urgent = ask(1, priority=1)
    assert [served.ahead(job) for job in (urgent, first, third)] == [0, 1, 6]
    bundle.keeper._hear(Stepped(first.pictures[0].id, 1, 28))
    assert [served.ahead(job) for job in (first, second)] == [0, 2]
    served.cancel(second)
    assert served.ahead(third) == 2
