"""The VAE in windows is near the VAE in one call: 40 dB, and no seams."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from sakuga.engine.backend.base import Array, Session
from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnx_networks import OnnxNetworks
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.backend.tiled_vae import decode, encode
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import SizeError
from sakuga.engine.runtime.rescue import Rescue
from sakuga.export.assemble import unchanged
from sakuga.export.bind import bind
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.demo import DEMO_CHECKPOINT
from sakuga.export.demo.painter import paint_clean
from sakuga.export.demo.scene import random_scene
from sakuga.export.diffusers_configs import vae_config
from sakuga.export.network_graph import network_graphs
from sakuga.kernels.tiles import Blend, Grid
from sakuga.kernels.to_rgb8 import to_rgb8
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL, SDXL_DEMO

Values = NDArray[np.float32]
BAR_DB, BAR_STEP = 40.0, 1.5


def psnr(found: Values, wanted: Values, span: float = 2.0) -> float:
    return 10 * math.log10(span**2 / float(np.mean((found - wanted).astype(np.float64) ** 2)))


def largest_step(found: Values, wanted: Values, grid: Grid, scale: int = 8) -> float:
    """Of the mean steps across windows' borders the largest; in steps of the untiled picture, at
    the same line or on average, whichever is more."""
    worst = 0.0
    for axis, starts, side in ((1, grid.tops, grid.tile[0]), (2, grid.lefts, grid.tile[1])):
        steps, own = (
            np.abs(np.diff(each, axis=axis)).mean((0, 3 - axis)) for each in (found, wanted)
        )
        borders = {scale * s for s in starts[1:]} | {scale * (s + side) for s in starts[:-1]}
        worst = max(worst, *(steps[at - 1] / max(own[at - 1], own.mean()) for at in borders))
    return float(worst)


def painted(size: Size, seed: int) -> Values:
    """A picture of the painter's, in [-1, 1]."""
    scene = replace(random_scene(np.random.default_rng(seed)), quality="best")
    pixels = np.asarray(paint_clean(scene, size), np.float32).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels / 127.5 - 1)


def likened(image: Values) -> Values:
    """A latent that varies as a picture does, as far as SDXL's do: its colours and their mean."""
    small = image.reshape(3, image.shape[1] // 8, 8, image.shape[2] // 8, 8).mean((2, 4))
    latent = np.concatenate([small, small.mean(0, keepdims=True)])
    latent -= latent.mean((1, 2), keepdims=True)
    latent /= SDXL.vae.scaling_factor * latent.std((1, 2), keepdims=True)
    return latent


@dataclass(frozen=True, eq=False)
class Vae:
    encoder: Session
    decoder: Session

    def encode(self, image: Values) -> dict[str, Array]:
        return {name: each[0] for name, each in self.encoder.run({"image": image[None]}).items()}

    def decode(self, latent: Values) -> Values:
        image: Values = self.decoder.run({"latent": latent[None]})["image"][0]
        return image


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Vae:
    """The trained VAE."""
    folder, sessions = tmp_path_factory.mktemp("vae"), {}
    with open_checkpoint(DEMO_CHECKPOINT) as checkpoint:
        for graph in network_graphs(SDXL_DEMO, "onnx", "fp32"):
            name = graph.network.name
            if graph.component == "vae":
                tensors = checkpoint.components["vae"]
                bind(graph.model, tensors, folder / name, unchanged, lambda done: None)
                sessions[name] = OnnxSession(folder / name / "model.onnx", 1)
    return Vae(sessions["vae_encoder"], sessions["vae_decoder"])


def check(vae: Vae, image: Values, tile: tuple[int, int], overlap: int) -> None:
    """Decoded in windows, encoded in windows, against the same in one call."""
    moments = vae.encode(image)
    whole, (_, height, width) = vae.decode(moments["mean"]), moments["mean"].shape
    grid = Grid(height, width, tile, overlap)
    assert len(grid.tops) >= 3 and len(grid.lefts) >= 3
    found = decode(moments["mean"], vae.decoder, tile, overlap)
    assert psnr(found, whole) >= BAR_DB
    assert largest_step(found, whole, grid) <= BAR_STEP
    mean, logvar = encode(image, vae.encoder, tile, overlap)
    assert mean.dtype == logvar.dtype == np.float32
    assert psnr(vae.decode(mean), whole) >= BAR_DB
    assert largest_step(mean, moments["mean"], grid, scale=1) <= BAR_STEP
    assert np.abs(logvar - moments["logvar"]).mean() < np.abs(moments["logvar"]).std()


@pytest.mark.parametrize("seed", [1])
def test_windows_are_near_the_whole(demo: Vae, seed: int) -> None:
    check(demo, painted(Size(512, 512), seed), (32, 32), 8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4])
@pytest.mark.parametrize(
    ("size", "tile"), [(Size(768, 768), (48, 48)), (Size(1024, 832), (48, 40))]
)
def test_more_pictures_and_shapes(demo: Vae, seed: int, size: Size, tile: tuple[int, int]) -> None:
    check(demo, painted(size, seed), tile, 12)


def test_colours_of_windows_are_those_of_the_whole(demo: Vae) -> None:
    """Bright above, dark below: where windows that were only blended would be far off."""
    image = painted(Size(512, 512), 5)
    image[:, :256] = 0.5 * image[:, :256] + 0.5
    image[:, 256:] = 0.5 * image[:, 256:] - 0.5
    latent = demo.encode(image)["mean"]
    whole, found = demo.decode(latent), decode(latent, demo.decoder, (32, 32), 8)
    for rows, part in ((slice(0, 32), slice(0, 128)), (slice(32, 64), slice(384, 512))):
        alone = demo.decode(latent[:, rows, :32])[:, part.start % 256 :][:, :128, :128]
        wanted = whole[:, part, :128].mean((1, 2))
        error = np.abs(found[:, part, :128].mean((1, 2)) - wanted).max()
        assert error < 0.5 * np.abs(alone.mean((1, 2)) - wanted).max()


@pytest.mark.parametrize("size", [Size(128, 160), Size(256, 192)])
def test_what_fits_is_one_call(sdxl_bundle: Bundle, size: Size) -> None:
    sessions = [OnnxSession(sdxl_bundle.graph(f"vae_{end}coder"), 1) for end in ("en", "de")]
    vae, image = Vae(sessions[0], sessions[1]), painted(size, 6)
    moments, tile = vae.encode(image), size.latent()
    found = encode(image, vae.encoder, tile)
    assert np.array_equal(found.mean, moments["mean"])
    assert np.array_equal(found.logvar, moments["logvar"])
    assert np.array_equal(decode(found.mean, vae.decoder, tile), vae.decode(found.mean))


@pytest.fixture(scope="module")
def device(sdxl_bundle: Bundle) -> Iterator[CpuDevice]:
    device = CpuDevice(Networks.of(sdxl_bundle), OnnxNetworks(sdxl_bundle, 1))
    yield device
    device.close()


def test_the_device_encodes_pictures_of_all_sizes(device: CpuDevice, sdxl_bundle: Bundle) -> None:
    encoder = OnnxSession(sdxl_bundle.graph("vae_encoder"), 1)
    for size, tile in (
        (Size(160, 128), (16, 20)),
        (Size(544, 136), (16, 64)),  # longer than the graph takes, and no multiple of its step
    ):
        image = painted(Size(544, 160), 7)[:, : size.height, : size.width]
        mean, logvar = device.encode(image)
        assert mean.shape == logvar.shape == (4, *size.latent())
        wanted = encode(np.ascontiguousarray(image), encoder, tile)
        assert np.array_equal(mean, wanted.mean) and np.array_equal(logvar, wanted.logvar)
    with pytest.raises(SizeError, match="96x256 is too small"):
        device.encode(np.zeros((3, 256, 96), np.float32))


def test_the_encoder_is_loaded_when_a_picture_comes(sdxl_bundle: Bundle) -> None:
    networks = OnnxNetworks(sdxl_bundle, 1)
    networks("vae_decoder")
    assert "vae_encoder" not in networks._sessions
    assert networks("vae_encoder") is networks("vae_encoder")
    networks.close()


def test_a_picture_is_rescued_in_windows(sdxl_bundle: Bundle) -> None:
    """A latent beyond the decoder's axes, through the exact decoder as through the device's."""
    graph = sdxl_bundle.manifest.networks["vae_decoder"].graph
    exact = replace(sdxl_bundle, manifest=replace(sdxl_bundle.manifest, exact_decoder=graph))
    latent = np.random.default_rng(8).normal(0, 1, (4, 68, 16)).astype(np.float32)
    scaled = latent * np.float32(1 / sdxl_bundle.family.vae.scaling_factor)
    found = Rescue(exact).decode(latent, "round")
    wanted = decode(scaled, OnnxSession(sdxl_bundle.graph("vae_decoder"), 1), (64, 16))
    assert found is not None and found.shape == (544, 128, 3)
    assert np.abs(found.astype(int) - to_rgb8(wanted, "round")).max() <= 1


class Torch:
    """A VAE of diffusers as a session."""

    def __init__(self, run: Callable[[torch.Tensor], dict[str, torch.Tensor]]) -> None:
        self._run = run

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        (values,) = inputs.values()
        with torch.inference_mode():
            made = self._run(torch.from_numpy(np.ascontiguousarray(values)))
        return {name: np.asarray(each.numpy()) for name, each in made.items()}


@pytest.mark.slow
def test_the_full_architecture_is_no_different() -> None:
    """SDXL's VAE as diffusers makes it, with weights of its own drawing: 80 million, 3 GB. It knows
    no pictures; but matched windows are far nearer to the whole than windows that only blend."""
    torch.manual_seed(0)
    make: Any = AutoencoderKL
    module = make.from_config(vae_config(SDXL.vae, 512)).eval()

    session = Torch(lambda latent: {"image": module.decode(latent).sample})
    latent, grid = likened(painted(Size(512, 512), 9)), Grid(64, 64, (32, 32), 8)
    whole = session.run({"latent": latent[None]})["image"][0]
    blend = Blend(grid, 3, 8)
    for window in grid:
        part = latent[None, :, window.rows, window.columns]
        blend.add(window, session.run({"latent": part})["image"][0])
    found = decode(latent, session, (32, 32), 8)
    assert psnr(found, whole) > psnr(blend.whole, whole) + 2
    assert largest_step(found, whole, grid) <= BAR_STEP
