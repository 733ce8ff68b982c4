"""UNets that look like those of SDXL and 1.5 and are not, told by shapes of a few weights.

The numbers are those by which ComfyUI (`supported_models.py`) and diffusers
(`single_file_utils.py`) know them.
"""

from sakuga.export.checkpoint.sources import Shape
from sakuga.export.checkpoint.store import TensorStore

# Keys in a single file, of the running average, and in a diffusers folder.
_FIRST_CONVOLUTION = (
    "model.diffusion_model.input_blocks.0.0.weight",
    "model_ema.diffusion_modelinput_blocks00weight",
    "conv_in.weight",
)
_FIRST_CONTEXT = (
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight",
)
# Where SDXL has ten transformer layers on its coarsest level, the distilled models have fewer.
_COARSE_LAYERS = (
    "model.diffusion_model.input_blocks.7.1.transformer_blocks.",
    "down_blocks.2.attentions.0.transformer_blocks.",
)
_ADDED_CONDITIONS = ("model.diffusion_model.label_emb.0.0.weight", "add_embedding.linear_1.weight")
_GUIDANCE = ("model.diffusion_model.time_embed.cond_proj.weight", "time_embedding.cond_proj.weight")

_REFINER_WIDTH = 384  # of the first convolution; no other known UNet starts so
_SD2_CONTEXT = 1024
_PURPOSES = {  # by what the first convolution reads
    5: "a depth-to-image model (5 input channels)",
    7: "an upscaling model (7 input channels)",
    8: "an editing model (8 input channels, as InstructPix2Pix has)",
}


def recognise(store: TensorStore) -> tuple[str, str]:
    """(what the UNet is, what to do instead); two empty texts where nothing speaks against it."""
    first = _shape(store, _FIRST_CONVOLUTION)
    if first[:1] == (_REFINER_WIDTH,):
        return "the SDXL refiner", "Give the base model; it needs no refiner."
    if _shape(store, _FIRST_CONTEXT)[1:2] == (_SD2_CONTEXT,):
        return "a Stable Diffusion 2 model", ""
    if len(first) > 1 and first[1] in _PURPOSES:
        return _PURPOSES[first[1]], "Give the plain text-to-image model."
    if any(key in store for key in _GUIDANCE):
        return "a model that takes its guidance as an input (LCM)", "Give the model it came from."
    if _is_distilled(store):
        return "a distilled SDXL model (as SSD-1B and Vega are)", "Give the full-size model."
    return "", ""


def _is_distilled(store: TensorStore) -> bool:
    layers = {
        key.removeprefix(start).partition(".")[0]
        for key in store.tensors
        for start in _COARSE_LAYERS
        if key.startswith(start)
    }
    full_width = _shape(store, _FIRST_CONVOLUTION)[:1] == (320,)
    is_sdxl = any(key in store for key in _ADDED_CONDITIONS)
    return full_width and is_sdxl and 0 < len(layers) < 10


def _shape(store: TensorStore, keys: tuple[str, ...]) -> Shape:
    return next((store.info(key).shape for key in keys if key in store), ())
