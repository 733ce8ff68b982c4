"""The CUDA device whole, on a processor that plays a GPU as unkindly as CUDA allows.

Work is put off until somebody waits and memory given back is poisoned, so a missing event, a
buffer reused too early or an address that has moved shows as a wrong picture.
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.base import Session
from sakuga.engine.backend.cuda.device import CudaDevice
from sakuga.engine.backend.cuda.driver import Buffer, Graph, NotCapturedError, Stream
from sakuga.engine.backend.cuda.host_driver import HostDriver, HostSession
from sakuga.engine.backend.cuda.options import CudaOptions
from sakuga.engine.backend.cuda.session import Binding, DeviceSession
from sakuga.engine.backend.tiled_vae import encode
from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import DeviceMemoryError, EngineFault, RenderError
from sakuga.engine.manifest import MANIFEST
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.ticket import Ticket
from sakuga.profiles.buckets import Size, SizeList

EngineOn = Callable[..., AbstractContextManager[Engine]]
DeviceOn = Callable[..., CudaDevice]
STEP = "denoise_step_float"

SMALL = Request("1girl, green hair", "lowres", width=128, height=160, steps=4, seed=11)
# Sizes, lengths of prompts, guidance, steps and seeds of all kinds; more than fit at once.
MANY = [
    SMALL,
    replace(SMALL, seed=12, steps=2),
    replace(SMALL, prompt="girl " * 85, seed=13),
    replace(SMALL, guidance=1.0, seed=14, steps=3),
    replace(SMALL, width=160, height=128, seed=15),
    replace(SMALL, seed=16, sampler="Euler", compat="diffusers"),
    replace(SMALL, prompt="girl " * 170, negative_prompt="bad " * 80, seed=17, steps=2),
    replace(SMALL, seed=18, guidance=3.5),
    replace(SMALL, seed=19, rng="CPU"),
    replace(SMALL, seed=20, rng="CPU", ensd=31337, sampler="DPM++ 2M SDE", steps=3),
    replace(SMALL, seed=21, compat="comfy", variation_seed=9, variation_strength=0.4),
    replace(SMALL, seed=22, seed_resize=Size(96, 200), ensd=1),
]
VISITORS = frozenset({"text_encoder", "text_encoder_2", "vae_decoder"})


@pytest.fixture(scope="module")
def on_the_processor(sdxl_bundle: Bundle) -> list[NDArray[np.uint8]]:
    """The pictures of MANY by the CPU device, each alone."""
    with Engine.open(sdxl_bundle.path, threads=1) as engine:
        return [engine.render(request).pixels for request in MANY]


def assert_same(pictures: list[Picture], wanted: list[NDArray[np.uint8]]) -> None:
    """Equal but for what the last bit of a logarithm may do to a byte."""
    assert sorted(picture.index for picture in pictures) == list(range(len(wanted)))
    for picture in pictures:
        apart = np.abs(picture.pixels.astype(int) - wanted[picture.index])
        assert apart.max() <= 1 and (apart > 0).mean() < 1e-3


@pytest.mark.parametrize(
    "options",
    [
        CudaOptions(rows=4),
        CudaOptions(rows=7, vae_rows=2),
        CudaOptions(rows=1),
        CudaOptions(rows=4, graphs=False),
        CudaOptions(rows=16, overlap=False, padding="none"),
        CudaOptions(rows=4, visitors=frozenset({"text_encoder", "text_encoder_2"})),
        CudaOptions(rows=4, visitors=VISITORS, turns=True),
        CudaOptions(rows=5, vae_rows=2, padding="full"),
    ],
    ids=[
        "four rows",
        "seven rows, two decoded at once",
        "one row",
        "no graphs",
        "no overlap, no padding",
        "encoders visit",
        "everything visits, in turns",
        "full rows in every call",
    ],
)
def test_pictures_are_those_of_the_processor(
    engine_on: EngineOn,
    sdxl_bundle: Bundle,
    on_the_processor: list[NDArray[np.uint8]],
    options: CudaOptions,
) -> None:
    with engine_on(sdxl_bundle, HostDriver(), options) as engine:
        assert_same(list(engine.render_many(MANY)), on_the_processor)
        assert_same([replace(engine.render(MANY[0]), index=0)], on_the_processor[:1])


def test_a_picture_of_a_batch_is_the_same_alone(engine_on: EngineOn, sdxl_bundle: Bundle) -> None:
    requests = [one for each in MANY[-4:] for one in each.times(2)]
    with engine_on(sdxl_bundle, HostDriver(), CudaOptions(rows=8)) as engine:
        together = {each.index: each.pixels for each in engine.render_many(requests)}
    with engine_on(sdxl_bundle, HostDriver(), CudaOptions(rows=8)) as engine:
        for index, request in enumerate(requests):
            assert np.array_equal(engine.render(request).pixels, together[index])


def test_watched_pictures_are_the_same(
    engine_on: EngineOn, sdxl_bundle: Bundle, on_the_processor: list[NDArray[np.uint8]]
) -> None:
    told: list[tuple[int, int, int]] = []
    with engine_on(sdxl_bundle, HostDriver()) as engine:
        pictures = list(engine.render_many(MANY[:2], lambda *step: told.append(step)))
    assert_same(pictures, on_the_processor[:2])
    assert sorted(told) == [(0, 1, 4), (0, 2, 4), (0, 3, 4), (0, 4, 4), (1, 1, 2), (1, 2, 2)]


def test_float16_networks_have_float16_rows(engine_on: EngineOn, sdxl_fp16_bundle: Bundle) -> None:
    with Engine.open(sdxl_fp16_bundle.path, threads=1) as engine:
        wanted = [engine.render(request).pixels for request in MANY[:3]]
    with engine_on(sdxl_fp16_bundle, HostDriver()) as engine:
        assert_same(list(engine.render_many(MANY[:3])), wanted)


@pytest.mark.parametrize(
    "options",
    [
        CudaOptions(rows=4),
        CudaOptions(rows=4, visitors=VISITORS | {"vae_encoder"}, turns=True),
        CudaOptions(rows=5, padding="full"),
        CudaOptions(rows=4, sizes=SizeList((Size(128, 160), Size(128, 192)))),
    ],
    ids=["usual", "everything visits", "full rows", "sizes of its own"],
)
def test_pictures_are_encoded_between_others(
    device_on: DeviceOn,
    load_network: Callable[[Path], Session],
    sdxl_bundle: Bundle,
    options: CudaOptions,
) -> None:
    """Of several sizes, some of them twice, with the decoder on the same stream and memory."""
    random, device = np.random.default_rng(5), device_on(sdxl_bundle, HostDriver(), options)
    encoder = load_network(sdxl_bundle.graph("vae_encoder"))
    for height, width in ((160, 128), (192, 128), (160, 128), (256, 160)):
        image = random.uniform(-1, 1, (3, height, width)).astype(np.float32)
        tile = (24, 16) if options.sizes and height > 192 else (height // 8, width // 8)
        wanted, found = encode(image, encoder, tile), device.encode(image)
        assert np.array_equal(found.mean, wanted.mean)
        assert np.array_equal(found.logvar, wanted.logvar)
        latent = np.zeros((1, 4, height // 8, width // 8), np.float32)
        device.network("vae_decoder").run({"latent": latent})
    device.close()


def test_odd_latents_of_sd15(engine_on: EngineOn, sd15_bundle: Bundle) -> None:
    requests = [Request("1girl", width=136, height=184, steps=2, seed=seed) for seed in (1, 2)]
    with Engine.open(sd15_bundle.path, threads=1) as engine:
        wanted = [engine.render(request).pixels for request in requests]
    with engine_on(sd15_bundle, HostDriver()) as engine:
        assert_same(list(engine.render_many(requests)), wanted)


def test_a_step_is_one_graph_and_one_kernel(engine_on: EngineOn, sdxl_bundle: Bundle) -> None:
    driver = HostDriver()
    with engine_on(sdxl_bundle, driver) as engine:
        engine.render(replace(SMALL, steps=2))  # binds, then captures
        engine.denoise(replace(SMALL, steps=1))  # encodes nothing more
        driver.launches.clear()
        engine.denoise(replace(SMALL, steps=28))
    steps = [name for name in driver.launches if name in {"graph", STEP}]
    assert steps == ["graph", STEP] * 28
    assert sorted(set(driver.launches) - set(steps)) == ["init_noise", "model_inputs_float"]


def test_the_host_is_two_evaluations_ahead_and_waits_for_nothing_else(
    engine_on: EngineOn, sdxl_bundle: Bundle
) -> None:
    """What has run after each step tells what was waited for: the GPU that is played here does
    nothing else."""
    driver, seen = HostDriver(), list[tuple[int, int, int]]()

    def look(index: int, done: int, total: int) -> None:
        seen.append((driver.launches.count(STEP), driver.ran.count(STEP), driver.waits))

    with engine_on(sdxl_bundle, driver) as engine:
        list(engine.render_many([replace(SMALL, steps=8)], look))
    put, ran, waits = zip(*seen, strict=True)
    assert put == (1, 2, 3, 4, 5, 6, 7, 8)
    assert ran == (0, 0, 1, 2, 3, 4, 5, 6)
    assert [later - sooner for sooner, later in pairwise(waits)] == [0, 1, 1, 1, 1, 1, 1]


def test_a_place_is_used_again_while_its_picture_is_decoded(
    engine_on: EngineOn, sdxl_bundle: Bundle, on_the_processor: list[NDArray[np.uint8]]
) -> None:
    requests = [MANY[n] for n in (0, 1, 7, 3, 0, 1, 7, 3)]
    wanted = [on_the_processor[n] for n in (0, 1, 7, 3, 0, 1, 7, 3)]
    with engine_on(sdxl_bundle, HostDriver(), CudaOptions(rows=2)) as engine:
        assert_same(list(engine.render_many(requests)), wanted)


def test_more_sizes_than_lanes(engine_on: EngineOn, sdxl_bundle: Bundle) -> None:
    sizes = [(128 + 32 * n, 128) for n in range(6)] + [(128, 128 + 32 * n) for n in range(1, 6)]
    requests = [replace(SMALL, width=w, height=h, steps=1) for w, h in sizes]
    with engine_on(sdxl_bundle, HostDriver()) as engine:
        for _ in range(2):
            for request in requests:
                assert engine.render(request).pixels.std() > 5
        assert len(engine._worker.device._lanes) <= 9  # type: ignore[attr-defined]


LARGE = 64 << 20  # all that is not working memory fits into it several times


def test_when_memory_runs_out_the_engine_goes_on_with_fewer_rows(
    engine_on: EngineOn,
    sdxl_bundle: Bundle,
    on_the_processor: list[NDArray[np.uint8]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Room for the working memory of three rows, where six are tried first."""
    requests, driver = [MANY[n] for n in (0, 8, 7)], HostDriver(3 * LARGE + LARGE // 2)
    with engine_on(sdxl_bundle, driver, CudaOptions(rows=6), unet=LARGE) as engine:
        pictures = list(engine.render_many(requests))
        assert engine._worker.device.rows == 3
    assert_same(pictures, [on_the_processor[n] for n in (0, 8, 7)])
    assert "going on with 3" in caplog.text


@pytest.mark.parametrize("network", ["vae_decoder", "text_encoder_2"])
def test_others_may_have_the_memory_of_the_steps(
    engine_on: EngineOn,
    sdxl_bundle: Bundle,
    on_the_processor: list[NDArray[np.uint8]],
    network: str,
) -> None:
    """Not enough for both at once: the steps' working memory makes room and comes back."""
    driver = HostDriver(2 * LARGE + LARGE // 2)
    with engine_on(
        sdxl_bundle, driver, CudaOptions(rows=2), unet=LARGE, **{network: LARGE}
    ) as engine:
        for n in (0, 2, 7):
            assert_same([replace(engine.render(MANY[n]), index=0)], [on_the_processor[n]])


def test_what_does_not_fit_at_all_is_said_with_size_and_rows(
    engine_on: EngineOn, sdxl_bundle: Bundle
) -> None:
    driver = HostDriver(LARGE)
    with engine_on(sdxl_bundle, driver, CudaOptions(rows=4), unet=LARGE) as engine:
        with pytest.raises(DeviceMemoryError, match="128x160 with 1 rows") as caught:
            engine.render(SMALL)
        assert "MB are free" in str(caught.value) and "smaller size" in str(caught.value)
        assert engine.decode(np.zeros((4, 16, 16), np.float32)).shape == (1, 3, 128, 128)


class Failing:
    """A VAE that fails in one way or another."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def bind(self, tensors: object, arena: object) -> Binding:
        raise self._error

    def close(self) -> None:
        pass


def handed_in(engine: Engine, requests: list[Request]) -> list[Ticket]:
    """The tickets of those that are taken before it has failed."""
    tickets = list[Ticket]()
    with suppress(EngineFault):
        for request in requests:
            tickets.append(engine.submit(request))
    return tickets


@pytest.mark.parametrize(
    ("network", "error"),
    [
        ("vae_decoder", EngineFault("gone")),
        ("vae_decoder", RenderError("gone")),
        ("vae_decoder", ValueError("gone")),
        ("text_encoder", EngineFault("gone")),
        ("unet", EngineFault("gone")),
    ],
)
def test_whatever_fails_nobody_waits_for_ever(
    engine_on: EngineOn, sdxl_bundle: Bundle, network: str, error: Exception
) -> None:
    def change(name: str, session: HostSession) -> DeviceSession:
        return Failing(error) if name == network else session

    with engine_on(sdxl_bundle, HostDriver(), change=change) as engine:
        tickets = handed_in(engine, MANY[:3])
        assert tickets
        for ticket in tickets:
            with pytest.raises(type(error), match="gone"):
                ticket.result(60)
        assert (engine.fault is not None) == isinstance(error, EngineFault)


def test_a_run_that_cannot_be_captured_is_launched_plainly(
    engine_on: EngineOn, sdxl_bundle: Bundle, on_the_processor: list[NDArray[np.uint8]]
) -> None:
    class Uncaptured(HostDriver):
        def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
            raise NotCapturedError("not this one")

    driver = Uncaptured()
    with engine_on(sdxl_bundle, driver) as engine:
        assert_same(list(engine.render_many(MANY[:2])), on_the_processor[:2])
    assert "graph" not in driver.launches


def test_a_lane_survives_memory_that_runs_out_for_longer_prompts(
    engine_on: EngineOn, sdxl_bundle: Bundle, on_the_processor: list[NDArray[np.uint8]]
) -> None:
    class Tight(HostDriver):
        """Fails once when rows for longer prompts are asked for."""

        failures = 1

        def allocate(self, size_bytes: int) -> Buffer:
            rows = size_bytes / (4 * 4 * 16 * 20)
            if rows == 64 + 8 and self.failures:
                self.failures -= 1
                raise DeviceMemoryError("too little memory")
            return super().allocate(size_bytes)

    driver = Tight()
    with engine_on(sdxl_bundle, driver, CudaOptions(rows=2)) as engine:
        pictures = [engine.render(MANY[n]) for n in (0, 2)]
    assert driver.failures == 0
    for picture, n in zip(pictures, (0, 2), strict=True):
        assert_same([replace(picture, index=0)], [on_the_processor[n]])


def test_everything_is_given_back(engine_on: EngineOn, sdxl_bundle: Bundle) -> None:
    driver = HostDriver()
    with engine_on(sdxl_bundle, driver) as engine:
        list(engine.render_many(MANY[:4]))
        assert driver.free_bytes() < 1 << 40
    assert driver.free_bytes() == 1 << 40


class NotANumber:
    """A VAE whose pictures have one value that is none."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        image = self._session.run(inputs)["image"].copy()
        image[:, 1, 5, 7] = np.nan
        return {"image": image}


def broken_decoder(name: str, session: HostSession) -> DeviceSession:
    """As `change` of an engine."""
    if name == "vae_decoder":
        session._session = NotANumber(session._session)
    return session


def test_a_picture_that_is_not_finite_is_decoded_again_and_says_so(
    engine_on: EngineOn,
    sdxl_bundle: Bundle,
    on_the_processor: list[NDArray[np.uint8]],
    tmp_path: Path,
) -> None:
    exact = sdxl_bundle.manifest.networks["vae_decoder"].graph
    copy = Path(shutil.copytree(sdxl_bundle.path, tmp_path / "copy.sakuga"))
    manifest = replace(sdxl_bundle.manifest, exact_decoder=exact)
    (copy / MANIFEST).write_text(manifest.to_json())
    with engine_on(open_bundle(copy), HostDriver(), change=broken_decoder) as engine:
        picture = engine.render(MANY[0])
    assert_same([replace(picture, index=0)], on_the_processor[:1])
    assert "decoded again in float32" in picture.notes[-1]
    assert "Decoder: float32" in picture.parameters


def test_without_an_exact_decoder_it_is_an_error(engine_on: EngineOn, sdxl_bundle: Bundle) -> None:
    with (
        engine_on(sdxl_bundle, HostDriver(), change=broken_decoder) as engine,
        pytest.raises(RenderError, match="vae_decoder gave NaN"),
    ):
        engine.render(MANY[0])
