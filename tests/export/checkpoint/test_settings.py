"""What a diffusers folder says about sampling, and what it may not say."""

import json
import shutil
from pathlib import Path

import pytest

from sakuga.engine.errors import CheckpointError
from sakuga.export.build import build
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.checkpoint.settings import SamplingSettings

INDEX, SCHEDULER = "model_index.json", "scheduler/scheduler_config.json"


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


def test_a_single_file_says_nothing(sdxl_file: Path) -> None:
    assert sampling(sdxl_file) == SamplingSettings(True, "leading")


def test_the_manifest_says_it(folder: Path, tmp_path: Path) -> None:
    change(folder / INDEX, force_zeros_for_empty_prompt=False)
    change(folder / SCHEDULER, timestep_spacing="trailing")
    manifest = build(folder, tmp_path / "b.sakuga").manifest
    assert not manifest.zero_absent_negative
    assert manifest.timestep_spacing == "trailing"
