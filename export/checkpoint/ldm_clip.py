"""CLIP-L names of single-file checkpoints: the canonical ones behind a prefix."""

from sakuga.export.checkpoint.sources import Source, Table
from sakuga.profiles.families import Family
from sakuga.profiles.weights import text_encoder_weights

PREFIXES = {
    "sdxl": "conditioner.embedders.0.transformer.",
    "sd15": "cond_stage_model.transformer.",
}


def ldm_clip_table(family: Family) -> Table:
    """Canonical name of the first text encoder to its places; old files lack `text_model.`."""
    prefix = PREFIXES[family.kind]
    return {
        name: (Source(prefix + name), Source(prefix + name.removeprefix("text_model.")))
        for name in text_encoder_weights(family.text_encoders[0])
    }
