"""What clients asked for and what became of it: jobs of one or more pictures."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from sakuga.engine.image.formats import FileFormat
from sakuga.engine.image.source import Source
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.serve.enlargement import Enlargement
from sakuga.engine.serve.messages import Failed, Made, PictureId

State = Literal["waiting", "running", "done", "failed", "cancelled"]
OVER = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Service:
    """How a job wants to be served: see `Engine.submit`."""

    format: FileFormat
    priority: int = 0
    deadline_s: float | None = None
    preview_every: int = 0


@dataclass(eq=False)
class ServedPicture:
    """One picture of a job. `deaths`: engines that died while they had it at work. Of one that is
    enlarged, `settings` is the request itself."""

    id: PictureId
    request: Request | Enlargement
    settings: Settings | Enlargement
    state: State = "waiting"
    step: int = 0
    deaths: int = 0
    accepted: float = field(default_factory=time.monotonic)
    started: float | None = None
    ended: float | None = None
    preview: bytes | None = None
    made: Made | None = None
    error: Failed | None = None

    @property
    def total(self) -> int:
        """Evaluations in all."""
        return self.settings.evaluations_in_all

    def forget_pictures(self) -> None:
        """It is over, and what came with it need not lie here any longer."""
        if isinstance(self.request, Request) and isinstance(self.settings, Settings):
            self.request = replace(self.request, init=None)
            self.settings = replace(self.settings, init=None)
        elif isinstance(self.request, Enlargement):
            self.request = self.settings = replace(self.request, picture=Source.of(b""))


@dataclass(frozen=True)
class Event:
    """Something that happened to picture `index` of a job: a state, a step, or a preview."""

    kind: Literal["state", "step", "preview"]
    index: int


@dataclass(eq=False)
class Job:
    """What a client asked for. `changed` is for whoever follows it."""

    bundle: str
    service: Service
    pictures: Sequence[ServedPicture]
    id: str
    created: float = field(default_factory=time.time)
    finished: float | None = None
    followers: set["asyncio.Queue[Event]"] = field(default_factory=set)

    @property
    def state(self) -> State:
        """The job's: over when all its pictures are, failed when one is."""
        states = {picture.state for picture in self.pictures}
        for state in ("failed", "cancelled"):
            if state in states and states <= set(OVER):
                return state
        if states == {"done"}:
            return "done"
        return "waiting" if states == {"waiting"} else "running"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in OVER

    @property
    def error(self) -> Failed | None:
        """Of the first picture that failed."""
        return next((each.error for each in self.pictures if each.error is not None), None)

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the speed of its pictures so far; None before the first step."""
        speeds = [
            picture.step / (time.monotonic() - picture.started)
            for picture in self.pictures
            if picture.started is not None and picture.step and picture.state == "running"
        ]
        left = sum(picture.total - picture.step for picture in self.pictures)
        return left / sum(speeds) if speeds and sum(speeds) > 0 else None

    def tell(self, event: Event) -> None:
        """Followers learn of it."""
        for queue in self.followers:
            queue.put_nowait(event)

    def events(self) -> AsyncIterator[Event]:
        """What happens from this call on, until the job is over; whoever follows reads the job
        itself."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self.followers.add(queue)
        return self._follow(queue)

    async def _follow(self, queue: "asyncio.Queue[Event]") -> AsyncIterator[Event]:
        try:
            while not (self.over and queue.empty()):
                yield await queue.get()
        finally:
            self.followers.discard(queue)

    async def wait(self) -> None:
        """Until it is over."""
        async for _ in self.events():
            pass


def new_job(
    bundle: str,
    service: Service,
    requests: Sequence[Request | Enlargement],
    settings: Sequence[Settings | Enlargement],
) -> Job:
    """A job with a name nobody can guess."""
    name = uuid.uuid4().hex
    pictures = [
        ServedPicture((name, index), request, each)
        for index, (request, each) in enumerate(zip(requests, settings, strict=True))
    ]
    return Job(bundle, service, pictures, name)
