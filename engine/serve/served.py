"""What is served: bundles by name, each with its keeper, and the jobs of all of them."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from sakuga.engine.backend.base import Session
from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.errors import OverloadedError, UsageError
from sakuga.engine.runtime.admission import Admission, Limits, Outcome, Statistics
from sakuga.engine.runtime.defaults import bundle_embeddings, bundle_preset
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.resolver import Resolver
from sakuga.engine.runtime.tools import Tools
from sakuga.engine.serve.discretion import Discretion
from sakuga.engine.serve.enlargement import Enlargement
from sakuga.engine.serve.holding import Holding, bytes_of, check_made
from sakuga.engine.serve.jobs import Job, ServedPicture, Service, new_job
from sakuga.engine.serve.keeper import Keeper, Order, Patience
from sakuga.engine.serve.kept import Keeping, KeptJobs
from sakuga.engine.serve.messages import Opening
from sakuga.profiles.preset import Preset

OnOver = Callable[[str, ServedPicture], None]  # the bundle's name, and the picture

_OUTCOMES: Mapping[str, Outcome] = {
    "done": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}


@dataclass(eq=False)
class ServedBundle:
    """A bundle as the HTTP process knows it: no network of it is loaded here."""

    name: str
    bundle: Bundle
    preset: Preset | None
    prompts: PromptEncoder
    tools: Tools
    keeper: Keeper

    def resolver(self) -> Resolver:
        """Of requests, for the sizes its engine renders once that is known."""
        opened = self.keeper.opened
        sizes = None if opened is None else opened.sizes
        return Resolver(self.bundle, self.preset, self.prompts, sizes, self.tools)


def serve_bundle(name: str, opening: Opening, patience: Patience) -> ServedBundle:
    """Open what can be known of a bundle without its networks. Raises as `Engine.open`."""
    bundle = open_bundle(opening.bundle)
    preset = bundle_preset(bundle, opening.preset)
    known = bundle_embeddings(bundle, opening.embeddings)
    prompts = PromptEncoder(bundle, _no_session, known)
    tools = Tools.of(opening.upscalers, opening.detectors, bundle.family)
    return ServedBundle(name, bundle, preset, prompts, tools, Keeper(opening, patience))


class Served:
    """Everything a server has. Used on the event loop alone."""

    def __init__(self, bundles: Sequence[ServedBundle], limits: Limits) -> None:
        self.bundles: Mapping[str, ServedBundle] = {each.name: each for each in bundles}
        self.admission = Admission(limits)
        self.discretion = Discretion(each.keeper.opening for each in bundles)
        self.holding = Holding()
        self.jobs = KeptJobs(Keeping())
        self.draining = False
        self.watchers: list[OnOver] = []  # told of every picture that is over

    @property
    def ready(self) -> bool:
        """Whether every bundle can render and new work is taken."""
        return not self.draining and all(each.keeper.ready for each in self.bundles.values())

    @property
    def statistics(self) -> Statistics:
        """Of all jobs' pictures."""
        engines = [each.keeper.statistics for each in self.bundles.values()]
        return self.admission.statistics(
            sum(each.evaluations for each in engines), sum(each.rows for each in engines)
        )

    def retry_after_s(self) -> int:
        """Whole seconds until there may be room."""
        return max(1, ceil(self.admission.wait_s() or 1))

    def bundle(self, name: str | None) -> ServedBundle:
        """By name; without one, the first. Raises UsageError."""
        if name is None:
            return next(iter(self.bundles.values()))
        if name not in self.bundles:
            raise UsageError(
                f"There is no bundle called {name!r} here.",
                hint=f"This server has {', '.join(self.bundles)}.",
            )
        return self.bundles[name]

    def submit(self, bundle: ServedBundle, requests: Sequence[Request], service: Service) -> Job:
        """Take a job: all of its pictures, or none.

        Raises UsageError, SizeError, OverloadedError; also where the server is stopping.
        """
        resolver = bundle.resolver()
        job = new_job(bundle.name, service, requests, [resolver(each) for each in requests])
        return self._take(bundle, job)

    def enlarge(self, bundle: ServedBundle, wanted: Sequence[Enlargement], service: Service) -> Job:
        """Take pictures to be enlarged by a bundle's engine: all of them, or none.

        Raises UsageError, OverloadedError.
        """
        for each in wanted:
            bundle.tools.upscalers.check(each.upscaler)
        return self._take(bundle, new_job(bundle.name, service, wanted, wanted))

    def _take(self, bundle: ServedBundle, job: Job) -> Job:
        if self.draining:
            raise OverloadedError("The server is stopping.", hint="Ask another one.")
        service = job.service
        for picture in job.pictures:
            check_made(picture.settings)
        self._admit(job.pictures)
        self.jobs.add(job)
        for picture in job.pictures:
            leave = self._leaver(job, picture)
            bundle.keeper.take(Order(picture, service, job.tell, leave))
        return job

    def ahead(self, job: Job) -> int:
        """Pictures that begin before any of a job's does; 0 once one has begun."""
        if job.state != "waiting":
            return 0
        return min(self.bundles[job.bundle].keeper.ahead(each.id) for each in job.pictures)

    def cancel(self, job: Job) -> None:
        """Take what is left of a job off the device."""
        keeper = self.bundles[job.bundle].keeper
        for picture in job.pictures:
            keeper.cancel(picture.id)

    def start(self) -> None:
        """Start all engines."""
        for each in self.bundles.values():
            each.keeper.start()

    async def drain(self) -> None:
        """Take nothing new; until everything taken is over."""
        self.draining = True
        await asyncio.gather(*(each.keeper.drained() for each in self.bundles.values()))

    async def close(self) -> None:
        """Stop all engines."""
        self.draining = True
        await asyncio.gather(*(each.keeper.close() for each in self.bundles.values()))

    def _admit(self, pictures: Sequence[ServedPicture]) -> None:
        admitted: list[ServedPicture] = []
        held = _held(pictures)
        self.holding.take(held)
        try:
            for picture in pictures:
                self.admission.admit(picture.settings.work_in_all)
                admitted.append(picture)
        except OverloadedError:
            self.holding.give(held)
            for picture in admitted:
                self.admission.withdraw(picture.settings.work_in_all)
            raise

    def _leaver(self, job: Job, picture: ServedPicture) -> Callable[[], None]:
        def leave() -> None:
            settings = picture.settings
            self.admission.leave(settings.work_in_all, str(settings.size), _OUTCOMES[picture.state])
            for watcher in self.watchers:
                watcher(job.bundle, picture)
            if job.over:
                self.holding.give(_held(job.pictures))
                for each in job.pictures:
                    each.forget_pictures()
                job.finished = time.time()
                self.jobs.ended(job)

        return leave


def _held(pictures: Sequence[ServedPicture]) -> int:
    """Bytes of what came with them; those of one job share what they begin from."""
    first = pictures[0].request
    if isinstance(first, Enlargement):
        return sum(bytes_of(each.request) for each in pictures)
    return bytes_of(first)


def name_of(path: Path) -> str:
    """What a bundle is called where nobody says: its folder's name."""
    return path.name.removesuffix(".sakuga")


def _no_session(name: str) -> Session:
    raise AssertionError(f"{name} is not loaded in the HTTP process")
