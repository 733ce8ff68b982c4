"""What do windows cost a picture? The VAE in windows against the VAE in one call.

    python bench/tiled_vae.py [--family demo|full] [--pictures 3]

At least three windows each way, of half the picture's sides. Beside this project's: windows that
are only blended; three passes of them in three shapes, averaged, as ComfyUI does; and diffusers'
own tiling. The bars: 40 dB, and across no border of windows a mean step of more than 1.5 times the
untiled picture's, at the same line or on average, whichever is more. `demo`: the trained VAE on
painted pictures and on latents that the model itself made. `full`: SDXL's VAE at its full size with
seeded weights, to see that it is no matter of a small network; it knows no pictures, so its figures
stand beside each other and are held to no bar. Takes two minutes, `full` six and 3 GB.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import SEED, Figure, report, work_folder
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from sakuga.engine.backend.base import Array, Session
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.backend.tiled_vae import decode, encode
from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request
from sakuga.export.assemble import unchanged
from sakuga.export.bind import bind
from sakuga.export.build import build
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.demo import DEMO_CHECKPOINT
from sakuga.export.demo.captions import prompt
from sakuga.export.demo.painter import paint_clean
from sakuga.export.demo.scene import Scene, random_scene
from sakuga.export.diffusers_configs import vae_config
from sakuga.export.network_graph import network_graphs
from sakuga.export.synthetic_weights import draw
from sakuga.kernels.tiles import Blend, Grid
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL, SDXL_DEMO, Family
from sakuga.profiles.weights import vae_weights

Values = NDArray[np.float32]
Shape = tuple[int, int]
BAR_DB, BAR_STEP = 40.0, 1.5
HELD_OUT = 91_000  # nothing was trained on a scene of this seed
_VAE: Any = AutoencoderKL  # diffusers' annotations are partly wrong


class Counted:
    """A session that counts its calls and their pixels."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.calls = self.places = 0

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """What the session makes of it."""
        (given,) = inputs.values()
        self.calls += 1
        self.places += given.shape[2] * given.shape[3]
        return self._session.run(inputs)


@dataclass(frozen=True, eq=False)
class Vae:
    """A VAE as its two networks, and in torch."""

    decoder: Session
    encoder: Session
    module: Any


def loaded(family: Family, folder: Path, read: Callable[[str], Array]) -> Vae:
    """The VAE of a family with the weights that `read` gives by name."""

    class Tensors:
        def read(self, name: str) -> Array:
            return read(name)

    sessions = {}
    for graph in network_graphs(family, "onnx", "fp32"):
        if graph.component == "vae":
            place = folder / graph.network.name
            bind(graph.model, Tensors(), place, unchanged, lambda done: None)
            sessions[graph.network.name] = OnnxSession(place / "model.onnx")
    module = _VAE.from_config(vae_config(family.vae, 512)).eval()
    module.load_state_dict({name: torch.from_numpy(read(name)) for name in module.state_dict()})
    return Vae(sessions["vae_decoder"], sessions["vae_encoder"], module)


def blended(latent: Values, session: Session, tile: Shape, overlap: int) -> Values:
    """Windows that are blended and no more."""
    grid = Grid(latent.shape[1], latent.shape[2], tile, overlap)
    blend = Blend(grid, 3, 8)
    for window in grid:
        part = np.ascontiguousarray(latent[None, :, window.rows, window.columns])
        blend.add(window, session.run({"latent": part})["image"][0])
    return blend.whole


def three_passes(latent: Values, session: Session, tile: Shape, overlap: int) -> Values:
    """ComfyUI's way: squares, wide windows and tall ones, a third of each."""
    tall, wide = tile
    shapes = (tile, (tall // 2, 2 * wide), (2 * tall, wide // 2))
    passes = [blended(latent, session, shape, overlap) for shape in shapes]
    return np.asarray(np.mean(passes, axis=0), np.float32)


def by_diffusers(latent: Values, module: Any, tile: int) -> Values:  # noqa: ANN401
    """Its own tiling, overlapping by a quarter as it does by default."""
    module.enable_tiling()
    module.tile_latent_min_size, module.tile_sample_min_size = tile, 8 * tile
    with torch.inference_mode():
        image = module.decode(torch.from_numpy(latent[None])).sample
    module.disable_tiling()
    found: Values = image[0].numpy()
    return found


def psnr(found: Values, wanted: Values) -> float:
    """In dB of the range from -1 to 1, beyond which a picture is cut off."""
    apart = np.clip(found, -1, 1).astype(np.float64) - np.clip(wanted, -1, 1)
    return 10 * math.log10(2**2 / float(np.mean(apart**2)))


def largest_step(found: Values, wanted: Values, grid: Grid) -> float:
    """Of the mean steps across windows' borders the largest, in steps of the untiled picture."""
    worst = 0.0
    for axis, starts, side in ((1, grid.tops, grid.tile[0]), (2, grid.lefts, grid.tile[1])):
        across = (0, 3 - axis)
        steps, own = (np.abs(np.diff(each, axis=axis)).mean(across) for each in (found, wanted))
        borders = {8 * start for start in starts[1:]} | {8 * (s + side) for s in starts[:-1]}
        worst = max(worst, *(steps[at - 1] / max(own[at - 1], own.mean()) for at in borders))
    return float(worst)


def scenes(count: int) -> Iterator[Scene]:
    """Scenes that no training saw."""
    generator = np.random.default_rng(HELD_OUT)
    for _ in range(count):
        yield replace(random_scene(generator), quality="best")


def painted(count: int, side: int) -> Iterator[Values]:
    """Pictures in [-1, 1]."""
    for scene in scenes(count):
        pixels = np.asarray(paint_clean(scene, Size(side, side)), np.float32)
        yield np.ascontiguousarray((pixels / 127.5 - 1).transpose(2, 0, 1))


def dreamt(bundle: Path, count: int, side: int) -> Iterator[Values]:
    """Latents the demo model made, as its decoder wants them."""
    with Engine.open(bundle) as engine:
        for scene in scenes(count):
            request = Request(prompt(scene), "lowres", side, side, 20, 5.0, seed=1, prefix="none")
            latent = engine.denoise(request) / SDXL_DEMO.vae.scaling_factor
            yield latent.astype(np.float32)


def likened(image: Values) -> Values:
    """A latent that varies as a picture does: its colours at an eighth of its sides and their mean,
    as far apart as SDXL's latents are. Of an untrained encoder they would be all alike."""
    channels, height, width = image.shape
    small = image.reshape(channels, height // 8, 8, width // 8, 8).mean((2, 4))
    latent = np.concatenate([small, small.mean(0, keepdims=True)])
    latent -= latent.mean((1, 2), keepdims=True)
    latent /= SDXL.vae.scaling_factor * latent.std((1, 2), keepdims=True)
    return latent


class Results:
    """Every way's PSNR, largest step and cost, over all pictures."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[float, float, float]]] = {}

    def decoded(self, vae: Vae, latent: Values, kind: str) -> None:
        """Try all ways on a latent, in windows of half its sides."""
        side = latent.shape[1]
        tile = (side // 2, side // 2)
        overlap = side // 8
        grid = Grid(side, side, tile, overlap)
        whole = vae.decoder.run({"latent": latent[None]})["image"][0]
        ways: dict[str, Callable[[Session], Values]] = {
            "in windows, matched": lambda s: decode(latent, s, tile, overlap),
            "blended alone": lambda s: blended(latent, s, tile, overlap),
            "three passes": lambda s: three_passes(latent, s, tile, overlap),
        }
        for name, way in ways.items():
            session = Counted(vae.decoder)
            image = way(session)
            cost = session.places / side**2
            self._add(f"{kind}, {name}", image, whole, grid, cost)
        starts = range(0, side, int(0.75 * tile[0]))
        cost = sum(min(tile[0], side - at) for at in starts) ** 2 / side**2
        self._add(
            f"{kind}, diffusers", by_diffusers(latent, vae.module, tile[0]), whole, grid, cost
        )

    def encoded(self, vae: Vae, image: Values, kind: str) -> None:
        """A picture encoded in windows of half its sides: the latent as a picture."""
        side = image.shape[1] // 8
        tile, overlap = (side // 2, side // 2), side // 8
        whole = vae.encoder.run({"image": image[None]})["mean"][0]
        session = Counted(vae.encoder)
        mean = encode(image, session, tile, overlap).mean
        again = [vae.decoder.run({"latent": each[None]})["image"][0] for each in (mean, whole)]
        grid, cost = Grid(side, side, tile, overlap), session.places / (64 * side**2)
        self._add(f"{kind}, encoded in windows, decoded whole", again[0], again[1], grid, cost)

    def figures(self) -> list[Figure]:
        """The worst of each kind; those of this project have bars."""
        found = []
        for name, rows in self.rows.items():
            ours = ("matched" in name or "encoded" in name) and "full size" not in name
            ratios, steps, costs = zip(*rows, strict=True)
            beside = f"worst of {len(rows)}, mean {np.mean(ratios):.1f}; {costs[0]:.2f} evaluations"
            bar_db, bar_step = (BAR_DB, BAR_STEP) if ours else (None, None)
            found.append(Figure(name, min(ratios), "dB", bar_db, "at least", beside))
            found.append(Figure(f"{name}, largest step", max(steps), "x", bar_step))
        return found

    def _add(self, name: str, found: Values, wanted: Values, grid: Grid, cost: float) -> None:
        row = psnr(found, wanted), largest_step(found, wanted, grid), cost
        self.rows.setdefault(name, []).append(row)


def demo(results: Results, folder: Path, count: int) -> None:
    """The demo model."""
    bundle = folder / "demo.sakuga"
    build("demo", bundle)
    with open_checkpoint(DEMO_CHECKPOINT) as checkpoint:
        component = checkpoint.components["vae"]
        vae = loaded(SDXL_DEMO, folder, lambda name: component.read(name).astype(np.float32))
    for image in painted(count, 768):
        latent = vae.encoder.run({"image": image[None]})["mean"][0]
        results.decoded(vae, latent, "painted")
        results.encoded(vae, image, "painted")
    for latent in dreamt(bundle, count, 512):
        results.decoded(vae, latent, "rendered")


def full(results: Results, folder: Path) -> None:
    """SDXL's VAE with seeded weights."""
    shapes = vae_weights(SDXL.vae)
    vae = loaded(SDXL, folder, lambda name: draw(SEED, "vae", name, shapes[name]))
    for image in painted(1, 512):
        results.decoded(vae, likened(image), "full size")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("demo", "full"), default="demo")
    parser.add_argument("--pictures", type=int, default=3)
    options = parser.parse_args()
    results = Results()
    with work_folder() as folder:
        if options.family == "demo":
            demo(results, folder, options.pictures)
        else:
            full(results, folder)
    report("tiled_vae", results.figures(), {"rows": results.rows})


if __name__ == "__main__":
    main()
