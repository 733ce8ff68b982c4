"""Whole bundles against what diffusers and PEFT make of the same files: load, fuse, compare."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from numpy.typing import NDArray
from peft import (
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    get_peft_model,
    get_peft_model_state_dict,
    inject_adapter_in_model,
)

from sakuga.engine.bundle import Bundle
from sakuga.export.adapters.choice import LoraChoice
from sakuga.export.adapters.describe import describe_lora
from sakuga.export.adapters.stack import open_loras
from sakuga.export.assemble import unchanged
from sakuga.export.build import BuildOptions, build
from sakuga.export.checkpoint.ldm_unet import PREFIX, ldm_unet_table
from sakuga.export.reference_pipeline import reference
from sakuga.export.relative_error import relative_error
from sakuga.export.weight_forms import formed, source
from sakuga.profiles.families import SD15_TINY, SDXL_TINY, Family
from sakuga.profiles.weights import weights

BAR = 1e-5

Array = NDArray[Any]
Tensors = dict[str, torch.Tensor]
WriteLora = Callable[..., Path]
ReadBundle = Callable[[Bundle], dict[str, Array]]

UNET_LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj")
TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


def _pair(shape: tuple[int, ...], seed: int, rank: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    out, *rest = shape
    up = torch.randn(out, rank, *[1] * len(rest[1:]), generator=generator)
    return 0.1 * up, 0.1 * torch.randn(rank, *rest, generator=generator)


def kohya(family: Family, sgm: bool) -> Tensors:
    """A LoRA of attention, feed-forward and text encoders, under the names of kohya's scripts."""
    tensors: Tensors = {}
    encoders = {"text_encoder": "lora_te_"}
    if family.kind == "sdxl":
        encoders = {"text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}
    table = ldm_unet_table(family)
    for component, shapes in weights(family).items():
        layers = {"unet": UNET_LAYERS, "vae": ()}.get(component, TEXT_LAYERS)
        for name, shape in shapes.items():
            module = name.removesuffix(".weight")
            if not module.endswith(layers):
                continue
            if component == "unet" and sgm:
                module = table[name][0].key.removeprefix(PREFIX).removesuffix(".weight")
            key = encoders.get(component, "lora_unet_") + module.replace(".", "_")
            up, down = _pair(shape, len(tensors))
            tensors |= {f"{key}.lora_up.weight": up, f"{key}.lora_down.weight": down}
            tensors[f"{key}.alpha"] = torch.tensor(1.5)
    return tensors


def fused(folder: Path, files: dict[Path, float]) -> dict[str, Array]:
    """What diffusers' pipeline holds after loading and fusing, by `component/name`."""
    pipeline = reference(folder).pipeline
    vars(pipeline.text_encoder).pop("text_model", None)  # an alias of itself that PEFT stumbles on
    for number, (file, scale) in enumerate(files.items()):
        pipeline.load_lora_weights(file, adapter_name=f"n{number}")
        pipeline.fuse_lora(adapter_names=[f"n{number}"], lora_scale=scale)
        pipeline.unload_lora_weights()
    return pipeline_weights(pipeline)


def pipeline_weights(pipeline: Any) -> dict[str, Array]:  # noqa: ANN401
    found = {}
    for component in ("unet", "vae", "text_encoder", "text_encoder_2"):
        module = getattr(pipeline, component, None)
        for name, tensor in module.state_dict().items() if module is not None else ():
            if component.startswith("text") and not name.startswith(("text_model", "text_proj")):
                name = f"text_model.{name}"  # transformers 5 has left the prefix out
            found[f"{component}/{name}"] = tensor.numpy()
    return found


def same(found: dict[str, Array], wanted: dict[str, Array], before: dict[str, Array]) -> int:
    """How many tensors were changed; all are as wanted."""
    changed = 0
    for name, values in found.items():
        _errors.append(relative_error(values, formed(name, wanted[source(name)])))
        assert _errors[-1] <= BAR, name
        changed += not np.array_equal(values, before[name])
    return changed


_errors: list[float] = []


@pytest.fixture(autouse=True)
def told(request: pytest.FixtureRequest, worst: Callable[[str, float], float]) -> Iterator[None]:
    """Keeps the errors of a test under its name and parameters."""
    _errors.clear()
    yield
    for error in _errors:
        worst(request.node.name, error)


@pytest.mark.parametrize("sgm", [True, False], ids=["sgm names", "diffusers names"])
def test_kohya_on_sdxl(
    sdxl_file: Path,
    sdxl_folder: Path,
    sdxl_bundle: Bundle,
    tmp_path: Path,
    write_lora: WriteLora,
    read_bundle: ReadBundle,
    sgm: bool,
) -> None:
    tensors = kohya(SDXL_TINY, sgm)
    file = write_lora(tensors)
    built = build(sdxl_file, tmp_path / "b", onnx(LoraChoice(file, 0.8)))
    assert built.manifest.loras[0].unmatched == ()
    found = read_bundle(built)
    assert same(found, fused(sdxl_folder, {file: 0.8}), read_bundle(sdxl_bundle)) == (
        len(tensors) / 3
    )


def test_two_loras_on_sd15(
    sd15_file: Path,
    sd15_folder: Path,
    sd15_bundle: Bundle,
    tmp_path: Path,
    write_lora: WriteLora,
    read_bundle: ReadBundle,
) -> None:
    tensors = kohya(SD15_TINY, sgm=False)
    some = {key: value.half() for key, value in tensors.items() if "attn1" in key}
    one, two = write_lora(tensors, "one"), write_lora(some, "two")
    options = onnx(LoraChoice(one, 0.5), LoraChoice(two, -1.25))
    found = read_bundle(build(sd15_file, tmp_path / "b", options))
    wanted = fused(sd15_folder, {one: 0.5, two: -1.25})
    assert same(found, wanted, read_bundle(sd15_bundle)) == len(tensors) / 3


@pytest.mark.parametrize("dora", [False, True], ids=["LoRA", "DoRA"])
@pytest.mark.parametrize("config_inside", [False, True])
def test_peft_s_own_files(
    sdxl_file: Path,
    sdxl_folder: Path,
    sdxl_bundle: Bundle,
    tmp_path: Path,
    read_bundle: ReadBundle,
    dora: bool,
    config_inside: bool,
) -> None:
    """Trained by PEFT, saved by diffusers; only the file's config tells an alpha that is not r."""
    torch.manual_seed(0)
    pipeline = reference(sdxl_folder).pipeline
    config = LoraConfig(
        r=4,
        lora_alpha=6 if config_inside else 4,
        alpha_pattern={"attn2.to_k": 2} if config_inside else {},
        use_rslora=config_inside,
        use_dora=dora,
        init_lora_weights=False,
        target_modules=[*UNET_LAYERS, "conv1", "conv_shortcut"],
    )
    unet = inject_adapter_in_model(config, pipeline.unet)
    text = inject_adapter_in_model(
        LoraConfig(r=2, lora_alpha=2, init_lora_weights=False, target_modules=["q_proj", "fc1"]),
        pipeline.text_encoder_2,
    )
    StableDiffusionXLPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers={**get_peft_model_state_dict(unet)},
        text_encoder_2_lora_layers={**get_peft_model_state_dict(text)},
        unet_lora_adapter_metadata=config.to_dict() if config_inside else None,
    )
    for module in (*unet.modules(), *text.modules()):
        merge = getattr(module, "merge", None)
        if callable(merge):
            merge()
    wanted = {
        name.replace(".base_layer", ""): values
        for name, values in pipeline_weights(pipeline).items()
    }
    file = tmp_path / "pytorch_lora_weights.safetensors"
    built = build(sdxl_file, tmp_path / "b", onnx(LoraChoice(file)))
    assert built.manifest.loras[0].unmatched == ()
    assert same(read_bundle(built), wanted, read_bundle(sdxl_bundle)) > 100


CORES: dict[str, Any] = {"r": 4, "alpha": 6, "use_effective_conv2d": True}


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        pytest.param(LoHaConfig(r=4, alpha=6, alpha_pattern={"attn2.to_k": 2}), "LoHa", id="LoHa"),
        pytest.param(LoHaConfig(**CORES), "LoHa", id="LoHa, cores", marks=pytest.mark.slow),
        pytest.param(LoKrConfig(r=4, alpha=6), "LoKr", id="LoKr", marks=pytest.mark.slow),
        pytest.param(
            LoKrConfig(**CORES, decompose_both=True), "LoKr", id="LoKr, cores",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            LoKrConfig(r=999, alpha=500, rank_pattern={"attn1.to_q": 998}), "LoKr",
            id="LoKr, whole",
        ),
    ],
)  # fmt: skip
def test_peft_s_loha_and_lokr(
    sdxl_folder: Path, tmp_path: Path, config: LoHaConfig | LoKrConfig, kind: str
) -> None:
    """Saved by PEFT beside its config, which alone tells alpha, and the rank where none shows."""
    torch.manual_seed(0)
    pipeline = reference(sdxl_folder).pipeline
    before = {name: values.copy() for name, values in pipeline_weights(pipeline).items()}
    layers = [*UNET_LAYERS, "conv1", "conv_in"]
    unet: Any = get_peft_model(
        pipeline.unet, replace(config, init_weights=False, target_modules=layers)
    )
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "lokr_" in name or "hada_" in name:
                parameter.mul_(0.3)
    unet.save_pretrained(tmp_path)
    pipeline.unet = unet.merge_and_unload()
    wanted, file = pipeline_weights(pipeline), tmp_path / "adapter_model.safetensors"
    with open_loras([LoraChoice(file)], SDXL_TINY, strict=True) as loras:
        merged = loras.before(unchanged)
        found = {name: merged(name, values) for name, values in before.items()}
    assert describe_lora(file)[0]["kinds"].keys() == {kind}  # type: ignore[attr-defined]
    assert same(found, wanted, before) > 50


def onnx(*loras: LoraChoice) -> BuildOptions:
    return BuildOptions(backend="onnx", loras=loras)
