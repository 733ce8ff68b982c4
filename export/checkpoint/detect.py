"""Which family a checkpoint belongs to: a handful of UNet shapes decide."""

from collections.abc import Callable

from sakuga.export.checkpoint.foreign import unknown_family
from sakuga.export.checkpoint.sources import Shape, Table, canonical_shape
from sakuga.export.checkpoint.store import TensorStore
from sakuga.profiles.families import FAMILIES, Family
from sakuga.profiles.weights import unet_weights

# First width, widest width, width of the text context, and the time ids only SDXL has.
_PROBES = (
    "conv_in.weight",
    "mid_block.resnets.0.conv1.weight",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight",
    "add_embedding.linear_1.weight",
)


def find_family(store: TensorStore, unet_table: Callable[[Family], Table], file: str) -> Family:
    """The family whose UNet the store holds, under the names `unet_table` gives.

    Raises UnknownFamilyError with the first difference from each family.
    """
    reasons: list[str] = []
    for family in FAMILIES.values():
        reason = _difference(family, unet_table(family), store)
        if not reason:
            return family
        reasons.append(f"{family.name}: {reason}")
    raise unknown_family(file, reasons)


def _difference(family: Family, table: Table, store: TensorStore) -> str:
    expected = unet_weights(family.unet, family.pooled)
    for probe in _PROBES:
        found = _shape(probe, table, store)
        if found is None and probe != _PROBES[0]:
            continue  # a tensor that is merely missing gets a better message later
        if found != expected.get(probe):
            return f"{probe} is {_spoken(found)}, not {_spoken(expected.get(probe))}"
    return ""


def _shape(name: str, table: Table, store: TensorStore) -> Shape | None:
    for source in table.get(name, ()):
        if source.key in store:
            return canonical_shape(source.operation, store.info(source.key).shape)
    return None


def _spoken(shape: Shape | None) -> str:
    return "absent" if shape is None else str(list(shape))
