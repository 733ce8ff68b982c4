"""One network's weights in a checkpoint, by canonical name, read one tensor at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sakuga.engine.errors import TensorError
from sakuga.export.checkpoint.sources import (
    Array,
    Shape,
    Source,
    Table,
    canonical_shape,
    stored_rows,
    to_canonical,
)
from sakuga.export.checkpoint.store import TensorStore
from sakuga.export.counted import counted
from sakuga.profiles.families import Family
from sakuga.profiles.weights import Shapes, weights

FLOATS = ("F16", "BF16", "F32", "F64")
_NAMED = 5  # tensors a message names before it counts the rest

_SPOKEN = {
    "text_encoder": "text encoder (CLIP-L)",
    "text_encoder_2": "second text encoder (OpenCLIP bigG)",
    "unet": "UNet",
    "vae": "VAE",
}


@dataclass(frozen=True)
class Component:
    """A network's weights. Every name of the family is present and has the right shape."""

    name: str
    _store: TensorStore
    _sources: Mapping[str, Source]

    def names(self) -> tuple[str, ...]:
        """Canonical names, in the order of the family's table."""
        return tuple(self._sources)

    def shape(self, name: str) -> Shape:
        """Canonical shape of a tensor."""
        source = self._sources[name]
        return canonical_shape(source.operation, self._store.info(source.key).shape)

    def dtype(self, name: str) -> str:
        """The type in the file: F16, BF16, F32 or F64."""
        return self._store.info(self._sources[name].key).dtype

    def read(self, name: str) -> Array:
        """The tensor in canonical layout, as a fresh array; only its own bytes are read.

        bf16 comes as float32, every other type as it is in the file. Raises FileFormatError where
        the file has shrunk.
        """
        source = self._sources[name]
        stored = self._store.info(source.key).shape
        array = self._store.read(source.key, stored_rows(source.operation, stored))
        return to_canonical(source.operation, array)

    def keys(self) -> frozenset[str]:
        """The keys of the file this component reads."""
        return frozenset(source.key for source in self._sources.values())


def bind_components(
    family: Family, tables: Mapping[str, Table], stores: Mapping[str, TensorStore], file: str
) -> dict[str, Component]:
    """Find every tensor of the family and check its shape and type.

    Raises TensorError that names a component which is absent as a whole, or else the first few
    missing tensors and their number, or else the first few that are not what they should be.
    """
    found = {
        name: Component(name, stores[name], _present(table, stores[name]))
        for name, table in tables.items()
    }
    shapes = weights(family)
    _check_whole(found.values(), family, file)
    _check_missing(found, shapes, family, file)
    _check_shapes(found, shapes, family, file)
    return found


def _present(table: Table, store: TensorStore) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for name, places in table.items():
        source = next((place for place in places if place.key in store), None)
        if source is not None:
            sources[name] = source
    return sources


def _check_whole(components: Iterable[Component], family: Family, file: str) -> None:
    absent = [component.name for component in components if not component.names()]
    if absent:
        raise TensorError(
            f"{file} has no {' and no '.join(_SPOKEN[name] for name in absent)}.",
            note=f"A {family.kind} build needs every network; pruned files may lack some.",
            hint="Use the full checkpoint, or a diffusers folder with "
            f"{' and '.join(f'{name}/' for name in absent)} from its base model.",
        )


def _check_missing(
    found: Mapping[str, Component], shapes: Mapping[str, Shapes], family: Family, file: str
) -> None:
    missing = [
        f"{part}: {name}"
        for part, component in found.items()
        for name in shapes[part].keys() - set(component.names())
    ]
    if missing:
        raise TensorError(
            f"{file} lacks {len(missing)} of the tensors of {family.name}.",
            note=_first_few(sorted(missing)),
            hint="Download it again, or use the original file if this one was pruned or merged.",
        )


def _check_shapes(
    found: Mapping[str, Component], shapes: Mapping[str, Shapes], family: Family, file: str
) -> None:
    wrong = [
        f"{part}: {name} is {component.dtype(name)} {list(component.shape(name))}, "
        f"expected a float of {list(shapes[part][name])}"
        for part, component in found.items()
        for name in component.names()
        if component.shape(name) != shapes[part][name] or component.dtype(name) not in FLOATS
    ]
    if wrong:
        raise TensorError(
            f"{file} has {counted(len(wrong), 'tensor')} unfit for {family.name}.",
            note=_first_few(wrong),
            hint="Use an unquantised fp16, bf16 or fp32 checkpoint of a supported family.",
        )


def _first_few(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return "; ".join(names[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "") + "."
