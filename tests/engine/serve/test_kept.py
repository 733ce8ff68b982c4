"""Jobs that are over are kept for a while, and forgotten: the oldest first, and all in time."""

import asyncio
from typing import Any

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.image.formats import PNG
from sakuga.engine.runtime.request import Request
from sakuga.engine.serve.jobs import Job, ServedPicture, Service
from sakuga.engine.serve.kept import Keeping, KeptJobs
from sakuga.engine.serve.messages import Made

UNREAD: Any = None  # settings, which nothing here looks at


def job(name: str, size: int = 0) -> Job:
    made = Made((name, 0), b"x" * size, "", 0, ())
    picture = ServedPicture((name, 0), Request("hat"), UNREAD, "done", made=made)
    return Job("tiny", Service(PNG), [picture], name)


def here(jobs: KeptJobs) -> str:
    return "".join(name for name in "abcdef" if jobs.get(name))


@pytest.mark.parametrize(
    ("keeping", "left"),
    [(Keeping(), "abcdef"), (Keeping(jobs=2), "bdf"), (Keeping(bytes=25), "bdf")],
)
def test_the_first_to_end_go_first_and_none_that_is_on_its_way(keeping: Keeping, left: str) -> None:
    async def go() -> str:
        jobs = KeptJobs(keeping)
        known = {name: job(name, 10) for name in "abcdef"}
        for each in known.values():
            jobs.add(each)
        for name in "ecafd":
            jobs.ended(known[name])
        return here(jobs)

    assert asyncio.run(go()) == left


def test_all_are_forgotten_in_time_though_nobody_asks_for_more() -> None:
    async def go() -> tuple[str, str]:
        jobs = KeptJobs(Keeping(seconds=0.2))
        for each in (job("a"), job("b")):
            jobs.add(each)
            jobs.ended(each)
            await asyncio.sleep(0.02)
        before = here(jobs)
        await asyncio.sleep(0.5)
        return before, here(jobs)

    assert asyncio.run(go()) == ("ab", "")


def test_a_key_lives_as_long_as_its_job() -> None:
    async def go() -> None:
        jobs = KeptJobs(Keeping())
        first = job("a")
        jobs.add(first)
        assert jobs.once("key", "print", lambda: first) is first
        assert jobs.once("key", "print", lambda: job("b")) is first and jobs.repeated == 1
        with pytest.raises(UsageError, match="another request"):
            jobs.once("key", "other", lambda: job("b"))
        jobs.forget(first)
        assert jobs.get("a") is first  # it is on its way
        jobs.ended(first)
        jobs.forget(first)
        second = job("b")
        assert jobs.get("a") is None and jobs.once("key", "other", lambda: second) is second

    asyncio.run(go())
