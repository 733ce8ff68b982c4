"""A stage that is stopped and gone on with gives what an uninterrupted one gives, bit for bit."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sakuga.engine.errors import StoppedError, UsageError
from sakuga.export.demo.training import vae as vae_stage
from sakuga.export.demo.training.faces import FaceOptions, train_faces
from sakuga.export.demo.training.latents import shelves
from sakuga.export.demo.training.lora import LoraOptions, train_lora
from sakuga.export.demo.training.progress import STOP, Run
from sakuga.export.demo.training.text import TextEncoders, TextOptions, train_text
from sakuga.export.demo.training.unet import UNetOptions, train_unet
from sakuga.export.demo.training.vae import VAEOptions, train_vae
from sakuga.profiles.buckets import Size

torch.set_num_threads(1)
VAE = VAEOptions(pictures=6, steps=4, batch=2)
TEXT = TextOptions(steps=4, batch=4)
UNET = UNetOptions(small_steps=2, small_batch=2, steps=2, batch=2, refining_steps=2)
LORA = LoraOptions(pictures=4, steps=4, batch=2)
FACES = FaceOptions(pictures=4, steps=4, batch=2)
SIZES = tuple(Size(64 + 32 * (i % 3), 64) for i in range(9))

Stage = Callable[[Path], Any]


def vae(folder: Path) -> Any:  # noqa: ANN401 (diffusers' module)
    return train_vae(folder, VAE)


def text(folder: Path) -> TextEncoders:
    return train_text(folder, TEXT)


def unet(folder: Path) -> Any:  # noqa: ANN401
    small = shelves(folder, train_vae(folder, VAE), SIZES, range(4), 10)
    return train_unet(folder, train_text(folder, TEXT), small, small, UNET)


def lora(folder: Path) -> torch.nn.ModuleList:
    module = unet(folder)
    adapted = train_lora(folder, train_vae(folder, VAE), train_text(folder, TEXT), module, LORA)
    return torch.nn.ModuleList(adapted.values())


def faces(folder: Path) -> torch.nn.Module:
    return train_faces(folder, FACES)


STAGES: dict[str, Stage] = {"vae": vae, "text": text, "unet": unet, "lora": lora, "faces": faces}


@pytest.fixture(autouse=True)
def nobody_stops() -> Iterator[None]:
    yield
    STOP.clear()


def stop_after(monkeypatch: pytest.MonkeyPatch, stage: str, saves: int) -> None:
    """Ctrl-C in a stage: the step under way is finished, saved, and the stage ends there."""
    due, left = Run.due, [saves]

    def stopping(run: Run) -> bool:
        if run.stage == stage:
            left[0] -= 1
            if left[0] == 0:
                STOP.set()
        return due(run)

    monkeypatch.setattr(Run, "due", stopping)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every stage has run to its end."""
    folder = tmp_path_factory.mktemp("whole")
    lora(folder)
    return folder


def before(name: str, whole: Path, folder: Path) -> Path:
    """A folder as it was before a stage began."""
    later = list(STAGES)[list(STAGES).index(name) :]
    return shutil.copytree(whole, folder, ignore=shutil.ignore_patterns(*(f"{s}.*" for s in later)))


@pytest.mark.parametrize("name", STAGES)
def test_goes_on_as_if_never_stopped(
    name: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parted = before(name, whole, tmp_path / "parted")
    wanted = STAGES[name](whole).state_dict()
    with monkeypatch.context() as patch:
        stop_after(patch, name, 2)
        with pytest.raises(StoppedError) as stopped:
            STAGES[name](parted)
    assert stopped.value.exit_code == 75
    STOP.clear()
    assert torch.load(parted / f"{name}.pt", weights_only=True)["step"] == 2
    found = STAGES[name](parted).state_dict()
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        assert torch.equal(found[key], values), key


def test_a_run_of_other_options_is_not_gone_on_with(tmp_path: Path) -> None:
    train_vae(tmp_path, VAE)
    with pytest.raises(UsageError, match="other options"):
        train_vae(tmp_path, replace(VAE, seed=99))


def test_latents_of_another_vae_are_not_taken(tmp_path: Path) -> None:
    first = train_vae(tmp_path, VAE)
    shelves(tmp_path, first, SIZES[:1], range(2), 10)
    with torch.no_grad():
        first.quant_conv.bias += 1
    shelves(tmp_path, first, SIZES[:1], range(2), 10)
    assert len(list(tmp_path.glob("latents-*.npy"))) == 2


def test_whitening_changes_no_picture_and_gives_latents_of_spread_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = vae_stage.vae_module(vae_stage.SDXL_DEMO).eval()
    images = vae_stage.crops(1, 6)
    with torch.no_grad():
        pixels = vae_stage.to_network(images)
        before = module.decode(module.encode(pixels).latent_dist.mean).sample
        vae_stage.whiten(module, images)
        latents = module.encode(pixels).latent_dist.mean
        after = module.decode(latents).sample
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)
    scaled = latents * vae_stage.SDXL_DEMO.vae.scaling_factor
    assert scaled.mean((0, 2, 3)).abs().max() < 1e-3
    torch.testing.assert_close(scaled.std((0, 2, 3)), torch.ones(4), rtol=1e-3, atol=1e-3)
