"""The variants people have: averaged weights, damaged position ids, v-prediction, other UNets."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.loaders import single_file_utils
from safetensors.torch import load_file, save_file

from sakuga.engine.errors import CheckpointError, TensorError, UnknownFamilyError, UsageError
from sakuga.export.build import BuildOptions, build
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.checkpoint.ldm_unet import ema_unet_table, ldm_unet_table
from sakuga.export.checkpoint.overrides import Overrides
from sakuga.export.inspect import inspect
from sakuga.profiles.families import FAMILIES, Family

Tensors = dict[str, torch.Tensor]
Change = Callable[[Tensors], None]
Saved = Callable[..., Path]

UNET = "model.diffusion_model."
CONV_IN = UNET + "input_blocks.0.0.weight"
POSITIONS = "cond_stage_model.transformer.text_model.embeddings.position_ids"


@pytest.fixture
def saved(sd15_file: Path, tmp_path: Path) -> Saved:
    """Saves sd15-tiny after `change`."""

    def save(change: Change, metadata: dict[str, str] | None = None) -> Path:
        tensors = load_file(sd15_file)
        change(tensors)
        save_file(tensors, tmp_path / "changed.safetensors", metadata)
        return tmp_path / "changed.safetensors"

    return save


def with_averages(tensors: Tensors) -> None:
    """Adds what LitEma keeps: every weight of the UNet under its name without dots."""
    for key in [key for key in tensors if key.startswith(UNET)]:
        tensors["model_ema." + key.removeprefix("model.").replace(".", "")] = tensors[key] + 1
    tensors["model_ema.decay"] = torch.tensor(0.9999)
    tensors["model_ema.num_updates"] = torch.tensor(7)


def without_plain(tensors: Tensors) -> None:
    with_averages(tensors)
    for key in [key for key in tensors if key.startswith(UNET)]:
        del tensors[key]


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_averages_lie_where_diffusers_looks_for_them(family: Family) -> None:
    table = ema_unet_table(family)
    keys = {name: source.key for name, (source,) in ldm_unet_table(family).items()}
    assert len({source.key for (source,) in table.values()}) == len(keys)
    for name, (source,) in table.items():
        assert source.key == "model_ema." + "".join(keys[name].split(".")[1:])


def test_averages_are_left_alone_unless_asked_for(saved: Saved, sd15_file: Path) -> None:
    path = saved(with_averages)
    with (
        open_checkpoint(path) as plain,
        open_checkpoint(path, Overrides(ema=True)) as averaged,
        open_checkpoint(sd15_file) as original,
    ):
        assert plain.unknown == averaged.unknown == ()
        for name in original.components["unet"].names():
            expected = original.components["unet"].read(name)
            np.testing.assert_array_equal(plain.components["unet"].read(name), expected)
            np.testing.assert_array_equal(averaged.components["unet"].read(name), expected + 1)


def test_diffusers_extracts_the_same_averages(saved: Saved) -> None:
    path = saved(with_averages)
    file, config = load_file(path), {"layers_per_block": 2}
    config |= {"class_embed_type": None, "addition_embed_type": None}  # type: ignore[dict-item]
    expected = single_file_utils.convert_ldm_unet_checkpoint(file, config, extract_ema=True)
    with open_checkpoint(path, Overrides(ema=True)) as checkpoint:
        unet = checkpoint.components["unet"]
        assert set(unet.names()) == set(expected)
        for name in unet.names():
            np.testing.assert_array_equal(unet.read(name), expected[name].numpy())


def test_only_averages_are_taken_when_asked_for(saved: Saved) -> None:
    path = saved(without_plain)
    with pytest.raises(TensorError, match="no UNet but the averaged one") as caught:
        open_checkpoint(path)
    assert "--ema" in caught.value.hint
    with open_checkpoint(path, Overrides(ema=True)) as checkpoint:
        assert checkpoint.family.name == "sd15-tiny"


@pytest.mark.parametrize("layout", ["single", "diffusers"])
def test_averages_that_are_not_there(layout: str, sd15_file: Path, sd15_folder: Path) -> None:
    path = sd15_file if layout == "single" else sd15_folder
    with pytest.raises(UsageError, match="has no averaged") as caught:
        open_checkpoint(path, Overrides(ema=True))
    assert "Build without --ema" in caught.value.hint


def test_a_missing_average_is_named(saved: Saved) -> None:
    def change(tensors: Tensors) -> None:
        with_averages(tensors)
        del tensors["model_ema.diffusion_modelout2bias"]

    with pytest.raises(TensorError, match="lacks 1 of the tensors") as caught:
        open_checkpoint(saved(change), Overrides(ema=True))
    assert "conv_out.bias" in caught.value.note


def damaged(tensors: Tensors) -> None:
    """As the merges that made Anything V3: 75.9975, which other tools cut to 75."""
    positions = tensors[POSITIONS].double()
    positions[0, 76] = 75.9975
    tensors[POSITIONS] = positions


@pytest.mark.parametrize("key", [POSITIONS, POSITIONS.replace("text_model.", "")])
def test_damaged_position_ids_are_repaired_and_told(saved: Saved, key: str) -> None:
    def change(tensors: Tensors) -> None:
        damaged(tensors)
        tensors[key] = tensors.pop(POSITIONS)

    path = saved(change)
    with open_checkpoint(path) as checkpoint:
        (note,) = checkpoint.notes
        assert "(no 76)" in note and "repaired" in note
        assert checkpoint.unknown == ()
    assert inspect(path).summary["notes"] == note


@pytest.mark.parametrize(
    "positions",
    [
        torch.arange(77)[None],
        torch.arange(77).half(),
        torch.arange(77)[None].float() + 0.4,  # cut to the right numbers
        torch.zeros(5),
        torch.zeros(77, dtype=torch.bool),
    ],
    ids=["usual", "half", "cut right", "too few", "no numbers"],
)
def test_position_ids_that_need_no_word(saved: Saved, positions: torch.Tensor) -> None:
    with open_checkpoint(saved(lambda found: found.update({POSITIONS: positions}))) as checkpoint:
        assert checkpoint.notes == ()
        assert POSITIONS in checkpoint.ignored


def test_position_ids_that_are_not_finite_are_repaired(saved: Saved) -> None:
    broken = torch.full((1, 77), torch.nan)
    with open_checkpoint(saved(lambda found: found.update({POSITIONS: broken}))) as checkpoint:
        assert "(no 0, 1, 2, 3, 4, …)" in checkpoint.notes[0]


def test_damaged_position_ids_build_the_same_networks(
    saved: Saved, sd15_file: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    broken = build(saved(damaged), tmp_path / "a", say=told.append)
    assert told == [f"Note: {note}" for note in inspect(saved(damaged)).facts["notes"]]  # type: ignore[attr-defined]
    assert broken.manifest.files == build(sd15_file, tmp_path / "b").manifest.files


def test_a_damaged_folder(sdxl_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(sdxl_folder, tmp_path / "model")
    path = folder / "text_encoder_2/model.safetensors"
    positions = {"text_model.embeddings.position_ids": torch.arange(77)[None] // 2}
    save_file(load_file(path) | positions, path)
    with open_checkpoint(folder) as checkpoint:
        assert "(no 39, 40, 41, 42, 43, …)" in checkpoint.notes[0]


NOTHING, V, EPSILON = Overrides(), Overrides("v_prediction"), Overrides("epsilon")
MARK = {"v_pred": torch.zeros(0)}


@pytest.mark.parametrize(
    ("marks", "metadata", "yaml", "overrides", "expected", "noted"),
    [
        ({}, "", "", NOTHING, "epsilon", False),
        ({}, "", "", V, "v_prediction", False),
        (MARK, "", "", NOTHING, "v_prediction", False),
        (MARK, "", "", V, "v_prediction", False),
        (MARK, "", "", EPSILON, "epsilon", True),
        (MARK, "epsilon", "", NOTHING, "v_prediction", False),  # tools read the tensor alone
        ({}, "epsilon", "", V, "v_prediction", True),
        ({}, "sample", "", V, "v_prediction", True),
        ({}, "", 'model:\n  params:\n    parameterization: "v"\n', NOTHING, "v_prediction", False),
        ({}, "", "    parameterization: eps\n", NOTHING, "epsilon", False),
        ({}, "epsilon", "parameterization: 'v'\n", NOTHING, "v_prediction", False),
        ({}, "", "#  parameterization: v\n", NOTHING, "epsilon", False),
        ({}, "", "parameterization: v\n", EPSILON, "epsilon", True),
    ],
)
def test_what_is_predicted(
    saved: Saved,
    marks: Tensors,
    metadata: str,
    yaml: str,
    overrides: Overrides,
    expected: str,
    noted: bool,
) -> None:
    stated = {"modelspec.prediction_type": metadata} if metadata else None
    path = saved(lambda tensors: tensors.update(marks), stated)
    if yaml:
        path.with_suffix(".yaml").write_text(yaml)
    with open_checkpoint(path, overrides) as checkpoint:
        assert checkpoint.prediction == expected
        assert bool(checkpoint.notes) == noted
        assert checkpoint.unknown == ()


def test_a_yaml_of_something_else_is_told(saved: Saved) -> None:
    path = saved(lambda tensors: None)
    path.with_suffix(".yaml").write_text("parameterization: x0\n")
    with pytest.raises(UnknownFamilyError, match="predicts 'x0'") as caught:
        open_checkpoint(path)
    assert "--prediction" in caught.value.hint
    path.with_suffix(".yaml").write_bytes(b"\xff\xfe\0")
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.prediction == "epsilon"


@pytest.mark.parametrize("marks", [{}, MARK, {"ztsnr": torch.zeros(0)}])
def test_zero_terminal_snr(saved: Saved, marks: Tensors) -> None:
    path = saved(lambda tensors: tensors.update(marks))
    with (
        open_checkpoint(path) as stated,
        open_checkpoint(path, Overrides(zero_terminal_snr=True)) as asked,
    ):
        assert stated.zero_terminal_snr is ("ztsnr" in marks)
        assert asked.zero_terminal_snr


def test_a_scheduler_that_is_wrong(sd15_folder: Path) -> None:
    """diffusers writes `epsilon` into every folder it converts, whatever the model predicts."""
    with open_checkpoint(sd15_folder, V) as checkpoint:
        assert checkpoint.prediction == "v_prediction"
        assert "says it predicts 'epsilon'; v_prediction is used" in checkpoint.notes[0]


def test_the_manifest_records_what_the_build_said(saved: Saved, tmp_path: Path) -> None:
    options = BuildOptions(backend="onnx", overrides=Overrides("v_prediction", ema=True))
    bundle = build(saved(with_averages), tmp_path / "b.sakuga", options)
    assert bundle.manifest.prediction == "v_prediction"
    assert bundle.manifest.checkpoint.overrides == ("--prediction v", "--ema")
    assert inspect(bundle.path).summary["built with"] == "--prediction v --ema"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (NOTHING, ()),
        (EPSILON, ("--prediction epsilon",)),
        (Overrides(zero_terminal_snr=True), ("--zero-terminal-snr",)),
    ],
)
def test_overrides_are_spoken_as_options(overrides: Overrides, words: tuple[str, ...]) -> None:
    assert overrides.spoken() == words


def put(key: str, *shape: int) -> Change:
    return lambda tensors: tensors.update({key: torch.zeros(shape)})


FOREIGN: dict[str, tuple[Change, str]] = {
    "pix2pix": (put(CONV_IN, 32, 8, 3, 3), r"an editing model \(8 input channels"),
    "upscaler": (put(CONV_IN, 32, 7, 3, 3), "an upscaling model"),
    "depth": (put(CONV_IN, 32, 5, 3, 3), "a depth-to-image model"),
    "refiner": (put(CONV_IN, 384, 4, 3, 3), "the SDXL refiner"),
    "SD2": (
        put(UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", 320, 1024),
        "a Stable Diffusion 2 model",
    ),
    "LCM": (put(UNET + "time_embed.cond_proj.weight", 320, 256), "takes its guidance as an input"),
    "SD3": (
        put(UNET + "joint_blocks.0.context_block.adaLN_modulation.1.bias", 1),
        "a Stable Diffusion 3 model",
    ),
    "Flux": (put(UNET + "double_blocks.0.img_attn.norm.key_norm.scale", 1), "a Flux-like"),
    "Flux in diffusers names": (put("single_transformer_blocks.0.norm.weight", 1), "a Flux-like"),
    "EDM": (put("edm_vpred.sigma_max"), "the EDM schedule"),
    "Playground": (put("edm_mean", 4), "the EDM schedule"),
    "AnimateDiff": (
        put("down_blocks.0.motion_modules.0.temporal_transformer.norm.bias", 1),
        "an AnimateDiff",
    ),
    "video": (put(UNET + "input_blocks.1.1.time_stack.0.norm1.bias", 1), "a Stable Video"),
    "Cascade": (put("down_blocks.1.0.channelwise.0.weight", 1), "a Stable Cascade model"),
    "IP-Adapter": (put("ip_adapter.1.to_k_ip.weight", 1), "an IP-Adapter"),
    "LLLite": (put("lllite_unet_input_blocks_4_1.up.0.weight", 1), "a ControlNet-LLLite"),
    "ControlNet": (put("controlnet_cond_embedding.conv_in.weight", 1), "a ControlNet"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_models_are_named(saved: Saved, kind: str) -> None:
    change, words = FOREIGN[kind]
    with pytest.raises(UnknownFamilyError, match=words) as caught:
        open_checkpoint(saved(change))
    assert caught.value.note and caught.value.hint


def test_a_bare_unet_is_named(saved: Saved) -> None:
    def bare(tensors: Tensors) -> None:
        unet = {key.removeprefix(UNET): tensors[key] for key in tensors if key.startswith(UNET)}
        tensors.clear()
        tensors.update(unet)

    with pytest.raises(UnknownFamilyError, match="a UNet alone"):
        open_checkpoint(saved(bare))


@pytest.mark.parametrize("part, name", [("vae", "VAE"), ("text_encoder", "text encoder")])
def test_what_is_missing_is_named_with_a_way_out(saved: Saved, part: str, name: str) -> None:
    prefix = {"vae": "first_stage_model.", "text_encoder": "cond_stage_model."}[part]

    def prune(tensors: Tensors) -> None:
        for key in [key for key in tensors if key.startswith(prefix)]:
            del tensors[key]

    with pytest.raises(TensorError, match=f"has no {name}") as caught:
        open_checkpoint(saved(prune))
    assert f"with {part}/ from its base model" in caught.value.hint


def test_a_folder_of_a_transformer_is_named(tmp_path: Path) -> None:
    (tmp_path / "transformer").mkdir()
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(UnknownFamilyError) as caught:
        open_checkpoint(tmp_path)
    assert "made for FluxPipeline" in caught.value.note


def test_weights_under_another_variant_are_listed(sd15_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(sd15_folder, tmp_path / "model")
    path = folder / "unet/diffusion_pytorch_model.safetensors"
    path.rename(path.with_name("diffusion_pytorch_model.non_ema.safetensors"))
    with pytest.raises(CheckpointError, match="under a name of diffusers") as caught:
        open_checkpoint(folder)
    assert "diffusion_pytorch_model.non_ema.safetensors" in caught.value.note
