"""A picture is the same alone and in any company: needles in haystacks that change all the time."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from sakuga.engine.backend.base import Array, Session
from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnx_networks import OnnxNetworks
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import RenderError
from sakuga.engine.image.source import Source
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.fill import Fill
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask, Stage, Upscale
from sakuga.engine.runtime.ticket import Ticket

PLACES, WAIT_S = 4, 120
NEEDLE = Request(
    "1girl, (green hair:1.2), sweater", "lowres, bad", width=128, height=128, steps=4, seed=77
)
LONG_PROMPT = ", ".join(f"tag number {n}" for n in range(40))  # two chunks


@contextmanager
def engine_of(bundle: Bundle, places: int) -> Iterator[Engine]:
    sessions = OnnxNetworks(bundle, threads=1)
    with Engine(bundle, lambda: CpuDevice(Networks.of(bundle), sessions, places)) as engine:
        yield engine


@pytest.fixture(scope="module")
def alone(sdxl_bundle: Bundle) -> bytes:
    """By an engine of one place that renders nothing else."""
    with engine_of(sdxl_bundle, 1) as engine:
        return engine.render(NEEDLE).pixels.tobytes()


def neighbour(random: Random) -> Request:
    """Another picture: mostly of the needle's size, else all is drawn."""
    return Request(
        random.choice(["1boy, hat", "2girls, night AND (rain:1.3) :0.6", LONG_PROMPT, ""]),
        random.choice([None, "", "worst quality", LONG_PROMPT]),
        width=random.choice([128] * 7 + [160]),
        height=128,
        steps=random.randint(2, 6),
        guidance=random.choice([1.0, 3.0, 5.0, 7.0]),
        guidance_interval=random.choice([None, (0.25, 0.75)]),
        sampler=random.choice(["Euler a", "Euler", "DPM++ 2M Karras", "DDIM", "Heun", "LMS"]),
        seed=random.getrandbits(32),
        compat=random.choice(["a1111", "comfy", "diffusers"]),
    )


class Crowd:
    """Keeps an engine full of neighbours that come and go."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self._engine, self._random = engine, Random(seed)
        self._stop = threading.Event()
        self._tickets: list[Ticket] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Crowd":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for ticket in self._tickets:
            ticket.cancel()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._tickets = [ticket for ticket in self._tickets if not ticket.done]
            if len(self._tickets) < PLACES + 2:
                request, priority = neighbour(self._random), self._random.randint(-1, 1)
                self._tickets.append(self._engine.submit(request, priority=priority))
            elif self._random.random() < 0.3:
                self._random.choice(self._tickets).cancel()
            self._stop.wait(self._random.random() * 0.02)


@pytest.mark.parametrize("trials", [8, pytest.param(64, marks=pytest.mark.slow)])
def test_a_needle_is_the_same_in_every_haystack(
    trials: int, sdxl_bundle: Bundle, alone: bytes
) -> None:
    same, random = 0, Random(5)
    with engine_of(sdxl_bundle, PLACES) as engine, Crowd(engine, seed=1):
        for _ in range(trials):
            ticket = engine.submit(NEEDLE, priority=random.choice([0, 2]))
            same += ticket.result(WAIT_S).pixels.tobytes() == alone
        company = engine.statistics.rows_per_evaluation
        cancelled = engine.statistics.cancelled
    assert same == trials
    assert company > 2.5 and cancelled > 0, "the needle was mostly alone, so this says nothing"


def test_a_needle_is_the_same_after_a_restart(sdxl_bundle: Bundle, alone: bytes) -> None:
    with engine_of(sdxl_bundle, PLACES) as engine:
        tickets = [engine.submit(NEEDLE) for _ in range(PLACES)]
        assert {ticket.result(WAIT_S).pixels.tobytes() for ticket in tickets} == {alone}


def staged(random: Random, number: int) -> Request:
    """A picture that begins from another, or of several passes; which, by its number."""
    pixels = np.random.default_rng(number).integers(0, 256, (128, 128, 3), np.uint8)
    begun = Init(Source.of(pixels), random.choice([0.4, 0.75, 1.0]))
    drawn = np.zeros((128, 128), np.uint8)
    top, left = random.randrange(64), random.randrange(64)
    drawn[top : top + random.randint(24, 64), left : left + random.randint(24, 64)] = 255
    blur, fill = random.choice([None, 0.0, 6.0]), random.choice(list(Fill))
    mask = Mask(Source.of(drawn), blur, fill=fill)

    def hires(upscaler: str) -> Hires:
        return Hires(random.choice([1.25, 1.5]), upscaler=upscaler, strength=0.6, steps=3)

    kinds: list[tuple[Init | None, tuple[Stage, ...]]] = [
        (begun, ()),
        (replace(begun, mask=mask), ()),
        (replace(begun, mask=replace(mask, area="masked")), ()),
        (None, (hires("latent"),)),
        (None, (hires("lanczos"),)),
        (None, (Upscale("lanczos", 1.25), hires("latent"))),
        (None, (hires("latent-bicubic"), Upscale("nearest", 1.5))),
        (begun, (hires("lanczos"),)),
    ]
    init, stages = kinds[number % len(kinds)]
    small = replace(neighbour(random), width=128, height=128, steps=6, seed=number)
    return replace(small, init=init, stages=stages)


@pytest.mark.parametrize("needles", [8, pytest.param(64, marks=pytest.mark.slow)])
def test_pictures_of_several_passes_are_the_same_in_every_haystack(
    needles: int, sdxl_bundle: Bundle
) -> None:
    random = Random(9)
    asked = [staged(random, number) for number in range(needles)]
    with engine_of(sdxl_bundle, 1) as engine:
        alone = [engine.render(request).pixels for request in asked]
    order = random.sample(range(needles), needles)
    with engine_of(sdxl_bundle, PLACES) as engine, Crowd(engine, seed=2):
        tickets = {at: engine.submit(asked[at], priority=random.choice([0, 2])) for at in order}
        together = [tickets[at].result(WAIT_S).pixels for at in range(needles)]
        company = engine.statistics.rows_per_evaluation
    differing = [at for at in range(needles) if not np.array_equal(alone[at], together[at])]
    assert differing == []
    assert company > 2, "they were mostly alone, so this says nothing"


@pytest.mark.slow
def test_faces_painted_anew_are_the_same_in_company(demo_bundle: Bundle) -> None:
    asked = [
        Request(f"1girl, {hair} hair, smile", steps=6, seed=seed, stages=(Detail(strength=0.5),))
        for seed, hair in enumerate(["blue", "red", "black", "blonde"])
    ]
    with engine_of(demo_bundle, 1) as engine:
        alone = [engine.render(request) for request in asked]
    with engine_of(demo_bundle, PLACES) as engine:
        tickets = [engine.submit(request) for request in asked]
        together = [ticket.result(WAIT_S) for ticket in tickets]
    assert [np.array_equal(*pair) for pair in zip(
        (each.pixels for each in alone), (each.pixels for each in together), strict=True
    )] == [True] * 4  # fmt: skip
    found = [each for each in alone if not any("found nothing" in note for note in each.notes)]
    assert len(found) >= 2, "there was hardly a face to paint, so this says nothing"


class Leaky:
    """A session whose rows know how many they are."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        found = self._session.run(inputs)
        return {name: array * np.float32(1 + 1e-6 * len(array)) for name, array in found.items()}


class LeakyNetworks(OnnxNetworks):
    """Whose UNet is leaky."""

    def __call__(self, name: str) -> Session:
        session = super().__call__(name)
        return Leaky(session) if name == "unet" else session


def test_a_network_whose_rows_know_of_each_other_is_found_out(sdxl_bundle: Bundle) -> None:
    def engine(places: int) -> Engine:
        networks, leaky = Networks.of(sdxl_bundle), LeakyNetworks(sdxl_bundle, threads=1)
        return Engine(sdxl_bundle, lambda: CpuDevice(networks, leaky, places))

    with engine(1) as lonely:
        list(lonely.render_many([NEEDLE] * 2))  # who has no company may have any network
    with engine(2) as shared:
        shared.render(NEEDLE)  # and so may who has none now
        with pytest.raises(RenderError, match="depend on"):
            list(shared.render_many([NEEDLE] * 2))
