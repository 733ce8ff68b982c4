"""What LoRA files call the modules of a family.

Trainers write a module's path with dots or with underscores, behind a prefix for its network; UNet
paths come in both layouts, diffusers' and the original one.
"""

from collections.abc import Iterator, Mapping

from sakuga.export.checkpoint.ldm_unet import PREFIX, ldm_unet_table
from sakuga.profiles.families import Family
from sakuga.profiles.weights import weights

# Prefixes before paths with underscores: of kohya and OneTrainer, of LyCORIS, of kohya's OFT.
_UNET = ("lora_unet_", "lycoris_", "oft_unet_")
_UNDERSCORED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sdxl": {
        "text_encoder": ("lora_te1_",),
        "text_encoder_2": ("lora_te2_",),
        "unet": _UNET,
    },
    "sd15": {"text_encoder": ("lora_te_",), "unet": _UNET},
}

# Prefixes before paths with dots: of diffusers, of PEFT for one network alone, and of ComfyUI.
_DOTTED: Mapping[str, tuple[str, ...]] = {
    "text_encoder": ("text_encoder.", "text_encoders.clip_l.transformer."),
    "text_encoder_2": ("text_encoder_2.", "text_encoders.clip_g.transformer."),
    "unet": ("unet.", "", "base_model.model.", "diffusion_model.", PREFIX),
}

Module = tuple[str, str]  # component, canonical path


def modules_by_spelling(family: Family) -> dict[str, Module]:
    """Every spelling of every module with weights of its own, to the module it means."""
    found: dict[str, Module] = {}
    original = {
        name.removesuffix(".weight"): source.key.removeprefix(PREFIX).removesuffix(".weight")
        for name, (source, *_) in ldm_unet_table(family).items()
    }
    for component, shapes in weights(family).items():
        if component not in _DOTTED:
            continue  # no trainer touches the VAE
        for path in {name.rpartition(".")[0] for name in shapes}:
            paths = {path, path.removeprefix("text_model.")}
            if component == "unet":
                paths.add(original[path])
            for spelling in _spellings(family, component, paths):
                known = found.setdefault(spelling, (component, path))
                assert known == (component, path), f"{spelling} means two modules"
    return found


def _spellings(family: Family, component: str, paths: set[str]) -> Iterator[str]:
    for path in paths:
        for prefix in _DOTTED[component]:
            yield prefix + path
        for prefix in _UNDERSCORED[family.kind][component]:
            yield prefix + path.replace(".", "_")
