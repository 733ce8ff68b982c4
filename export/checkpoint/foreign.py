"""What a safetensors file is when it is no checkpoint Sakuga builds from, told by its names."""

import re
from collections.abc import Collection, Iterable

from sakuga.engine.errors import UnknownFamilyError
from sakuga.export.checkpoint.store import TensorStore

_UNET = "model.diffusion_model."
_FIRST_CONVOLUTIONS = (_UNET + "input_blocks.0.0.weight", "conv_in.weight")
_REFINER_WIDTH = 384  # of the first convolution; no other known UNet starts so
_INPAINT_CHANNELS = 9  # latent, masked latent, mask
_EDIT_CHANNELS = 8  # latent, latent of the picture to edit

# Patterns over the names of a file, the first that matches anywhere wins.
_KINDS: tuple[tuple[str, str, str], ...] = (
    (
        r"lora_(up|down|A|B)\b|^lora_(unet|te)|hada_w|lokr_w|oft_blocks|dora_scale",
        "a LoRA, not a model",
        "Build from the base model it was made for, and give this file to --lora.",
    ),
    (r"^control_model\.|controlnet_cond_embedding", "a ControlNet", ""),
    (r"double_blocks\.\d+\.", "a Flux-like transformer", ""),
    (r"joint_(transformer_)?blocks\.\d+\.", "a Stable Diffusion 3 model", ""),
    (r"^cond_stage_model\.model\.", "a Stable Diffusion 2 model", ""),
    (r"^edm_(mean|std|vpred\.)", "a model of the EDM schedule", ""),
    (r"^(emb_params|string_to_param|clip_[lg])$", "a textual inversion embedding", ""),
)

# The same, for files without a UNet.
_PARTS: tuple[tuple[str, str, str], ...] = (
    (
        r"^(first_stage_model\.|vae\.)?(en|de)coder\.conv_in\.weight$",
        "a VAE, not a model",
        "Give the checkpoint, and this file to --vae to take it in place of its own.",
    ),
    (
        r"^down_blocks\.0\.",
        "one network of a diffusers folder",
        "Give the folder that holds unet, vae and text_encoder.",
    ),
    (
        r"(text_model\.|transformer\.resblocks\.)",
        "a text encoder, not a model",
        "Give the checkpoint it belongs to.",
    ),
)


def refuse_foreign(store: TensorStore, file: str) -> None:
    """Raise UnknownFamilyError for what can be named: a LoRA, a VAE, another kind of model."""
    keys = store.tensors.keys()
    kinds = _KINDS if any(key.startswith(_UNET) for key in keys) else (*_KINDS, *_PARTS)
    for pattern, what, hint in kinds:
        if any(re.search(pattern, key) for key in keys):
            raise _foreign(file, what, hint)
    refuse_other_unets(store, file)


def what_it_is(keys: Collection[str]) -> str:
    """What a file with these names seems to be, such as "a VAE"; "" where nothing tells."""
    for pattern, what, _ in (*_KINDS, (f"^{_UNET}", "a checkpoint", ""), *_PARTS):
        if any(re.search(pattern, key) for key in keys):
            return what.removesuffix(", not a model")
    return ""


def refuse_other_unets(store: TensorStore, file: str) -> None:
    """Raise UnknownFamilyError for a UNet with a purpose of its own, told by its first weights."""
    for key in _FIRST_CONVOLUTIONS:
        if key not in store:
            continue
        shape = store.info(key).shape
        if shape[:1] == (_REFINER_WIDTH,):
            raise _foreign(file, "the SDXL refiner", "Give the base model; it needs no refiner.")
        if shape[1:2] == (_INPAINT_CHANNELS,):
            raise _foreign(file, "an inpainting model (9 input channels)", "Give the plain model.")
        if shape[1:2] == (_EDIT_CHANNELS,):
            raise _foreign(file, "an editing model (8 input channels)", "Give the plain model.")


def unknown_family(file: str, reasons: Iterable[str]) -> UnknownFamilyError:
    """The error for a checkpoint that fits no family; `reasons` says why, one per family."""
    return UnknownFamilyError(
        f"{file} fits no model family Sakuga knows.",
        note="; ".join(reasons) + ".",
        hint="Give a Stable Diffusion XL or 1.5 checkpoint: one .safetensors file or a folder.",
    )


def _foreign(file: str, what: str, hint: str) -> UnknownFamilyError:
    known = "Sakuga builds from Stable Diffusion XL and 1.5 checkpoints."
    return UnknownFamilyError(f"{file} is {what}.", note=known, hint=hint or "Give one of those.")
