"""A VAE of its own: every layout gives the same bundle, and what is none is refused."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import CheckpointError, SakugaError, TensorError, UnknownFamilyError
from sakuga.engine.manifest import FileEntry
from sakuga.export.build import BuildOptions, build
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.demo import DEMO_LORA
from sakuga.export.synthetic import write_synthetic
from sakuga.profiles.families import SDXL_TINY

Tensors = dict[str, torch.Tensor]
PREFIX = "first_stage_model."
OLD = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdxl-tiny of another seed in both layouts."""
    folder = tmp_path_factory.mktemp("other")
    write_synthetic(SDXL_TINY, "single", "fp32", 7, folder / "single.safetensors")
    write_synthetic(SDXL_TINY, "diffusers", "fp32", 7, folder / "folder")
    return folder


def _ldm(folder: Path) -> Tensors:
    whole = load_file(folder / "single.safetensors")
    return {key: value for key, value in whole.items() if key.startswith(PREFIX)}


def _bare(folder: Path) -> Tensors:
    tensors = {key.removeprefix(PREFIX): value for key, value in _ldm(folder).items()}
    return tensors | {"loss.logvar": torch.zeros(()), "model_ema.decay": torch.ones(())}


def _diffusers(folder: Path) -> Tensors:
    return load_file(folder / "folder" / "vae" / "diffusion_pytorch_model.safetensors")


def _old_diffusers(folder: Path) -> Tensors:
    def old(key: str) -> str:
        for new, name in OLD.items():
            key = key.replace(new, name)
        return key

    return {old(key): value for key, value in _diffusers(folder).items()}


def _whole(folder: Path) -> Tensors:
    return load_file(folder / "single.safetensors")


@pytest.fixture(scope="module")
def other_files(other: Path) -> Mapping[str, FileEntry]:
    """The files of a bundle of that seed."""
    return build(other / "folder", other / "b", BuildOptions(backend="onnx")).manifest.files


@pytest.mark.parametrize(
    ("layout", "model"),
    [
        (_ldm, "sdxl_file"),
        (_ldm, "sdxl_folder"),
        (_bare, "sdxl_file"),
        (_diffusers, "sdxl_folder"),
        (_old_diffusers, "sdxl_file"),
        (_whole, "sdxl_file"),
    ],
)
def test_every_layout_gives_the_same_vae(
    request: pytest.FixtureRequest,
    other: Path,
    other_files: Mapping[str, FileEntry],
    sdxl_bundle: Bundle,
    tmp_path: Path,
    layout: Callable[[Path], Tensors],
    model: str,
) -> None:
    file = tmp_path / "kl-f8.safetensors"
    save_file(layout(other), file)
    path: Path = request.getfixturevalue(model)
    manifest = build(path, tmp_path / "b", BuildOptions(backend="onnx", vae=file)).manifest
    before = sdxl_bundle.manifest.files
    changed = {name for name in before if manifest.files[name] != before[name]}
    assert changed == {"onnx/vae_decoder/weights.bin", "onnx/vae_encoder/weights.bin"}
    assert all(manifest.files[name] == other_files[name] for name in changed)
    assert manifest.vae is not None and manifest.vae.name == "kl-f8.safetensors"
    assert manifest.vae.sha256.startswith(manifest.vae.hash) and len(manifest.vae.hash) == 10
    with open_checkpoint(path) as checkpoint:
        assert manifest.checkpoint.sha256 == checkpoint.sha256()
        assert manifest.checkpoint.unknown == checkpoint.unknown


def test_a_checkpoint_without_a_vae_takes_one(
    sdxl_file: Path, sdxl_bundle: Bundle, tmp_path: Path
) -> None:
    tensors = load_file(sdxl_file)
    pruned, vae = tmp_path / "pruned.safetensors", tmp_path / "vae.safetensors"
    save_file({key: tensor for key, tensor in tensors.items() if PREFIX not in key}, pruned)
    save_file({key: tensor for key, tensor in tensors.items() if PREFIX in key}, vae)
    with pytest.raises(TensorError, match="has no VAE"):
        build(pruned, tmp_path / "b", BuildOptions(backend="onnx"))
    built = build(pruned, tmp_path / "b", BuildOptions(backend="onnx", vae=vae))
    assert built.manifest.files == sdxl_bundle.manifest.files


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda tensors: tensors.clear(), UnknownFamilyError, "holds no VAE"),
        (lambda tensors: tensors.pop("decoder.conv_in.bias"), TensorError, "lacks 1 of"),
        (
            lambda tensors: tensors.update({"decoder.conv_in.bias": torch.ones(3)}),
            TensorError,
            "1 tensor unfit",
        ),
    ],
    ids=["empty", "missing", "shape"],
)
def test_what_is_wrong_with_it(
    sdxl_file: Path,
    other: Path,
    tmp_path: Path,
    change: Callable[[Tensors], object],
    kind: type[SakugaError],
    words: str,
) -> None:
    tensors, file = _diffusers(other), tmp_path / "vae.safetensors"
    change(tensors)
    save_file(tensors, file)
    with pytest.raises(kind, match=words) as caught:
        open_checkpoint(sdxl_file, vae=file)
    assert str(file) in caught.value.what


def test_what_is_no_vae(sdxl_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownFamilyError, match="is a LoRA, not a VAE"):
        open_checkpoint(sdxl_file, vae=DEMO_LORA)
    with pytest.raises(CheckpointError, match="There is no VAE file"):
        open_checkpoint(sdxl_file, vae=tmp_path / "none.safetensors")
