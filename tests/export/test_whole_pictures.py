"""Every rule of diffusers that a checkpoint or a request can state, against its own pipelines.

Each bundle is built from a folder whose configs state the rule, and diffusers reads the same
folder; a single file of the same weights must give the same networks. A sampler joins by its line
in `reference_pipeline.SCHEDULERS`.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sakuga.engine.bundle import open_bundle
from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request
from sakuga.export.build import BuildOptions, build
from sakuga.export.checkpoint.overrides import Overrides
from sakuga.export.reference_pipeline import SCHEDULERS, Reference, reference
from sakuga.export.relative_error import relative_error

# diffusers' schedulers hand torch tensors to np.array as NumPy 1 had it.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LATENT_BAR, PSNR_BAR = 1e-3, 45.0
SPACINGS = ("leading", "trailing", "linspace")
PREDICTIONS = ("epsilon", "v_prediction")
KINDS = ("sd15", "sdxl")
# All for the smaller family, and each word once for the larger one: the code is the same.
CONFIGS = [
    *(("sd15", spacing, prediction) for spacing in SPACINGS for prediction in PREDICTIONS),
    ("sdxl", "leading", "epsilon"),
    ("sdxl", "trailing", "v_prediction"),
    ("sdxl", "linspace", "epsilon"),
]
ONNX = BuildOptions(backend="onnx")

NEGATIVE = "nsfw, lowres, (bad), text, error!, [abstract]"
POSITIVE = "1girl, green hair, sweater, looking at viewer, upper body, beanie, outdoors, night"


@dataclass(frozen=True, eq=False)
class Both:
    """One folder in both programs."""

    engine: Engine
    theirs: Reference

    def error(self, **changes: Any) -> float:  # noqa: ANN401
        request = asked(**changes)
        return relative_error(self.engine.denoise(request), self.theirs.latents(request))


def asked(**changes: Any) -> Request:  # noqa: ANN401
    fields: dict[str, Any] = {
        "prompt": POSITIVE,
        "negative_prompt": NEGATIVE,
        "width": 160,
        "height": 128,
        "steps": 4,
        "guidance": 7.0,
        "sampler": "euler_a",
        "seed": 42,
        "compat": "diffusers",
    }
    return Request(**fields | changes)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


Open = Callable[..., Both]


@pytest.fixture(scope="module")
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Open]:
    """`both("sd15", index={...}, scheduler={...})`: the folder with these words in its configs."""
    torch.set_num_threads(1)
    known: dict[str, Both] = {}

    def get(kind: str, index: object = (), scheduler: object = ()) -> Both:
        key = json.dumps([kind, index, scheduler])
        if key not in known:
            folder = tmp_path_factory.mktemp("model") / kind
            shutil.copytree(request.getfixturevalue(f"{kind}_folder"), folder)
            state(folder / "model_index.json", index)
            state(folder / "scheduler" / "scheduler_config.json", scheduler)
            bundle = build(folder, folder.with_suffix(".sakuga"), ONNX)
            known[key] = Both(Engine.open(bundle.path, threads=1), reference(folder))
        return known[key]

    yield get
    for one in known.values():
        one.engine.close()


def state(path: Path, words: Any) -> None:  # noqa: ANN401
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(words)))


@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize(("kind", "spacing", "prediction"), CONFIGS)
def test_samplers_spacings_and_predictions(
    both: Open, kind: str, spacing: str, prediction: str, sampler: str
) -> None:
    config = {"timestep_spacing": spacing, "prediction_type": prediction}
    assert both(kind, scheduler=config).error(sampler=sampler) <= LATENT_BAR


@pytest.mark.parametrize("sampler", SCHEDULERS)
def test_zero_terminal_snr(both: Open, sampler: str) -> None:
    """As NoobAI's v-prediction models ask for it, with trailing steps that begin at pure noise."""
    config: dict[str, object] = {"timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    one = both("sd15", scheduler=config | {"rescale_betas_zero_snr": True})
    assert one.error(sampler=sampler) <= LATENT_BAR
    usual = both("sd15", scheduler=config).engine.denoise(asked(sampler=sampler))
    assert relative_error(one.engine.denoise(asked(sampler=sampler)), usual) > 0.01


@pytest.mark.parametrize("guidance", [7.0, 1.0])
@pytest.mark.parametrize("clip_skip", [None, 1])  # what A1111 calls 1 and 2, for SD1.5
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_clip_skip_and_guidance(
    both: Open, kind: str, prediction: str, clip_skip: int | None, guidance: float
) -> None:
    one = both(kind, scheduler={"timestep_spacing": "leading", "prediction_type": prediction})
    assert one.error(clip_skip=clip_skip, guidance=guidance) <= LATENT_BAR


def test_each_rule_matters(both: Open) -> None:
    """Without this, parity could hold because nothing is heard."""
    one = both("sd15", scheduler={"timestep_spacing": "leading", "prediction_type": "epsilon"})
    usual = one.engine.denoise(asked())
    for changes in ({"clip_skip": 1}, {"guidance": 1.0}, {"sampler": "euler"}):
        assert relative_error(one.engine.denoise(asked(**changes)), usual) > 0.01, changes
    for config in ({"timestep_spacing": "trailing"}, {"prediction_type": "v_prediction"}):
        words = {"timestep_spacing": "leading", "prediction_type": "epsilon"} | config
        other = both("sd15", scheduler=words).engine
        assert relative_error(other.denoise(asked()), usual) > 0.01, config


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("negative", [None, ""])
def test_force_zeros_for_empty_prompt(both: Open, zeros: bool, negative: str | None) -> None:
    """diffusers zeroes an absent negative prompt where model_index.json says so, never ""."""
    one = both("sdxl", index={"force_zeros_for_empty_prompt": zeros})
    assert one.error(negative_prompt=negative) <= LATENT_BAR
    if negative is None:
        encoded = one.engine.denoise(asked(negative_prompt=""))
        absent = one.engine.denoise(asked(negative_prompt=None))
        assert (relative_error(absent, encoded) > 0.01) is zeros


# 512x728 has a latent 91 high; these are sd15-tiny's own odd ones: 23, 19, 17, 25 and 63.
# A sampler takes numbers one by one, whatever their shape: all of them at one size.
@pytest.mark.parametrize(
    ("size", "sampler"),
    [
        *(((128, 184), sampler) for sampler in SCHEDULERS),
        *((size, "euler_a") for size in ((152, 136), (200, 128), (504, 136))),
    ],
    ids=str,
)
def test_odd_latents_of_sd15(both: Open, size: tuple[int, int], sampler: str) -> None:
    one = both("sd15")
    request = asked(width=size[0], height=size[1], sampler=sampler)
    latents, pixels = one.theirs.latents_and_pixels(request)
    assert relative_error(one.engine.denoise(request), latents) <= LATENT_BAR
    assert psnr(one.engine.render(request).pixels, pixels) >= PSNR_BAR


@pytest.mark.parametrize("kind", KINDS)
def test_both_layouts_give_the_same_pictures(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The networks are the same bytes; so is an odd size on them."""
    single = build(request.getfixturevalue(f"{kind}_file"), tmp_path / "single", ONNX)
    folder = build(request.getfixturevalue(f"{kind}_folder"), tmp_path / "folder", ONNX)
    assert single.manifest.files == folder.manifest.files
    assert {single.manifest.checkpoint.layout, folder.manifest.checkpoint.layout} == {
        "single",
        "diffusers",
    }
    width, height = (184, 136) if kind == "sd15" else (160, 128)
    pixels = []
    for bundle in (single, folder):
        with Engine.open(bundle.path, threads=1) as engine:
            wanted = asked(width=width, height=height, steps=2)
            pixels.append(engine.render(wanted).pixels)
    np.testing.assert_array_equal(*pixels)


def test_a_prediction_said_by_the_build_is_sampled(
    both: Open, sd15_file: Path, tmp_path: Path
) -> None:
    """A single file that says nothing, with `--prediction v`, is the folder that says v."""
    options = BuildOptions(backend="onnx", overrides=Overrides("v_prediction"))
    bundle = open_bundle(build(sd15_file, tmp_path / "b.sakuga", options).path)
    words = {"timestep_spacing": "leading", "prediction_type": "v_prediction"}
    with Engine.open(bundle.path, threads=1) as engine:
        found = engine.denoise(asked())
    np.testing.assert_array_equal(found, both("sd15", scheduler=words).engine.denoise(asked()))
