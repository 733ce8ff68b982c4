"""The engine: a picture depends on its request and on nothing else."""

import io
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sakuga.engine.backend.base import Session
from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnx_networks import OnnxNetworks
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import BundleFormatError, RenderError, SakugaError, SizeError, UsageError
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.request import Request
from sakuga.engine.text.conditioning import time_ids
from sakuga.kernels.philox import normals
from sakuga.kernels.to_rgb8 import to_rgb8
from sakuga.profiles.buckets import Size

Arrays = dict[str, NDArray[Any]]

SMALL = Request("1girl, green hair", "lowres", width=128, height=160, steps=3, seed=11)
OTHER = Request("2boys, hat", width=160, height=128, steps=2, seed=5, guidance=4.0, sampler="Euler")


@pytest.fixture(scope="module")
def alone(sdxl_bundle: Bundle) -> NDArray[np.uint8]:
    """The picture of SMALL by an engine that rendered nothing else."""
    with Engine.open(sdxl_bundle.path, threads=1) as engine:
        return engine.render(SMALL).pixels


class Recorder:
    """Passes calls on to a session and remembers their rows and context lengths."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.shapes: list[tuple[int, int]] = []

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        rows, context, _ = inputs["encoder_hidden_states"].shape
        self.shapes.append((rows, context))
        return self._session.run(inputs)


class Answer:
    """A session that always says the same."""

    def __init__(self, outputs: Arrays) -> None:
        self._outputs = outputs

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        return self._outputs


class Replaced:
    """The networks of a bundle, some of them replaced, from now on or later."""

    def __init__(self, bundle: Bundle) -> None:
        self._networks = OnnxNetworks(bundle, threads=1)
        self.replaced: dict[str, Session] = {}

    def __call__(self, name: str) -> Session:
        return self.replaced.get(name) or self._networks(name)

    def close(self) -> None:
        self._networks.close()


@contextmanager
def engine_with(bundle: Bundle) -> Iterator[tuple[Engine, Replaced]]:
    networks = Replaced(bundle)
    with Engine(bundle, lambda: CpuDevice(Networks.of(bundle), networks)) as engine:
        yield engine, networks


@pytest.fixture
def recorded(sdxl_bundle: Bundle) -> Iterator[tuple[Engine, Recorder]]:
    with engine_with(sdxl_bundle) as (engine, networks):
        networks.replaced["unet"] = recorder = Recorder(networks("unet"))
        yield engine, recorder


def denoised(
    bundle: Bundle, engine: Engine, request: Request, weights: list[float]
) -> NDArray[np.float64]:
    """The same picture by hand in float64, one UNet call a row."""
    settings = engine.resolve(request)
    table, size = settings.table, settings.size
    unet = OnnxSession(bundle.graph("unet"), threads=1)
    prompts = PromptEncoder(bundle, lambda name: OnnxSession(bundle.graph(name), threads=1))
    guided = replace(settings, guidance=7.0)  # to have both prompts, whatever their weights
    positives, negative = prompts.encode(guided)
    courses = [*positives, *([] if negative is None else [negative])]
    shape = (4, *size.latent())
    assert request.seed is not None
    x = normals(request.seed, 0, int(np.prod(shape))).reshape(shape) * table.init_scale
    histories = np.zeros((table.histories, *shape))
    for step in range(table.evaluations):
        eps = np.zeros(shape)
        for course, weight in zip(courses, weights, strict=True):
            conditioning = course.conditionings[step]
            assert conditioning.pooled is not None
            inputs = {
                "sample": (x * table.c_in[step])[None].astype(np.float32),
                "timestep": np.array([table.timestep[step]], np.float32),
                "encoder_hidden_states": conditioning.states[None],
                "text_embeds": conditioning.pooled[None],
                "time_ids": time_ids(size)[None],
            }
            eps += weight * unet.run(inputs)["noise_pred"][0].astype(np.float64)
        noise = normals(request.seed, int(table.draw[step]), int(np.prod(shape))).reshape(shape)
        kept = table.e[step] * x + table.f[step] * eps
        x = table.a[step] * x + table.b[step] * eps + table.c[step] * noise
        x += np.tensordot(table.d[step], histories, 1)
        if kept.any():
            histories[table.write[step]] = kept
    return np.asarray(x, np.float64)


def assert_near(found: NDArray[Any], expected: NDArray[Any], bar: float) -> None:
    assert np.abs(found - expected).max() <= bar * np.abs(expected).max()


def test_a_picture_has_the_size_and_seed_asked_for(sdxl_engine: Engine) -> None:
    picture = sdxl_engine.render(SMALL)
    assert picture.pixels.shape == (160, 128, 3) and picture.pixels.dtype == np.uint8
    assert (picture.index, picture.seed, picture.notes) == (0, 11, ())
    assert picture.pixels.std() > 5  # something is on it


def test_a_picture_is_the_same_after_others_and_after_reopening(
    sdxl_engine: Engine, alone: NDArray[np.uint8]
) -> None:
    pictures = list(sdxl_engine.render_many([OTHER, SMALL, OTHER, SMALL]))
    assert [picture.index for picture in pictures] == [0, 1, 2, 3]
    assert np.array_equal(pictures[1].pixels, alone)
    assert np.array_equal(pictures[3].pixels, alone)
    assert np.array_equal(pictures[0].pixels, pictures[2].pixels)


def test_another_seed_is_another_picture(sdxl_engine: Engine, alone: NDArray[np.uint8]) -> None:
    assert not np.array_equal(sdxl_engine.render(replace(SMALL, seed=12)).pixels, alone)


def test_sizes_may_be_mixed(sdxl_engine: Engine) -> None:
    sizes = [Size(128, 160), Size(160, 128), Size(192, 128), Size(128, 160)]
    requests = [replace(SMALL, width=s.width, height=s.height, steps=2) for s in sizes]
    pictures = list(sdxl_engine.render_many(requests))
    assert [picture.pixels.shape[:2] for picture in pictures] == [
        (s.height, s.width) for s in sizes
    ]
    assert np.array_equal(pictures[0].pixels, pictures[3].pixels)


@pytest.fixture(scope="module")
def three_at_once(sdxl_bundle: Bundle) -> Iterator[Engine]:
    """An engine that works on three pictures of one size in turns."""

    def device() -> CpuDevice:
        return CpuDevice(Networks.of(sdxl_bundle), OnnxNetworks(sdxl_bundle, 1), slots=3)

    with Engine(sdxl_bundle, device) as engine:
        yield engine


@pytest.mark.parametrize(
    "noise",
    [
        {},
        {"rng": "CPU"},
        {"rng": "ComfyUI"},
        {"rng": "CPU", "ensd": 31337},
        {"rng": "CPU", "variation_seed": 3, "variation_strength": 0.3},
        {"variation_seed": 3, "variation_strength": 0.3, "seed_resize": Size(96, 200)},
    ],
    ids=str,
)
@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2S a"])
def test_a_picture_of_a_batch_is_the_same_alone(
    three_at_once: Engine, sdxl_engine: Engine, noise: dict[str, Any], sampler: str
) -> None:
    requests = replace(SMALL, sampler=sampler, **noise).times(3)
    together = {each.index: each for each in three_at_once.render_many([*requests, OTHER])}
    single = sdxl_engine.render(requests[2])
    assert np.array_equal(together[2].pixels, single.pixels)
    assert together[2].parameters == single.parameters
    assert not np.array_equal(together[0].pixels, together[1].pixels)


def test_steps_are_reported(sdxl_engine: Engine) -> None:
    told: list[tuple[int, int, int]] = []
    requests = [replace(SMALL, steps=2), replace(SMALL, steps=1)]
    list(sdxl_engine.render_many(requests, lambda *step: told.append(step)))
    assert told == [(0, 1, 2), (0, 2, 2), (1, 1, 1)]


def test_guided_steps_are_one_call_of_two_rows(recorded: tuple[Engine, Recorder]) -> None:
    engine, unet = recorded
    engine.denoise(SMALL)
    assert unet.shapes == [(2, 77)] * 3


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M", "DPM2 a", "LMS", "UniPC"])
def test_a_latent_is_what_the_formulas_say(
    sdxl_bundle: Bundle, sdxl_engine: Engine, sampler: str
) -> None:
    request = replace(SMALL, sampler=sampler, steps=5)
    expected = denoised(sdxl_bundle, sdxl_engine, request, [7.0, -6.0])
    assert_near(sdxl_engine.denoise(request), expected, 1e-4)


def test_a_long_prompt_beside_a_short_one(
    sdxl_bundle: Bundle, recorded: tuple[Engine, Recorder]
) -> None:
    engine, unet = recorded
    request = replace(SMALL, prompt="girl " * 85)
    latent = engine.denoise(request)
    assert unet.shapes == [(1, 77), (1, 154)] * 3
    assert_near(latent, denoised(sdxl_bundle, engine, request, [7.0, -6.0]), 1e-4)
    shorter = engine.denoise(replace(SMALL, prompt="girl " * 75))
    assert not np.allclose(latent, shorter)  # the tokens beyond 75 count


def test_prompts_between_ands_have_rows_of_their_own(
    sdxl_bundle: Bundle, recorded: tuple[Engine, Recorder]
) -> None:
    engine, unet = recorded
    request = replace(SMALL, prompt="1girl :0.6 AND night :-0.2 AND smile")
    latent = engine.denoise(request)
    assert unet.shapes == [(4, 77)] * 3
    weights = [0.6 * 7, -0.2 * 7, 7.0]
    expected = denoised(sdxl_bundle, engine, request, [*weights, 1 - sum(weights)])
    assert_near(latent, expected, 1e-4)


def test_one_prompt_may_count_more_than_guidance_says(sdxl_engine: Engine) -> None:
    whole = sdxl_engine.denoise(replace(SMALL, prompt="1girl", guidance=7 * 1.5))
    weighed = sdxl_engine.denoise(replace(SMALL, prompt="1girl :1.5", guidance=7.0))
    assert_near(weighed, whole, 1e-6)


def test_with_guidance_of_one_the_negative_prompt_may_count(
    sdxl_bundle: Bundle, recorded: tuple[Engine, Recorder]
) -> None:
    engine, unet = recorded
    request = replace(SMALL, prompt="1girl :0.5", guidance=1.0)
    latent = engine.denoise(request)
    assert unet.shapes == [(2, 77)] * 3
    assert_near(latent, denoised(sdxl_bundle, engine, request, [0.5, 0.5]), 1e-4)


@pytest.mark.parametrize("sampler", ["Euler a", "Heun"])
@pytest.mark.parametrize("prompt", ["[cat:dog:0.5]", "[cat|dog|], smile", "a [b:2] AND [c::1]"])
def test_a_prompt_that_changes(
    sdxl_bundle: Bundle, sdxl_engine: Engine, prompt: str, sampler: str
) -> None:
    request = replace(SMALL, prompt=prompt, negative_prompt="[x|y]", steps=4, sampler=sampler)
    count = 1 + prompt.count("AND")
    weights = [*[7.0] * count, 1 - 7.0 * count]
    expected = denoised(sdxl_bundle, sdxl_engine, request, weights)
    assert_near(sdxl_engine.denoise(request), expected, 1e-4)
    steady = replace(request, prompt="cat")
    assert not np.allclose(sdxl_engine.denoise(steady), expected, atol=1e-3)


def test_guidance_of_one_takes_one_row(
    sdxl_bundle: Bundle, recorded: tuple[Engine, Recorder]
) -> None:
    engine, unet = recorded
    request = replace(SMALL, guidance=1.0)
    latent = engine.denoise(request)
    assert unet.shapes == [(1, 77)] * 3
    assert_near(latent, denoised(sdxl_bundle, engine, request, [1.0, 0.0]), 1e-4)


def test_prompts_are_encoded_once(sdxl_bundle: Bundle) -> None:
    with engine_with(sdxl_bundle) as (engine, networks):
        first = engine.render(SMALL)
        broken = Answer({})  # would fail if it were asked
        networks.replaced |= {"text_encoder": broken, "text_encoder_2": broken}
        assert np.array_equal(engine.render(SMALL).pixels, first.pixels)


@pytest.mark.parametrize("negative", [None, "", "lowres"])
def test_an_empty_prompt_works(sdxl_engine: Engine, negative: str | None) -> None:
    picture = sdxl_engine.render(replace(SMALL, prompt="", negative_prompt=negative, steps=1))
    assert picture.pixels.std() > 5
    assert picture.parameters.splitlines()[-1].startswith("Steps: 1, ")


def test_a_picture_reads_back_with_its_settings(sdxl_engine: Engine, sdxl_bundle: Bundle) -> None:
    picture = sdxl_engine.render(SMALL)
    with Image.open(io.BytesIO(picture.to_png())) as image:
        prompt, negative, line = image.info["parameters"].splitlines()
        assert np.array_equal(np.asarray(image), picture.pixels)
    assert prompt == "1girl, green hair"
    assert negative == "Negative prompt: lowres"
    values = dict(entry.split(": ", 1) for entry in line.split(", "))
    assert values["Steps"] == "3" and values["Sampler"] == "Euler a"
    assert values["CFG scale"] == "7" and values["Seed"] == "11" and values["Size"] == "128x160"
    assert values["Model hash"] == sdxl_bundle.manifest.checkpoint.model_hash
    assert values["RNG"] == "NV" and values["Version"].startswith("sakuga ")


def test_decoding_scales_and_rounds_as_the_tool_does(sdxl_engine: Engine) -> None:
    latent = sdxl_engine.denoise(SMALL)
    image = sdxl_engine.decode(latent)
    assert image.shape == (1, 3, 160, 128)
    assert np.array_equal(sdxl_engine.render(SMALL).pixels, to_rgb8(image, "truncate")[0])


def test_sd15_renders_odd_latents(sd15_bundle: Bundle) -> None:
    with Engine.open(sd15_bundle.path, threads=1) as engine:
        picture = engine.render(Request("1girl", width=136, height=184, steps=2))
    assert picture.pixels.shape == (184, 136, 3) and picture.pixels.std() > 5


def test_a_model_of_zero_terminal_snr_starts_from_pure_noise(
    sdxl_bundle: Bundle, alone: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = shutil.copytree(sdxl_bundle.path, tmp_path / "ztsnr.sakuga")
    said = {"prediction": "v_prediction", "zero_terminal_snr": True}
    manifest = path / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | said))
    with Engine.open(path, threads=1) as engine:
        assert engine.resolve(SMALL).table.init_scale == pytest.approx(4518.76, rel=1e-5)
        picture = engine.render(SMALL)
    assert picture.pixels.std() > 5
    assert not np.array_equal(picture.pixels, alone)


def test_float16_is_near_float32(sdxl_fp16_bundle: Bundle, alone: NDArray[np.uint8]) -> None:
    with Engine.open(sdxl_fp16_bundle.path, threads=1) as engine:
        pixels = engine.render(SMALL).pixels
    assert not np.array_equal(pixels, alone)
    assert np.abs(pixels.astype(float) - alone).mean() < 2


def test_a_decoder_that_overflows_is_an_error_and_no_black_picture(sdxl_bundle: Bundle) -> None:
    with engine_with(sdxl_bundle) as (engine, networks):
        image = np.full((1, 3, 160, 128), np.nan, np.float32)
        networks.replaced["vae_decoder"] = Answer({"image": image})
        with pytest.raises(RenderError, match="NaN"):
            engine.render(SMALL)


def test_all_requests_are_checked_before_the_first_is_rendered(
    recorded: tuple[Engine, Recorder],
) -> None:
    engine, unet = recorded
    with pytest.raises(SizeError):
        engine.render_many([SMALL, replace(SMALL, width=100)])
    with pytest.raises(UsageError):
        engine.render_many([SMALL, replace(SMALL, steps=0)])
    assert unet.shapes == []


def test_no_request_is_no_picture(sdxl_engine: Engine) -> None:
    assert list(sdxl_engine.render_many([])) == []


def test_an_engine_may_be_used_while_it_renders_many(
    sdxl_engine: Engine, alone: NDArray[np.uint8]
) -> None:
    pictures = []
    for picture in sdxl_engine.render_many([OTHER, SMALL]):
        pictures.append(picture.pixels)
        assert np.array_equal(sdxl_engine.render(SMALL).pixels, alone)
    assert np.array_equal(pictures[1], alone)


def test_threads_share_an_engine(sdxl_engine: Engine, alone: NDArray[np.uint8]) -> None:
    found: dict[int, NDArray[np.uint8]] = {}

    def work(number: int) -> None:
        found[number] = sdxl_engine.render(SMALL if number % 2 else OTHER).pixels

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(found[1], alone) and np.array_equal(found[3], alone)
    assert np.array_equal(found[0], found[2])


def test_a_closed_engine_says_so(sdxl_bundle: Bundle) -> None:
    engine = Engine.open(sdxl_bundle.path, threads=1)
    pictures = engine.render_many([SMALL, SMALL])
    next(pictures)
    engine.close()
    engine.close()
    for use in (
        lambda: engine.render(SMALL),
        lambda: next(pictures),
        lambda: engine.denoise(SMALL),
    ):
        with pytest.raises(SakugaError, match="closed"):
            use()


def test_a_folder_that_is_no_bundle_does_not_open(sdxl_bundle: Bundle) -> None:
    with pytest.raises(BundleFormatError):
        Engine.open(sdxl_bundle.path / "onnx")
