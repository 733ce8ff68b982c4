"""Opening checkpoints: both layouts, every mix of types, the marks they carry, bad input."""

import hashlib
import json
import re
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sakuga.engine.errors import (
    CheckpointError,
    FileFormatError,
    SakugaError,
    TensorError,
    UnknownFamilyError,
)
from sakuga.export.checkpoint.layouts import Checkpoint, open_checkpoint
from sakuga.export.synthetic import write_synthetic
from sakuga.profiles.families import FAMILIES, SD15_TINY, SDXL_TINY, Family
from sakuga.profiles.weights import weights

Tensors = dict[str, torch.Tensor]
UNET = "model.diffusion_model."
CONV_IN = UNET + "input_blocks.0.0.weight"
TINY = [SDXL_TINY, SD15_TINY]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for family in TINY:
        write_synthetic(family, "single", "fp16", 0, folder / f"{family.name}.safetensors")
        write_synthetic(family, "diffusers", "fp16", 0, folder / family.name)
    return folder


@pytest.fixture
def single(made: Path, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Saves the SDXL single file after `change`."""

    def save(change: Callable[[Tensors], None], metadata: dict[str, str] | None = None) -> Path:
        tensors = load_file(made / "sdxl-tiny.safetensors")
        change(tensors)
        save_file(tensors, tmp_path / "changed.safetensors", metadata)
        return tmp_path / "changed.safetensors"

    yield save


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the SDXL folder to change."""
    return shutil.copytree(made / "sdxl-tiny", tmp_path / "model")


def same_weights(a: Checkpoint, b: Checkpoint) -> None:
    assert list(a.components) == list(b.components)
    for part, component in a.components.items():
        other = b.components[part]
        assert component.names() == other.names()
        for name in component.names():
            np.testing.assert_array_equal(component.read(name), other.read(name), err_msg=name)


@pytest.mark.parametrize("family", TINY, ids=lambda family: family.name)
def test_both_layouts_give_the_same_tensors(made: Path, family: Family) -> None:
    with (
        open_checkpoint(made / f"{family.name}.safetensors") as one,
        open_checkpoint(made / family.name) as other,
    ):
        assert (one.layout, other.layout) == ("single", "diffusers")
        assert one.family == other.family == family
        same_weights(one, other)


@pytest.mark.parametrize("family", TINY, ids=lambda family: family.name)
def test_names_and_shapes_are_canonical_and_complete(made: Path, family: Family) -> None:
    with open_checkpoint(made / f"{family.name}.safetensors") as checkpoint:
        found = {
            part: {name: component.shape(name) for name in component.names()}
            for part, component in checkpoint.components.items()
        }
        assert found == weights(family)
        for component in checkpoint.components.values():
            assert {component.read(name).shape for name in component.names()} == {
                component.shape(name) for name in component.names()
            }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_other_types(made: Path, single: Callable[..., Path], dtype: torch.dtype) -> None:
    def cast(tensors: Tensors) -> None:
        for key in tensors:
            tensors[key] = tensors[key].to(dtype)

    path = single(cast)
    with open_checkpoint(path) as changed, open_checkpoint(made / "sdxl-tiny") as original:
        for name in ("conv_in.weight", "time_embedding.linear_1.bias"):
            expected = torch.from_numpy(original.components["unet"].read(name)).to(dtype)
            found = changed.components["unet"].read(name)
            np.testing.assert_array_equal(found, expected.double().numpy())


def test_mixed_types_in_one_file(made: Path, single: Callable[..., Path]) -> None:
    types = (torch.float16, torch.float32, torch.bfloat16)

    def cast(tensors: Tensors) -> None:
        for index, key in enumerate(tensors):
            tensors[key] = tensors[key].to(types[index % 3])

    path = single(cast)
    with open_checkpoint(path) as changed, open_checkpoint(made / "sdxl-tiny") as original:
        dtypes = set()
        for part, component in changed.components.items():
            for name in component.names():
                dtypes.add(component.dtype(name))
                np.testing.assert_allclose(
                    component.read(name), original.components[part].read(name), rtol=2**-8
                )
        assert dtypes == {"F16", "F32", "BF16"}


def test_position_ids_spoiled_by_a_merge_are_ignored(single: Callable[..., Path]) -> None:
    key = "conditioner.embedders.0.transformer.text_model.embeddings.position_ids"

    def spoil(tensors: Tensors) -> None:
        tensors[key] = tensors[key].to(torch.float16) - 0.01

    with open_checkpoint(single(spoil)) as checkpoint:
        assert checkpoint.ignored == (key,)


def test_surplus_names_are_told_apart(single: Callable[..., Path]) -> None:
    def add(tensors: Tensors) -> None:
        tensors["model_ema.diffusion_modelinput_blocks00weight"] = torch.zeros(2)
        tensors["conditioner.embedders.1.model.logit_scale"] = torch.tensor(4.6)
        tensors["alphas_cumprod"] = torch.zeros(1000)
        tensors["somebody.elses.weight"] = torch.zeros(2)

    with open_checkpoint(single(add)) as checkpoint:
        assert checkpoint.unknown == ("somebody.elses.weight",)
        assert len(checkpoint.ignored) == 4


def test_old_clip_names_without_text_model(made: Path, tmp_path: Path) -> None:
    tensors = {
        key.replace(".transformer.text_model.", ".transformer."): tensor
        for key, tensor in load_file(made / "sd15-tiny.safetensors").items()
    }
    save_file(tensors, tmp_path / "old.safetensors")
    with (
        open_checkpoint(tmp_path / "old.safetensors") as old,
        open_checkpoint(made / "sd15-tiny") as new,
    ):
        same_weights(old, new)


def test_old_vae_names_and_short_clip_names_in_a_folder(made: Path, folder: Path) -> None:
    def rewrite(path: Path, rename: Callable[[str], str]) -> None:
        tensors = load_file(path)
        for key in [key for key in tensors if ".to_v.weight" in key and "mid_block" in key]:
            tensors[key] = tensors[key][:, :, None, None].contiguous()
        save_file({rename(key): tensor for key, tensor in tensors.items()}, path)

    def old_attention(key: str) -> str:
        for new, old in (
            ("to_q", "query"),
            ("to_k", "key"),
            ("to_v", "value"),
            ("to_out.0", "proj_attn"),
        ):
            key = key.replace(new, old)
        return key

    rewrite(folder / "vae/diffusion_pytorch_model.safetensors", old_attention)
    rewrite(folder / "text_encoder/model.safetensors", lambda key: key.removeprefix("text_model."))
    with open_checkpoint(folder) as changed, open_checkpoint(made / "sdxl-tiny") as original:
        assert changed.unknown == ()
        same_weights(changed, original)


def test_projection_stored_as_a_linear(made: Path, single: Callable[..., Path]) -> None:
    key = "conditioner.embedders.1.model.text_projection"

    def transpose(tensors: Tensors) -> None:
        tensors[key + ".weight"] = tensors.pop(key).T.contiguous()

    path = single(transpose)
    with open_checkpoint(path) as changed, open_checkpoint(made / "sdxl-tiny") as original:
        same_weights(changed, original)


def test_fp16_variant_files(made: Path, folder: Path) -> None:
    for path in list(folder.rglob("*.safetensors")):
        path.rename(path.with_name(path.stem + ".fp16.safetensors"))
    with open_checkpoint(folder) as changed, open_checkpoint(made / "sdxl-tiny") as original:
        same_weights(changed, original)


def shard(folder: Path, parts: int) -> None:
    path = folder / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    path.unlink()
    places: dict[str, str] = {}
    for number in range(parts):
        name = f"diffusion_pytorch_model-{number + 1:05}-of-{parts:05}.safetensors"
        held = {key: tensors[key] for key in list(tensors)[number::parts]}
        save_file(held, folder / "unet" / name)
        places |= dict.fromkeys(held, name)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "unet/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def test_sharded_folder(made: Path, folder: Path) -> None:
    shard(folder, 3)
    with open_checkpoint(folder) as changed, open_checkpoint(made / "sdxl-tiny") as original:
        same_weights(changed, original)
        assert len(changed.files) == 6


def test_missing_shard_is_named(folder: Path) -> None:
    shard(folder, 3)
    (folder / "unet/diffusion_pytorch_model-00002-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"There is no file .*00002-of-00003"):
        open_checkpoint(folder)


def test_shard_outside_the_folder_is_refused(folder: Path) -> None:
    shard(folder, 1)
    index = folder / "unet/diffusion_pytorch_model.safetensors.index.json"
    index.write_text('{"weight_map": {"conv_in.weight": "../vae/model.safetensors"}}')
    with pytest.raises(FileFormatError, match="outside its folder"):
        open_checkpoint(folder)


def test_tensor_in_two_shards_is_refused(folder: Path) -> None:
    shard(folder, 2)
    second = folder / "unet/diffusion_pytorch_model-00002-of-00002.safetensors"
    tensors = load_file(second) | {"conv_in.weight": torch.zeros(32, 4, 3, 3)}
    save_file(tensors, second)
    with pytest.raises(FileFormatError, match=r"conv_in\.weight is in two files"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("marks", "metadata", "expected"),
    [
        ((), {}, ("epsilon", False)),
        (("v_pred",), {}, ("v_prediction", False)),
        (("v_pred", "ztsnr"), {}, ("v_prediction", True)),
        ((), {"modelspec.prediction_type": "v"}, ("v_prediction", False)),
        ((), {"modelspec.prediction_type": "epsilon"}, ("epsilon", False)),
    ],
)
def test_prediction_marked_in_a_single_file(
    single: Callable[..., Path],
    marks: tuple[str, ...],
    metadata: dict[str, str],
    expected: tuple[str, bool],
) -> None:
    def mark(tensors: Tensors) -> None:
        tensors.update({name: torch.zeros(0) for name in marks})

    with open_checkpoint(single(mark, metadata)) as checkpoint:
        assert (checkpoint.prediction, checkpoint.zero_terminal_snr) == expected
        assert checkpoint.unknown == ()


def test_prediction_of_a_folder(folder: Path) -> None:
    path = folder / "scheduler/scheduler_config.json"
    config = json.loads(path.read_text())
    changed = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    path.write_text(json.dumps(config | changed))
    with open_checkpoint(folder) as checkpoint:
        assert (checkpoint.prediction, checkpoint.zero_terminal_snr) == ("v_prediction", True)
    path.write_text(json.dumps(config | {"prediction_type": "sample"}))
    with pytest.raises(UnknownFamilyError, match="'sample'"):
        open_checkpoint(folder)


def test_sha256(made: Path) -> None:
    path = made / "sdxl-tiny.safetensors"
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    root = made / "sdxl-tiny"
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(root).as_posix()}\n"
        for file in sorted(root.rglob("*.safetensors"))
    ]
    with open_checkpoint(root) as checkpoint:
        assert checkpoint.sha256() == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_network_is_never_in_memory_twice(made: Path) -> None:
    with open_checkpoint(made / "sdxl-tiny.safetensors") as checkpoint:
        unet = checkpoint.components["unet"]
        tracemalloc.start()
        for name in unet.names():
            unet.read(name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        largest = max(2 * int(np.prod(unet.shape(name))) for name in unet.names())
        assert peak < 3 * largest


def test_reading_one_third_reads_its_own_rows(made: Path) -> None:
    with open_checkpoint(made / "sdxl-tiny.safetensors") as checkpoint:
        component = checkpoint.components["text_encoder_2"]
        fused = load_file(made / "sdxl-tiny.safetensors")[
            "conditioner.embedders.1.model.transformer.resblocks.2.attn.in_proj_weight"
        ].numpy()
        for index, part in enumerate("qkv"):
            name = f"text_model.encoder.layers.2.self_attn.{part}_proj.weight"
            found = component.read(name)
            np.testing.assert_array_equal(found, fused[64 * index : 64 * (index + 1)])


# Bad input: what is done to the SDXL single file, the error, and words of its message.


def lose(pattern: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for key in [key for key in tensors if pattern in key]:
            del tensors[key]

    return change


def replace(key: str, tensor: torch.Tensor) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({key: tensor})


def only(pattern: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for key in [key for key in tensors if pattern not in key]:
            del tensors[key]

    return change


def become(**tensors: torch.Tensor) -> Callable[[Tensors], None]:
    def change(found: Tensors) -> None:
        found.clear()
        found.update({key.replace("__", "."): value.clone() for key, value in tensors.items()})

    return change


ONE = torch.zeros(1)
BAD: dict[str, tuple[Callable[[Tensors], None], type[SakugaError], str]] = {
    "kohya LoRA": (
        become(lora_unet_mid_block__lora_up__weight=ONE, lora_te1_text__alpha=ONE),
        UnknownFamilyError,
        "is a LoRA",
    ),
    "diffusers LoRA": (
        become(unet__mid_block__to_q__lora_A__weight=ONE),
        UnknownFamilyError,
        "is a LoRA",
    ),
    "LoHa": (become(lora_unet_x__hada_w1_a=ONE), UnknownFamilyError, "is a LoRA"),
    "LoKr": (become(lora_unet_x__lokr_w1=ONE), UnknownFamilyError, "is a LoRA"),
    "VAE in ldm names": (only("first_stage_model."), UnknownFamilyError, "is a VAE"),
    "VAE alone": (become(decoder__conv_in__weight=ONE), UnknownFamilyError, "is a VAE"),
    "text encoder": (only("conditioner.embedders.0"), UnknownFamilyError, "is a text encoder"),
    "diffusers UNet": (
        become(down_blocks__0__resnets__0__norm1__weight=ONE),
        UnknownFamilyError,
        "one network",
    ),
    "embedding": (become(emb_params=ONE), UnknownFamilyError, "textual inversion"),
    "ControlNet": (become(control_model__x=ONE), UnknownFamilyError, "a ControlNet"),
    "Flux": (become(model__diffusion_model__double_blocks__0__x=ONE), UnknownFamilyError, "Flux"),
    "SD2": (
        replace("cond_stage_model.model.ln_final.weight", ONE),
        UnknownFamilyError,
        "Stable Diffusion 2",
    ),
    "EDM": (replace("edm_vpred.sigma_max", ONE), UnknownFamilyError, "EDM schedule"),
    "refiner": (
        replace(CONV_IN, torch.zeros(384, 4, 3, 3)),
        UnknownFamilyError,
        "the SDXL refiner",
    ),
    "editing": (replace(CONV_IN, torch.zeros(32, 8, 3, 3)), UnknownFamilyError, "an editing model"),
    "unknown width": (
        replace(CONV_IN, torch.zeros(96, 4, 3, 3)),
        UnknownFamilyError,
        "fits no model family",
    ),
    "nothing known": (become(x=ONE), UnknownFamilyError, "fits no model family"),
    "no tensors": (become(), UnknownFamilyError, "fits no model family"),
    "no VAE": (lose("first_stage_model."), TensorError, r"has no VAE\."),
    "no text encoder": (lose("conditioner.embedders.0."), TensorError, "has no text encoder"),
    "no second text encoder": (lose("embedders.1."), TensorError, "has no second text encoder"),
    "no encoders": (lose("conditioner"), TensorError, r"\(CLIP-L\) and no second"),
    "missing tensors": (lose("middle_block.0."), TensorError, "lacks 10 of the tensors"),
    "wrong shape": (
        replace(UNET + "out.0.bias", torch.zeros(33)),
        TensorError,
        r"has 1 tensor unfit for(.|\n)*conv_norm_out.bias is F32 \[33\](.|\n)*of \[32\]",
    ),
    "fused rows not divisible": (
        replace(
            "conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_bias",
            torch.zeros(191),
        ),
        TensorError,
        "has 3 tensors unfit for",
    ),
    "scalar for a matrix": (
        replace(UNET + "time_embed.0.weight", torch.tensor(1.0)),
        TensorError,
        r"is F32 \[\]",
    ),
    "scalar for a fused matrix": (
        replace(
            "conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight",
            torch.tensor(1.0),
        ),
        TensorError,
        "has 3 tensors unfit for",
    ),
    "integers for weights": (
        replace(UNET + "out.0.bias", torch.zeros(32, dtype=torch.int8)),
        TensorError,
        "is I8",
    ),
    "unknown prediction": (replace("x", ONE), UnknownFamilyError, "'sample'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_single_file(single: Callable[..., Path], kind: str) -> None:
    change, error, words = BAD[kind]
    metadata = {"modelspec.prediction_type": "sample"} if kind == "unknown prediction" else None
    with pytest.raises(error, match=words) as caught:
        open_checkpoint(single(change, metadata))
    assert caught.value.hint


def test_missing_tensors_names_the_first_few_and_the_count(single: Callable[..., Path]) -> None:
    with pytest.raises(TensorError) as caught:
        open_checkpoint(single(lose(".in_layers.")))
    assert caught.value.note.count("unet: ") == 5
    count = sum(re.search(r"resnets.+(norm1|conv1)", name) is not None for name in unet_names())
    assert f"lacks {count} of" in caught.value.what
    assert f"and {count - 5} more" in caught.value.note


def unet_names() -> list[str]:
    return list(weights(SDXL_TINY)["unet"])


def test_unknown_family_says_why_for_each(single: Callable[..., Path]) -> None:
    with pytest.raises(UnknownFamilyError) as caught:
        open_checkpoint(single(replace(CONV_IN, torch.zeros(96, 4, 3, 3))))
    for family in FAMILIES.values():
        assert f"{family.name}: conv_in.weight is [96, 4, 3, 3]" in caught.value.note


def test_truncated_file_says_how_much_is_missing(made: Path, tmp_path: Path) -> None:
    content = (made / "sdxl-tiny.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-1234])
    with pytest.raises(FileFormatError, match="it ends 1234 bytes too early"):
        open_checkpoint(tmp_path / "cut.safetensors")


def test_no_such_path(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no file or folder"):
        open_checkpoint(tmp_path / "none")


def test_folder_with_only_pickles(folder: Path) -> None:
    path = folder / "unet/diffusion_pytorch_model.safetensors"
    path.rename(path.with_suffix(".bin"))
    with pytest.raises(FileFormatError, match="only pickled weights") as caught:
        open_checkpoint(folder)
    assert "weights_only=True" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("unet", r"It is one component, a UNet2DConditionModel\.(.|\n)*folder above"),
        ("scheduler", "no unet folder"),
    ],
)
def test_a_part_of_a_folder_is_named(folder: Path, path: str, words: str) -> None:
    with pytest.raises(UnknownFamilyError, match=words):
        open_checkpoint(folder / path)


def test_folder_that_only_holds_a_single_file(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "sd15-tiny.safetensors", tmp_path / "model.safetensors")
    with pytest.raises(UnknownFamilyError, match=r"holds model\.safetensors"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("part", "words"),
    [("vae", r"has no VAE\."), ("text_encoder_2", "has no second text encoder")],
)
def test_folder_without_a_component(folder: Path, part: str, words: str) -> None:
    shutil.rmtree(folder / part)
    with pytest.raises(TensorError, match=words):
        open_checkpoint(folder)


def test_empty_component_folder(folder: Path) -> None:
    (folder / "vae/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="holds no weights"):
        open_checkpoint(folder)


def test_damaged_scheduler_config(folder: Path) -> None:
    (folder / "scheduler/scheduler_config.json").write_text("{")
    with pytest.raises(FileFormatError, match=r"scheduler_config\.json cannot be used"):
        open_checkpoint(folder)


def test_folder_without_a_scheduler_predicts_epsilon(folder: Path) -> None:
    shutil.rmtree(folder / "scheduler")
    with open_checkpoint(folder) as checkpoint:
        assert checkpoint.prediction == "epsilon"


def test_inpainting_folder(folder: Path) -> None:
    path = folder / "unet/diffusion_pytorch_model.safetensors"
    save_file(load_file(path) | {"conv_in.weight": torch.zeros(32, 9, 3, 3)}, path)
    with open_checkpoint(folder) as checkpoint:
        assert checkpoint.family.name.endswith("-tiny-inpaint")
        assert checkpoint.family.inpaints
