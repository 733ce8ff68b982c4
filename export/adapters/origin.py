"""Which models a LoRA was made for, as far as its names, shapes and metadata tell."""

import re

from sakuga.export.adapters.factor import MisfitError
from sakuga.export.adapters.kinds import kind_of
from sakuga.export.adapters.lora_file import LoraFile

_CONTEXTS = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "SDXL"}
_TO_CONTEXT = re.compile(r"attn2[._]to_k$")
_OTHER_NETWORKS = re.compile(
    r"(double|single|joint)_(stream_modulation|transformer_)?blocks|^transformer\."
)
_METADATA = ("modelspec.architecture", "ss_base_model_version")
_BASES = (
    (r"sdxl|stable-diffusion-xl", "SDXL"),
    (r"sd_v1|stable-diffusion-v1", "Stable Diffusion 1.x"),
    (r"sd_v2|stable-diffusion-v2", "Stable Diffusion 2.x"),
)


def origin(lora: LoraFile) -> str:
    """The family in words people use, "" where nothing tells."""
    modules = lora.parts.modules
    if any(_OTHER_NETWORKS.search(module) for module in modules):
        return "a transformer such as Flux or Stable Diffusion 3"
    if width := _context_width(lora):
        if width in _CONTEXTS:
            return _CONTEXTS[width]
    elif any(
        module.startswith(("lora_te1_", "lora_te2_", "text_encoder_2.")) for module in modules
    ):
        return "SDXL"
    elif any(module.startswith("lora_te_") for module in modules):
        return "Stable Diffusion 1.x"
    return _stated(lora)


def _context_width(lora: LoraFile) -> int | None:
    """Width of the text context its cross-attention reads."""
    for module, keys in lora.parts.modules.items():
        kind = kind_of(keys)
        if kind is None or not _TO_CONTEXT.search(module):
            continue
        try:
            return kind.shape(lora.shapes(keys), (0, 0))[1]
        except (MisfitError, IndexError):
            continue
    return None


def _stated(lora: LoraFile) -> str:
    stated = " ".join(lora.file.metadata.get(key, "") for key in _METADATA).casefold()
    return next((name for pattern, name in _BASES if re.search(pattern, stated)), "")
