"""Every part of bench/gpu.py, on a processor that plays a GPU: that they run and say what they
measured. What they would measure on a GPU is not judged here."""

import argparse
import json
import runpy
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from common import Figure
from gpu import networks
from gpu.bound import bound
from gpu.counting import CountingDriver
from gpu.kernel_cases import CASES
from gpu.memory import memory
from gpu.networks import choose
from gpu.parts import PARTS
from gpu.pictures import setting_of
from gpu.results import RESULTS, answer_of, folder_of, known_answer, write_answer
from gpu.site import Found, Scale, Site
from gpu.slots import guided_slot
from gpu.timing import replayed, timed
from gpu.work import picture_tflop, unet_tflop, vae_tflop

from sakuga.engine.backend.base import Block, Start
from sakuga.engine.backend.cuda.calls import Calls, Padding
from sakuga.engine.backend.cuda.host_driver import HostDriver
from sakuga.engine.backend.cuda.lane import CudaLane
from sakuga.engine.backend.cuda.previews import Previews
from sakuga.engine.backend.cuda.session import Arena
from sakuga.engine.backend.cuda.staging import Staging
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.gpu import Gpu, find_gpu
from sakuga.engine.runtime.step_table import step_table
from sakuga.export.build import build
from sakuga.export.relative_error import relative_error
from sakuga.export.samples import decoder_inputs, text_inputs, unet_inputs
from sakuga.export.synthetic import write_synthetic
from sakuga.kernels.launch import Seat
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL, SDXL_TINY

GPU = Gpu("NVIDIA H200", "sm90", 141 << 30, "13.0")
SMALL = Size(128, 160)
TINY = Scale(
    repeats=2,
    warm=2,
    chained=2,
    dram_bytes=1 << 16,
    gemm_side=32,
    rows=(2, 4),
    steps=4,
    pictures=2,
    engine_rows=(4,),
    rival_pictures=(2,),
    latencies=1,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(
        HostDriver, tmp_path_factory.mktemp("work"), None, SDXL_TINY, (SMALL,), SMALL,
        Size(128, 128), "cpu", compiles=False, scale=TINY,
    )  # fmt: skip


def values(found: Found) -> dict[str, float]:
    return {figure.what: figure.value for figure in found.figures}


# Seconds each; of the pictures, which differ in their settings, `pictures-square` stays.
LONG = ("switches", "company", "pictures-portrait", "pictures-compiled", "pictures-mlperf")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers'
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LONG else [])
        for name in PARTS
        if name != "rtx"
    ],
)
def test_a_part_measures_what_it_says(site: Site, name: str) -> None:
    found = PARTS[name].measure(site)
    assert found.figures and len(values(found)) == len(found.figures)
    assert all(value >= 0 or "outside" in what for what, value in values(found).items())
    answer = json.loads(json.dumps(answer_of(name, {}, found.figures, found.details)))
    assert answer["part"] == name
    if name not in ("ceilings", "kernels"):
        assert "stand-in" in answer["networks"]
        assert answer["instead_of"]["plans"]


def test_rtx_is_a_finding_either_way(site: Site) -> None:
    found = PARTS["rtx"].measure(site)
    assert isinstance(found.details["finding"], str)
    if find_gpu() is None:
        assert list(values(found).values()) in ([], [0])


def test_a_step_is_one_network_one_kernel_and_no_wait(site: Site) -> None:
    found = PARTS["launches"].measure(site)
    assert list(values(found).values()) == [1, 1, 0, 0]
    assert all(figure.met for figure in found.figures)


def test_the_counting_driver_counts_waits_and_copies() -> None:
    driver = CountingDriver(HostDriver())
    first, second = driver.create_stream(), driver.create_stream()
    staging = Staging(driver, first)
    buffer = driver.allocate(64)
    staging.upload(buffer.address, np.zeros(16, np.float32))
    event = first.record()
    second.wait(event)
    assert driver.counts == {"copy": 1}
    event.sync()
    second.sync()
    graph = driver.capture(second, lambda: driver.clear(second, buffer.address, 64))
    graph.launch(second)
    assert driver.counts == {"copy": 1, "wait": 2, "capture": 1, "network": 1}


def test_kernels_are_launched_as_the_engine_launches_them(site: Site) -> None:
    """The same grids, and arguments of the same number and types."""
    seen: dict[str, tuple[tuple[int, int], list[Any]]] = {}

    class Watched(HostDriver):
        def kernel(self, name: str, blocks: tuple[int, int], arguments: Any) -> Any:  # noqa: ANN401
            seen.setdefault(name, (blocks, [np.asarray(a).dtype for a in arguments]))
            return super().kernel(name, blocks, arguments)

    watched = replace(site, make_driver=Watched)
    chosen = choose(site)
    with chosen.engine(watched, chosen.options(rows=2)) as engine:
        engine.submit(setting_of(site, "portrait").requests(1)[0], preview_every=1).result()
    height, width = SMALL.latent()
    driver = HostDriver()
    with memory(driver, driver.create_stream()) as held:
        for name in CASES:
            case = CASES[name](site, held, 4 * height * width, 1, True)
            dtypes = [np.asarray(argument).dtype for argument in case.arguments]
            assert (case.blocks, dtypes) == seen[name], name


def test_the_stand_in_is_the_network_a_bundle_has(site: Site, tmp_path: Path) -> None:
    """The modules are drawn anew, not read from a checkpoint: the same seed, the same network."""
    write_synthetic(SDXL_TINY, "single", "fp32", 0, tmp_path / "model.safetensors")
    build(tmp_path / "model.safetensors", tmp_path / "model.sakuga")
    bundle = open_bundle(tmp_path / "model.sakuga")
    chosen = choose(site)
    device = chosen.device(HostDriver(), chosen.options(rows=2))
    table = np.load(bundle.token_embedding("text_encoder_2"))
    inputs = {
        "unet": unet_inputs(SDXL_TINY, SMALL),
        "vae_decoder": decoder_inputs(SDXL_TINY, SMALL),
        "text_encoder_2": text_inputs(table, 2),
    }
    for network, given in inputs.items():
        session = OnnxSession(bundle.graph(network), 1)
        wanted = session.run(session.in_types(given))
        found = device.network(network).run(given)
        for name, array in wanted.items():
            assert relative_error(found[name].astype(np.float32), array) < 5e-3, (network, name)
    device.close()


def test_the_networks_of_a_bundle_come_first_and_why_not_is_said(
    site: Site, sdxl_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "has_cuda_provider", lambda: False)
    given = replace(site, bundle=sdxl_bundle.path)
    assert choose(site).instead_of["plans"] == "no bundle was given"
    assert "built without plans" in choose(given).instead_of["plans"]
    assert "not installed" in choose(given).instead_of["onnxruntime-gpu"]
    monkeypatch.setattr(networks, "has_cuda_provider", lambda: True)
    chosen = choose(given)
    assert chosen.said["networks"].startswith("onnxruntime-gpu")
    assert chosen.bundle.path == sdxl_bundle.path and chosen.instead_of.keys() == {"plans"}
    assert "no bundle" in choose(site).instead_of["onnxruntime-gpu"]


def test_a_bound_network_runs_on_random_inputs(site: Site) -> None:
    driver, chosen = HostDriver(), choose(site)
    stream = driver.create_stream()
    session = chosen.make_loader()("unet", stream)
    before = driver.free_bytes()
    with bound(driver, stream, chosen, session, "unet", SMALL, 2) as run:
        assert len(timed(driver, stream, run, TINY)) == TINY.repeats
    assert driver.free_bytes() == before


def test_a_replay_runs_the_work_as_often_as_it_says() -> None:
    driver, done = HostDriver(), []
    stream = driver.create_stream()
    put: Any = stream
    seconds = replayed(driver, stream, lambda: put.put(lambda: done.append(1)), TINY)
    assert len(seconds) == TINY.repeats
    assert len(done) == 1 + TINY.chained * (TINY.warm + TINY.repeats)


def test_padding_can_be_switched_off(site: Site) -> None:
    slot = guided_slot(SDXL_TINY, SMALL, 2)
    paddings: tuple[tuple[Padding, int], ...] = (("captured", 10), ("none", 9))
    for padding, rows in paddings:
        driver, chosen = HostDriver(), choose(site)
        stream, borders = driver.create_stream(), Networks.of(chosen.bundle)
        load = partial(chosen.make_loader(), "unet")
        calls = Calls(driver, Arena(driver, stream), load, True)
        staging, previews = Staging(driver, stream), Previews(driver, stream)
        one = CudaLane(
            driver, stream, staging, previews, borders, calls, SMALL.latent(), 16, 16, padding
        )
        table = step_table(slot.settings.table, [(7, -6)] * 2, slot.settings.noise, False)
        one.start([Start(0, table, (1, 1))])
        one.seat([Seat(0, (0, 1))], [0])
        one.evaluate(Block(1, 0, 9))
        assert [key[3] for key in calls._calls] == [16, rows]


def test_flop_are_those_torch_counts() -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from sakuga.export.reference import unet_module, vae_module

    size = Size(832, 1216)
    height, width = size.latent()
    with torch.device("meta"), torch.no_grad():
        unet, vae = unet_module(SDXL), vae_module(SDXL)
        latent = torch.zeros(1, 4, height, width)
        added = {"text_embeds": torch.zeros(1, 1280), "time_ids": torch.zeros(1, 6)}
        with FlopCounterMode(display=False) as counted:
            unet(latent, torch.zeros(1), torch.zeros(1, 77, 2048), added_cond_kwargs=added)
        with FlopCounterMode(display=False) as decoded:
            vae.decode(latent)
    assert unet_tflop(SDXL, size) == pytest.approx(1e-12 * counted.get_total_flops(), rel=1e-3)
    assert vae_tflop(SDXL, size) == pytest.approx(1e-12 * decoded.get_total_flops(), rel=1e-3)
    assert picture_tflop(SDXL, Size(1024, 1024), 28) == pytest.approx(389.1, abs=0.1)
    assert unet_tflop(SDXL_TINY, size) is None and unet_tflop(SDXL, Size(512, 512)) is None


def test_results_are_found_again_by_machine_and_part(tmp_path: Path) -> None:
    folder = folder_of(GPU, tmp_path)
    assert folder.name == "nvidia-h200"
    assert known_answer("vae", [folder]) is None
    answer = answer_of(
        "vae", {"gpu": GPU.name}, [Figure("VAE", 20.0, "ms", 25.0)], {"seconds": [1]}
    )
    assert write_answer(answer, folder) == folder / "vae.json"
    assert [path.name for path in folder.iterdir()] == ["vae.json"]
    assert known_answer("vae", [tmp_path / "none", folder]) == answer
    assert answer["figures"][0]["met"] is True


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(RESULTS.parent / "gpu.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_parts_are_listed_without_a_gpu() -> None:
    done = bench("--list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(PARTS)


def test_a_run_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What has a result is shown and not run again; what fails is named."""
    if find_gpu() is not None:
        pytest.skip("there is a GPU")
    script = runpy.run_path(str(RESULTS.parent / "gpu.py"))
    options = argparse.Namespace(part=["vae", "rtx"], out=tmp_path, bundle=None, work=None)
    figure = Figure("VAE", 20.0, "ms", 25.0)
    write_answer(answer_of("vae", {"gpu": GPU.name}, [figure], {}), folder_of(GPU, tmp_path))
    assert script["run_parts"](GPU, options) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any("at most 25 ms: met" in line for line in lines)
    answer = json.loads(lines[-1])
    assert answer["failed"] == {"rtx": "exit code 1"}  # the child finds no GPU
    assert [part["part"] for part in answer["parts"]] == ["vae"]
    script["run_part"]("rtx", GPU, options)  # asks for no driver of its own
    capsys.readouterr()
    assert script["run_parts"](GPU, options) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [part["part"] for part in answer["parts"]] == ["vae", "rtx"]
    assert answer["parts"][1]["machine"]["gpu"] == GPU.name


def test_without_a_gpu_nothing_is_measured(tmp_path: Path) -> None:
    if find_gpu() is not None:
        pytest.skip("there is a GPU")
    done = bench("--part", "kernels", "--out", str(tmp_path))
    assert done.returncode == 1 and not done.stdout
    assert "needs an NVIDIA GPU" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
