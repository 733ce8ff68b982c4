"""A bundle of the synthetic model without its networks: all that the engine itself reads of one."""

from functools import cache
from pathlib import Path

import numpy as np

from gpu.torch_models import SEED
from sakuga.engine.bundle import Bundle
from sakuga.engine.manifest import MANIFEST, SCHEMA, CheckpointEntry, Manifest
from sakuga.engine.text.tokenizer import write_tokenizer
from sakuga.engine.version import VERSION
from sakuga.export.assemble import TOKEN_EMBEDDING, TOKENIZER
from sakuga.export.network_graph import network_graphs
from sakuga.export.synthetic_weights import draw
from sakuga.profiles.families import VOCABULARY, Family


@cache
def stand_in_bundle(family: Family, folder: Path) -> Bundle:
    """Written into `folder`, with the borders that a build for TensorRT gives the networks."""
    (folder / "text").mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder / TOKENIZER)
    tables = {config.name: f"text/{config.name}.npy" for config in family.text_encoders}
    for config in family.text_encoders:
        table = draw(SEED, config.name, TOKEN_EMBEDDING, (VOCABULARY, config.hidden))
        np.save(folder / tables[config.name], table.astype(np.float16))
    manifest = Manifest(
        schema=SCHEMA,
        sakuga=VERSION,
        family=family.name,
        prediction="epsilon",
        zero_terminal_snr=False,
        zero_absent_negative=False,
        timestep_spacing="leading",
        checkpoint=CheckpointEntry(f"synthetic-{family.name}", "single", "0" * 64, (), ()),
        loras=(),
        vae=None,
        preset=None,
        licence=None,
        exporter={},
        tokenizer=TOKENIZER,
        token_embeddings=tables,
        networks={g.network.name: g.entry() for g in network_graphs(family, "tensorrt", "fp16")},
        exact_decoder=None,
        plans={},
        verification={},
        files={},
    )
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return Bundle(folder, manifest, family)
