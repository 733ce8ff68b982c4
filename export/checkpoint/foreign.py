"""What a safetensors file is when it is no checkpoint Sakuga builds from, told by its names."""

import re
from collections.abc import Collection, Iterable

from sakuga.engine.errors import UnknownFamilyError
from sakuga.export.checkpoint import foreign_unets
from sakuga.export.checkpoint.ldm_unet import EMA_PREFIX, PREFIX
from sakuga.export.checkpoint.store import TensorStore

# Patterns over the names of a file, the first that matches anywhere wins.
_KINDS: tuple[tuple[str, str, str], ...] = (
    (r"lllite_", "a ControlNet-LLLite", ""),
    (
        r"lora_(up|down|A|B)\b|^(lora|oft)_(unet|te)|hada_w|lokr_w|oft_blocks|dora_scale",
        "a LoRA, not a model",
        "Build from the base model it was made for, and give this file to --lora.",
    ),
    (r"^control_model\.|controlnet_cond_embedding|^control_add_embedding", "a ControlNet", ""),
    (r"^(ip_adapter|image_proj)\.", "an IP-Adapter", ""),
    (r"\.motion_modules\.", "an AnimateDiff motion module", ""),
    (r"double_blocks\.\d+\.|single_transformer_blocks\.\d+\.", "a Flux-like transformer", ""),
    (r"joint_(transformer_)?blocks\.\d+\.", "a Stable Diffusion 3 model", ""),
    (r"^cond_stage_model\.model\.", "a Stable Diffusion 2 model", ""),
    (r"\.time_stack\.|\.time_mixer\.", "a Stable Video Diffusion model", ""),
    (r"\bclip_txt_mapper\.|\.channelwise\.0\.weight$", "a Stable Cascade model", ""),
    (r"^edm_(mean|std|vpred\.)", "a model of the EDM schedule", ""),
    (r"^(emb_params|string_to_param|clip_[lg])$", "a textual inversion embedding", ""),
)

_UPSCALER = "Make an upscaler of it: sakuga build-upscaler FILE --out NAME.upscaler"

# The same, for files without a UNet.
_PARTS: tuple[tuple[str, str, str], ...] = (
    (
        r"^conv_first\.weight$|^model\.1\.sub\.0\.RDB1\.|^body\.1\.weight$",
        "an upscaler, not a model",
        _UPSCALER,
    ),
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
        r"^(input|output)_blocks\.\d+\.",
        "a UNet alone, not a whole model",
        "Give the checkpoint it was taken from, with its text encoders and VAE.",
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
    has_unet = any(key.startswith((PREFIX, EMA_PREFIX)) for key in keys)
    for pattern, what, hint in _KINDS if has_unet else (*_KINDS, *_PARTS):
        if any(re.search(pattern, key) for key in keys):
            raise _foreign(file, what, hint)
    refuse_other_unets(store, file)


def what_it_is(keys: Collection[str]) -> str:
    """What a file with these names seems to be, such as "a VAE"; "" where nothing tells."""
    for pattern, what, _ in (*_KINDS, (f"^{re.escape(PREFIX)}", "a checkpoint", ""), *_PARTS):
        if any(re.search(pattern, key) for key in keys):
            return what.removesuffix(", not a model")
    return ""


def refuse_other_unets(store: TensorStore, file: str) -> None:
    """Raise UnknownFamilyError for a UNet with a purpose of its own, told by a few weights."""
    what, hint = foreign_unets.recognise(store)
    if what:
        raise _foreign(file, what, hint)


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
