"""Where pictures are handed in: settings become a job of the worker and a ticket for a caller."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from sakuga.engine.backend.base import Decoded, Device, Latent, Pixels
from sakuga.engine.errors import SakugaError, UsageError
from sakuga.engine.runtime.admission import Admission, Limits, Outcome, Statistics
from sakuga.engine.runtime.chain import Denoise, Easel, Undecoded, passes
from sakuga.engine.runtime.drive import Drive
from sakuga.engine.runtime.made import Made
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import Slot, Sources, row_sources
from sakuga.engine.runtime.studio import Studio
from sakuga.engine.runtime.ticket import Ticket
from sakuga.engine.runtime.worker import Job, Worker

OnStep = Callable[[int, int, int], None]  # index, evaluations done, evaluations in all
OnPreview = Callable[[Ticket], None]


@dataclass(frozen=True)
class Wishes:
    """How a picture wants to be served: see `Engine.submit`. Raises UsageError."""

    priority: int = 0
    deadline_s: float | None = None
    preview_every: int = 0
    on_step: OnStep | None = None
    on_preview: OnPreview | None = None

    def __post_init__(self) -> None:
        if self.deadline_s is not None and not self.deadline_s > 0:
            raise UsageError(
                f"A picture cannot be wanted in {self.deadline_s} seconds.",
                hint="Give the seconds it may take, or leave the deadline out.",
            )
        if self.preview_every < 0:
            raise UsageError(
                f"There is no preview every {self.preview_every} evaluations.",
                hint="Give 1 or more, or 0 for none.",
            )


class Desk:
    """Takes pictures in for a worker, and counts them."""

    def __init__(
        self, worker: Worker, prompts: PromptEncoder, studio: Studio, limits: Limits
    ) -> None:
        self._worker, self._prompts, self._studio = worker, prompts, studio
        self._finish = studio.finish
        self._admission = Admission(limits)

    @property
    def statistics(self) -> Statistics:
        """Counts so far."""
        return self._admission.statistics(self._worker.evaluations, self._worker.rows)

    def admit(self, index: int, settings: Settings, wishes: Wishes) -> Ticket:
        """Take a picture in, within the limits. Raises OverloadedError."""
        self._admission.admit(settings.work_in_all)
        return self._hand_in(index, settings, wishes)

    def enter(self, index: int, settings: Settings, wishes: Wishes) -> Ticket:
        """Take a picture in for whoever bounds the number of theirs."""
        self._admission.enter(settings.work_in_all)
        return self._hand_in(index, settings, wishes)

    def latent(self, settings: Settings) -> "Future[Latent]":
        """A picture's final latent, not decoded and not counted."""
        slot = self._slot(0, settings, Wishes(), None)
        slot.begin = Easel(settings, self._studio).begin
        return self._worker.submit(Job(slot, _latent))

    def _hand_in(self, index: int, settings: Settings, wishes: Wishes) -> Ticket:
        ticket = Ticket(index, settings, Future())
        ticket.future.add_done_callback(lambda result: self._leave(settings, result))
        drive = Drive(self._worker, partial(self._job, ticket, wishes, _deadline(wishes)))
        try:
            drive.begin(passes(settings, self._studio), ticket.future, self._picture(ticket))
        except SakugaError as error:
            ticket.future.set_exception(error)
            raise
        return ticket

    def _picture(self, ticket: Ticket) -> Callable[[Made], Picture]:
        return lambda made: self._finish(ticket.slots[0], made)

    def _job(
        self, ticket: Ticket, wishes: Wishes, deadline: float | None, need: Denoise | Undecoded
    ) -> Job[Any]:
        """A pass as a job of the worker."""
        slot = self._slot(ticket.index, need.settings, wishes, deadline)
        slot.begin = need.begin
        ticket.slots.append(slot)
        finish = _decoded if isinstance(need, Denoise) else _latent
        job: Job[Any] = Job(slot, finish, _reporter(ticket, wishes.on_step))
        if wishes.preview_every:
            job.on_preview = partial(_show, ticket, wishes.on_preview)
        return job

    def _leave(self, settings: Settings, result: "Future[Picture]") -> None:
        outcome: Outcome = "completed"
        if result.cancelled():
            outcome = "cancelled"
        elif result.exception() is not None:
            outcome = "failed"
        self._admission.leave(settings.work_in_all, str(settings.size), outcome)

    def _slot(self, index: int, settings: Settings, wishes: Wishes, deadline: float | None) -> Slot:
        def encode() -> tuple[Sources, ...]:
            return row_sources(settings, *self._prompts.encode(settings))

        return Slot(index, settings, encode, wishes.priority, deadline, wishes.preview_every)


def _deadline(wishes: Wishes) -> float | None:
    return None if wishes.deadline_s is None else monotonic() + wishes.deadline_s


def _decoded(device: Device, slot: Slot) -> "Future[Decoded]":
    return device.decode(slot.latent, slot.place, slot.settings.compat.rounding)


def _show(ticket: Ticket, tell: OnPreview | None, preview: "Future[Pixels]") -> None:
    """A preview that fails is none."""
    if preview.exception() is None:
        ticket.show(preview.result())
        if tell is not None:
            tell(ticket)


def _reporter(ticket: Ticket, on_step: OnStep | None) -> Callable[[Slot], None] | None:
    if on_step is None:
        return None

    def report(_: Slot) -> None:
        progress = ticket.progress()
        on_step(ticket.index, progress.done, progress.total)

    return report


def _latent(device: Device, slot: Slot) -> "Future[Latent]":
    found: Future[Latent] = Future()
    found.set_result(device.lane(slot.latent).latent(slot.place))
    return found
