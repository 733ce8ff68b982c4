"""`position_ids`, a constant some checkpoints carry, and what a merge in half precision did to it.

CLIP's positions are 0 to 76 in every model, so the tensor is never used. Merging turns it into
floats such as 75.9975, which other tools cut to 75: one position is read twice, another never,
and the model hears its prompts wrongly. sd-scripts ignores it as Sakuga does, ComfyUI rounds it.
"""

import numpy as np

from sakuga.export.checkpoint.component import FLOATS
from sakuga.export.checkpoint.sources import Table
from sakuga.export.checkpoint.store import TensorStore
from sakuga.profiles.families import CHUNK

POSITION_EMBEDDING = "text_model.embeddings.position_embedding.weight"


def lost_positions(store: TensorStore, table: Table) -> tuple[int, ...]:
    """Positions that a tool which believes the tensor would never read; none where it is sound.

    `table` is that of a text encoder. Tensors that can be no positions are not looked at.
    """
    for source in table[POSITION_EMBEDDING]:
        key = source.key.replace("position_embedding.weight", "position_ids")
        if key in store and store.info(key).dtype in (*FLOATS, "I64", "I32"):
            positions = np.trunc(store.read(key, None).astype(np.float64)).reshape(-1)
            if len(positions) == CHUNK:
                return tuple(n for n in range(CHUNK) if n not in positions)
    return ()


def repair_note(file: str, lost: tuple[int, ...]) -> str:
    """A sentence for people who know the model's pictures from elsewhere."""
    shown = ", ".join(map(str, lost[:5])) + (", …" if len(lost) > 5 else "")
    return (
        f"The position ids of {file} are damaged (no {shown}) and were repaired; tools that "
        "believe them draw other pictures."
    )
