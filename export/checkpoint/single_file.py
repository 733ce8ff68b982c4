"""Names in single-file checkpoints (the ldm layout): the tables of all components together."""

from sakuga.export.checkpoint.ldm_clip import ldm_clip_table
from sakuga.export.checkpoint.ldm_unet import ldm_unet_table
from sakuga.export.checkpoint.ldm_vae import ldm_vae_table
from sakuga.export.checkpoint.open_clip import open_clip_table
from sakuga.export.checkpoint.sources import Table
from sakuga.profiles.families import Family


def single_file_tables(family: Family) -> dict[str, Table]:
    """Tables of all components, by the component's name."""
    tables = {"text_encoder": ldm_clip_table(family)}
    if family.kind == "sdxl":
        tables["text_encoder_2"] = open_clip_table(family.text_encoders[1])
    tables["unet"] = ldm_unet_table(family)
    tables["vae"] = ldm_vae_table(family)
    return tables
