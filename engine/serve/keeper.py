"""Keeps an engine at work for a bundle: starts its process, watches it, replaces it.

A picture whose engine dies is rendered again by the next one. A picture that was at work in three
deaths is given up, for it may be their cause.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from sakuga.engine.runtime.admission import Statistics
from sakuga.engine.serve.enlargement import Enlargement
from sakuga.engine.serve.jobs import Event, ServedPicture, Service, State
from sakuga.engine.serve.messages import (
    Ask,
    Beat,
    Cancel,
    Enlarge,
    Failed,
    FromEngine,
    Made,
    Opened,
    Opening,
    PictureId,
    Previewed,
    Stepped,
    Stop,
)
from sakuga.engine.serve.process import EngineProcess

_LOG = logging.getLogger("sakuga.serve")

_FAULT = "EngineFault"
MOST_DEATHS = 3  # with the same picture at work


@dataclass(frozen=True)
class Patience:
    """Seconds: without a sign of life before an engine is replaced, once it has opened; and between
    deaths, from the first to the longest. `deaths` in `within_s`, with no picture made between
    them, and the bundle is not ready, until an engine makes one or lives that long."""

    silence_s: float = 120.0
    first_backoff_s: float = 0.2
    most_backoff_s: float = 30.0
    deaths: int = 5
    within_s: float = 600.0


@dataclass(eq=False)
class Order:
    """A picture on its way. `tell` learns what happens to it, `leave` that it is over."""

    picture: ServedPicture
    service: Service
    tell: Callable[[Event], None]
    leave: Callable[[], None]


class Keeper:
    """One bundle's engine. All of it runs on the event loop."""

    def __init__(self, opening: Opening, patience: Patience) -> None:
        self.opened: Opened | None = None
        self.statistics = Statistics()
        self.restarts = 0
        self.trouble: Failed | None = None  # why the last engine did not open or go on
        self.opening, self._patience = opening, patience
        self._orders: dict[PictureId, Order] = {}
        self._deaths: deque[float] = deque(maxlen=patience.deaths)
        self._process: EngineProcess | None = None
        self._heard = monotonic()
        self._closing = False
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether an engine is open, and not one after many that died."""
        return self.opened is not None and not self._dying_often() and not self._closing

    @property
    def pid(self) -> int | None:
        """Of the engine's process."""
        return self._process.pid if self._process else None

    @property
    def waiting(self) -> int:
        """Pictures that have not begun."""
        return sum(order.picture.state == "waiting" for order in self._orders.values())

    @property
    def running(self) -> int:
        """Pictures that have."""
        return len(self._orders) - self.waiting

    def ahead(self, id: PictureId) -> int:
        """Pictures that have not begun and come before one that has not either: those as urgent
        that were asked for earlier, and all that are more urgent. 0 for one that has begun."""
        waiting = [each for each in self._orders.values() if each.picture.state == "waiting"]
        waiting.sort(key=lambda order: -order.service.priority)  # which keeps the order of arrival
        return next((i for i, order in enumerate(waiting) if order.picture.id == id), 0)

    def start(self) -> None:
        """Start an engine and watch it."""
        self._begin()
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop the engine; pictures on their way fail."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
        for id in list(self._orders):
            self._fail(id, Failed(id, _FAULT, "The server is stopping.", hint="Ask another one."))
        if self._process is not None:
            await self._process.stop(Stop())

    async def drained(self) -> None:
        """Until no picture is on its way."""
        while self._orders:
            self._news.clear()
            await self._news.wait()

    def take(self, order: Order) -> None:
        """Have a picture rendered."""
        self._orders[order.picture.id] = order
        if self.opened is not None:
            self._ask(order)

    def cancel(self, id: PictureId) -> None:
        """Nobody wants it any more; it is off the device before the next evaluation."""
        if id in self._orders:
            if self._process is not None:
                self._process.send(Cancel(id))
            self._over(id, "cancelled")

    def _begin(self) -> None:
        self.opened, self._heard = None, monotonic()
        process = EngineProcess(self.opening, self._hear, lambda: self._gone(process))
        self._process = process

    def _ask(self, order: Order) -> None:
        assert self._process is not None
        self._process.send(_message(order.picture, order.service))

    def _hear(self, message: FromEngine) -> None:
        self._heard = monotonic()
        match message:
            case Opened():
                self.opened, self.trouble = message, None
                for order in self._orders.values():
                    self._ask(order)
            case Beat():
                self.statistics = message.statistics
            case Stepped():
                self._stepped(message)
            case Previewed() if message.id in self._orders:
                self._orders[message.id].picture.preview = message.jpeg
                self._orders[message.id].tell(Event("preview", message.id[1]))
            case Made() if message.id in self._orders:
                self._deaths.clear()  # whatever ended the others, there is no hurry to be slow
                self._orders[message.id].picture.made = message
                self._over(message.id, "done")
            case Failed(id=None):
                self.trouble = message
                _LOG.error("engine.trouble %s", _in_full(message))
                if self._process is not None:
                    self._process.kill()
            case Failed(kind=kind) if kind != _FAULT and message.id in self._orders:
                assert message.id is not None
                self._fail(message.id, message)

    def _stepped(self, message: Stepped) -> None:
        if order := self._orders.get(message.id):
            picture, begins = order.picture, order.picture.state == "waiting"
            picture.step = message.done
            if begins:
                picture.state, picture.started = "running", monotonic()
            order.tell(Event("state" if begins else "step", message.id[1]))

    def _gone(self, process: EngineProcess) -> None:
        """An engine has died; another takes over what it had."""
        if self._closing or process is not self._process:
            return
        slots = self.opened.slots if self.opened else 0
        self.opened, self._process = None, None
        self.restarts += 1
        self._deaths.append(monotonic())
        for order in self._at_work(slots):
            self._again(order)
        backoff = self._backoff()
        _LOG.warning("engine.died restarts=%d next_in_s=%.1f", self.restarts, backoff)
        asyncio.get_running_loop().call_later(backoff, self._begin_again)

    def _at_work(self, slots: int) -> list[Order]:
        """Whose picture may have been the end of an engine: those that had begun, else those that
        were about to."""
        orders = list(self._orders.values())
        begun = [order for order in orders if order.picture.state == "running"]
        return begun or orders[:slots]

    def _again(self, order: Order) -> None:
        picture = order.picture
        picture.deaths += 1
        if picture.deaths >= MOST_DEATHS:
            self._fail(picture.id, _deadly(picture.id))
        elif picture.state == "running":
            picture.state, picture.step, picture.started = "waiting", 0, None
            order.tell(Event("state", picture.id[1]))

    def _begin_again(self) -> None:
        if not self._closing:
            self._begin()

    def _backoff(self) -> float:
        now, patience = monotonic(), self._patience
        recent = sum(now - death < patience.within_s for death in self._deaths)
        return min(patience.first_backoff_s * 2.0 ** (recent - 1), patience.most_backoff_s)

    def _dying_often(self) -> bool:
        full = len(self._deaths) == self._patience.deaths
        return full and monotonic() - self._deaths[0] < self._patience.within_s

    async def _watch(self) -> None:
        """Replace an engine that has opened and does not answer."""
        while True:
            await asyncio.sleep(min(1.0, self._patience.silence_s / 4))
            silent = monotonic() - self._heard
            if self.opened and self._process and silent > self._patience.silence_s:
                _LOG.error("engine.silent seconds=%.1f", silent)
                self._process.kill()

    def _fail(self, id: PictureId, error: Failed) -> None:
        _LOG.warning("picture.failed job=%s index=%d %s", *id, _in_full(error))
        self._orders[id].picture.error = error
        self._over(id, "failed")

    def _over(self, id: PictureId, state: State) -> None:
        order = self._orders.pop(id)
        order.picture.state, order.picture.ended = state, monotonic()
        order.leave()
        order.tell(Event("state", id[1]))
        self._news.set()


def _message(picture: ServedPicture, service: Service) -> Ask | Enlarge:
    if isinstance(picture.request, Enlargement):
        return Enlarge(picture.id, picture.request, service.format)
    return Ask(
        picture.id,
        picture.request,
        service.format,
        service.priority,
        service.deadline_s,
        service.preview_every,
    )


def _in_full(error: Failed) -> str:
    """For the log, which may tell where files lie."""
    return f"kind={error.kind} what={error.what!r} note={error.note!r}"


def _deadly(id: PictureId) -> Failed:
    return Failed(
        id,
        "EngineFault",
        f"The engine died while it rendered this picture, {MOST_DEATHS} times.",
        hint="Ask for another picture; if it happens again, look at the server's log.",
    )
