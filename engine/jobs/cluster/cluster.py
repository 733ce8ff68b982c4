"""Pictures from all machines of a Ray cluster: batches handed out, and losses made up for."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import EngineFault, RenderError, SakugaError
from sakuga.engine.jobs.cluster.actor import TRIES
from sakuga.engine.jobs.cluster.connection import connected, ray_library
from sakuga.engine.jobs.cluster.elsewhere import DeviceElsewhere, engine_elsewhere
from sakuga.engine.jobs.cluster.node import survey
from sakuga.engine.jobs.cluster.order import EngineOptions, Order, alike_here
from sakuga.engine.jobs.cluster.outcome import Broken, Made, PutOff, Unmade
from sakuga.engine.jobs.cluster.slots import Slots, find_slots
from sakuga.engine.jobs.cluster.stream import streamed
from sakuga.engine.runtime.request import Request

Say = Callable[[str], None]
Outcomes = Generator[Made | Unmade, None, None]

_FEW = 4096  # batches: Ray Data takes a millisecond and more for each, however small
_MOST_IN_A_BATCH = 16
_PATIENCE_S = 10.0  # before somebody is told what is waited for


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster with room for engines of one bundle. `engine` checks requests as they would,
    and renders nothing."""

    engine: Engine
    slots: Slots
    order: Order

    def outcomes(self, requests: Sequence[Request]) -> Outcomes:
        """What becomes of the requests, in order of completion; `.index` tells which it was of.

        Every request has one outcome, whatever dies meanwhile: a process that does is replaced, and
        what it had begun is begun again, to the same bytes. What was with processes that died more
        than once is rendered at the end, each picture with an engine to itself, and given up where
        that dies too. Closing the generator ends what is being rendered.

        Raises what keeps engines from going on: BundleError, EngineFault and others.
        """
        left = dict(enumerate(requests))
        for alone in (False, True):
            if left:
                with closing(self._round(dict(left), alone)) as told:
                    for outcome in told:
                        if left.pop(outcome.index, None) is not None:
                            yield outcome
        yield from (Unmade(index, _deadly()) for index in left)

    def _round(self, requests: dict[int, Request], alone: bool) -> Outcomes:
        """Render them; with `alone`, an engine has one picture at a time."""
        size = 1 if alone else min(_MOST_IN_A_BATCH, 1 + len(requests) // _FEW)
        at_once = 1 if alone else -(-self.engine.appetite // size)
        tasks = list(requests.items())
        batches = [tasks[start : start + size] for start in range(0, len(tasks), size)]
        with _ray_failures(), closing(streamed(batches, self.order, self.slots, at_once)) as came:
            for told in came:
                if isinstance(told, Broken):
                    raise _broken(told)
                if not isinstance(told, PutOff):
                    yield told


@contextmanager
def opened_cluster(
    bundle: Path, address: str, options: EngineOptions, say: Say
) -> Iterator[Cluster]:
    """A cluster for the block, its first engine's device known. `address`: as `connected` has it;
    `say` is told which cluster that is, and what is waited for.

    Raises UsageError where there is no cluster, or none with room; MissingDependencyError without
    Ray; and what opening the bundle and an engine on the cluster raises.
    """
    found = open_bundle(bundle.absolute())
    with connected(address) as told:
        say(told)
        slots = find_slots(ray_library().nodes(), found, options.backend, options.threads)
        say(f"{slots}. {slots.note}".strip())
        order = _order(found, options, slots)
        device = _surveyed(order, slots, say)
        with engine_elsewhere(order, device) as engine:
            yield Cluster(engine, slots, order.computing(device.name))


def _order(bundle: Bundle, options: EngineOptions, slots: Slots) -> Order:
    options = replace(
        options,
        embeddings=options.embeddings and options.embeddings.absolute(),
        upscalers=options.upscalers and options.upscalers.absolute(),
        detectors=options.detectors and options.detectors.absolute(),
    )
    if not slots.gpus:
        options = replace(options, backend="onnx", threads=slots.cpus)
    node = ray_library().get_runtime_context().get_node_id()
    alike = alike_here(bundle, options)
    return Order(bundle.path, bundle.manifest.to_json(), node, options, alike)


def _surveyed(order: Order, slots: Slots, say: Say) -> DeviceElsewhere:
    """The device of whichever slot is free first, and so of all: see `open_here`."""
    ray = ray_library()
    with _ray_failures():
        ask = ray.remote(num_cpus=slots.cpus, num_gpus=slots.gpus, max_calls=1)(survey)
        answer = ask.remote(order)
        if not ray.wait([answer], timeout=_PATIENCE_S)[0]:
            say("Waiting for a free slot of the cluster, or for the bundle to be there.")
        told: DeviceElsewhere | Broken = ray.get(answer)
    if isinstance(told, Broken):
        raise _broken(told)
    return told


@contextmanager
def _ray_failures() -> Iterator[None]:
    """What Ray says of itself, or of errors nobody foresaw, as people are told."""
    ray = ray_library()
    failures = ray.data.exceptions
    try:
        yield
    except (
        ray.exceptions.RayError, failures.SystemException, failures.ExecutionTimeoutError
    ) as error:  # fmt: skip
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise EngineFault(
            "The engines on the Ray cluster cannot go on.",
            note=" ".join(lines[-1:]) or type(error).__name__,
            hint="Ray's own logs say more: /tmp/ray/session_latest/logs on the machines.",
        ) from error


def _broken(told: Broken) -> SakugaError:
    error = told.error
    error.note = f"{error.note} This was on {told.host}.".strip()
    return error


def _deadly() -> RenderError:
    return RenderError(
        f"Each of the {2 * TRIES} processes that began this picture died.",
        note="The last had nothing else to do.",
        hint="Ray's logs may say of what; often it is memory: the machine's, or too small a limit.",
    )
