"""What a diffusers folder says about sampling, and what it may not say."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

from sakuga.engine.errors import CheckpointError
from sakuga.export.build import build
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.checkpoint.settings import SamplingSettings

INDEX, SCHEDULER = "model_index.json", "scheduler/scheduler_config.json"
VAE = "vae/config.json"


@pytest.fixture
def folder(sdxl_folder: Path, tmp_path: Path) -> Path:
    """A copy of the SDXL folder to change."""
    return shutil.copytree(sdxl_folder, tmp_path / "model")


def change(path: Path, **values: object) -> None:
    """Set keys of a config; `...` removes one."""
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in config.items() if value != ...}))


def sampling(path: Path) -> SamplingSettings:
    with open_checkpoint(path) as checkpoint:
        return checkpoint.sampling


@pytest.mark.parametrize("stated, expected", [(True, True), (False, False), (..., True)])
def test_whether_an_absent_negative_is_zeros(folder: Path, stated: object, expected: bool) -> None:
    change(folder / INDEX, force_zeros_for_empty_prompt=stated)
    assert sampling(folder).zero_absent_negative is expected


@pytest.mark.parametrize("stated", ["leading", "trailing", "linspace"])
def test_the_timestep_spacing(folder: Path, stated: str) -> None:
    change(folder / SCHEDULER, timestep_spacing=stated)
    assert sampling(folder).timestep_spacing == stated


@pytest.mark.parametrize("stated", [..., None])
def test_without_a_timestep_spacing_it_is_leading(folder: Path, stated: object) -> None:
    change(folder / SCHEDULER, timestep_spacing=stated)
    assert sampling(folder).timestep_spacing == "leading"


@pytest.mark.parametrize("stated", ["karras", "", 1, ["leading"]])
def test_another_timestep_spacing_is_refused(folder: Path, stated: object) -> None:
    change(folder / SCHEDULER, timestep_spacing=stated)
    with pytest.raises(CheckpointError, match="asks for timesteps spaced") as caught:
        open_checkpoint(folder)
    assert "leading, trailing, linspace" in caught.value.note


@pytest.mark.parametrize(
    "key, value",
    [
        ("beta_schedule", "linear"),
        ("beta_schedule", "squaredcos_cap_v2"),
        ("beta_start", 0.0001),
        ("beta_end", 0.02),
        ("beta_end", "0.012"),
        ("num_train_timesteps", 500),
        ("trained_betas", [0.1, 0.2]),
        ("_class_name", "EDMDPMSolverMultistepScheduler"),
        ("_class_name", "FlowMatchEulerDiscreteScheduler"),
    ],
)
def test_another_noise_schedule_is_refused(folder: Path, key: str, value: object) -> None:
    change(folder / SCHEDULER, **{key: value})
    with pytest.raises(CheckpointError, match="another noise schedule") as caught:
        open_checkpoint(folder)
    assert (str(value) if key == "_class_name" else key) in caught.value.note
    assert caught.value.hint


@pytest.mark.parametrize(
    "key, value",
    [("scaling_factor", 0.18215), ("latents_mean", [0.1] * 4), ("shift_factor", 0.1)],
)
def test_another_scale_of_latents_is_refused(folder: Path, key: str, value: object) -> None:
    change(folder / VAE, **{key: value})
    with pytest.raises(CheckpointError, match="scaled otherwise") as caught:
        open_checkpoint(folder)
    assert key in caught.value.note


@pytest.mark.parametrize("value", [..., None])
def test_what_a_config_does_not_say_is_as_usual(folder: Path, value: object) -> None:
    betas = ("beta_schedule", "beta_start", "beta_end", "num_train_timesteps", "trained_betas")
    change(folder / SCHEDULER, **dict.fromkeys(betas, value))
    change(folder / VAE, scaling_factor=value)
    assert sampling(folder) == SamplingSettings()


def test_the_schedulers_of_diffusers_are_accepted_as_it_saves_them(
    folder: Path,
) -> None:
    usual = json.loads((folder / SCHEDULER).read_text())
    kinds: tuple[Any, ...] = (EulerDiscreteScheduler, DDIMScheduler, DPMSolverMultistepScheduler)
    for kind in kinds:
        kind.from_config(usual).save_pretrained(folder / "scheduler")
        assert sampling(folder).timestep_spacing == "leading"


def test_a_single_file_says_nothing(sdxl_file: Path) -> None:
    assert sampling(sdxl_file) == SamplingSettings(True, "leading")


def test_the_manifest_says_it(folder: Path, tmp_path: Path) -> None:
    change(folder / INDEX, force_zeros_for_empty_prompt=False)
    change(folder / SCHEDULER, timestep_spacing="trailing")
    manifest = build(folder, tmp_path / "b.sakuga").manifest
    assert not manifest.zero_absent_negative
    assert manifest.timestep_spacing == "trailing"
