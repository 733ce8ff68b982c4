"""The manifest of a bundle: what it was made from, what it holds, how each file must look."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from sakuga.engine.errors import BundleFormatError

SCHEMA = 4
MANIFEST = "manifest.json"

TimestepSpacing = Literal["leading", "trailing", "linspace"]


@dataclass(frozen=True)
class FileEntry:
    """Size and SHA-256 (hex) of one file."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class CheckpointEntry:
    """The checkpoint a bundle was built from; `unknown`: its tensors that no network reads.

    `overrides`: options of the build that say what its files did not, such as `--prediction v`.
    """

    name: str
    layout: Literal["diffusers", "single"]
    sha256: str
    unknown: tuple[str, ...]
    overrides: tuple[str, ...]

    @property
    def model_hash(self) -> str:
        """The ten hex digits people know a checkpoint by (AutoV2)."""
        return self.sha256[:10]


@dataclass(frozen=True)
class LoraEntry:
    """A LoRA merged into the weights, and how strongly.

    `name`: its file's, without the ending. `hash`: twelve hex digits people know it by (AutoV3).
    `unmatched`: its keys that mean nothing to the family. `embeddings`: names of the textual
    inversions in the same file, which the bundle holds too.
    """

    name: str
    hash: str
    sha256: str
    text_weight: float
    unet_weight: float
    unmatched: tuple[str, ...]
    embeddings: tuple[str, ...]


@dataclass(frozen=True)
class VaeEntry:
    """The file whose VAE took the place of the checkpoint's own; `name` with its ending."""

    name: str
    sha256: str

    @property
    def hash(self) -> str:
        """The ten hex digits people know it by."""
        return self.sha256[:10]


@dataclass(frozen=True)
class TensorEntry:
    """A tensor at a network's border: NumPy dtype name, and axis names or lengths."""

    name: str
    dtype: Literal["float32", "float16", "bfloat16", "int64"]
    dims: tuple[str | int, ...]


@dataclass(frozen=True)
class AxisEntry:
    """Shortest and longest length of a dynamic axis and the step between lengths."""

    minimum: int
    maximum: int
    step: int


@dataclass(frozen=True)
class NetworkEntry:
    """One network: the type it computes in, its graph, its borders, its dynamic axes.

    `mixed`: convolutions and attention in float16, what lies between in float32.
    """

    precision: Literal["float32", "float16", "bfloat16", "mixed"]
    graph: str
    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]
    axes: Mapping[str, AxisEntry]


Shape = tuple[int, ...]


@dataclass(frozen=True)
class PlanEntry:
    """One plan: its file, the digest of all it depends on, and its optimisation profiles.

    A profile gives the smallest, usual and largest shape of each input. `activation_bytes`: working
    memory of the largest.
    """

    file: str
    key: str
    weights_bytes: int
    activation_bytes: int
    profiles: tuple[Mapping[str, tuple[Shape, ...]], ...]


@dataclass(frozen=True)
class PlanSetEntry:
    """Plans of all networks for one library version and its targets, in one folder.

    `targets`: compute capabilities such as `sm89`, or `any`, or `current`; for `current`, `gpu`
    says which it was. `sizes` and `max_batch`: what the profiles cover.
    """

    backend: Literal["rtx", "tensorrt"]
    version: str
    targets: tuple[str, ...]
    gpu: str | None
    shapes: Literal["buckets", "range", "sizes"]
    sizes: tuple[str, ...]
    max_batch: int
    plans: Mapping[str, PlanEntry]


@dataclass(frozen=True)
class Manifest:
    """Everything a bundle says about itself; `verification` is empty without `--verify`, `plans`
    without a backend that has plans. Plan sets go by the names of their folders below `plans/`.
    `exact_decoder`: the graph of the VAE's decoder in float32, where `networks` has it in less.
    `loras` in the order they were merged; `vae` None where it is the checkpoint's own.

    What the checkpoint asks diffusers to do: `zero_absent_negative`, take zeros for a negative
    prompt that is not given (SDXL only); `timestep_spacing`, where the steps lie.
    """

    schema: int
    sakuga: str
    family: str
    prediction: Literal["epsilon", "v_prediction"]
    zero_terminal_snr: bool
    zero_absent_negative: bool
    timestep_spacing: TimestepSpacing
    checkpoint: CheckpointEntry
    loras: tuple[LoraEntry, ...]
    vae: VaeEntry | None
    preset: str | None
    licence: str | None
    exporter: Mapping[str, str]
    tokenizer: str
    token_embeddings: Mapping[str, str]
    networks: Mapping[str, NetworkEntry]
    exact_decoder: str | None
    plans: Mapping[str, PlanSetEntry]
    verification: Mapping[str, float]
    files: Mapping[str, FileEntry]

    @property
    def bundle_hash(self) -> str:
        """Ten hex digits of all that decides over pixels: networks, tokenizer, objective.

        Plans, reports and where the bundle lies are no part of it.
        """
        folders = {PurePosixPath(entry.graph).parent for entry in self.networks.values()}
        used = {self.tokenizer, *self.token_embeddings.values()}
        digests = {
            name: entry.sha256
            for name, entry in self.files.items()
            if name in used or PurePosixPath(name).parent in folders
        }
        objective = (self.prediction, self.zero_absent_negative, self.timestep_spacing)
        return sha256(json.dumps([objective, digests], sort_keys=True).encode()).hexdigest()[:10]

    def to_json(self) -> str:
        """The manifest as text, the same for the same bundle."""
        return json.dumps(asdict(self), indent=1) + "\n"


def parse_manifest(text: str) -> Manifest:
    """Read a manifest. Raises BundleFormatError for what a writer of this schema never writes."""
    try:
        raw = json.loads(text)
        schema = raw["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleFormatError(
            f"{MANIFEST} is no manifest of a Sakuga bundle.",
            note=f"Reading it failed: {error}.",
            hint="Build the bundle again with `sakuga build`.",
        ) from error
    if schema != SCHEMA:
        raise _other_schema(schema)
    try:
        manifest: Manifest = read_fields(Manifest, raw, "the manifest")
    except (KeyError, TypeError) as error:
        raise BundleFormatError(
            f"{MANIFEST} lacks something every bundle has.",
            note=f"Missing or of the wrong kind: {error}.",
            hint="Build the bundle again with `sakuga build`.",
        ) from error
    return manifest


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle of any schema, whole or not."""
    return "sakuga" in raw_manifest(folder)  # web applications have a manifest.json too


def raw_manifest(folder: Path) -> dict[str, object]:
    """The manifest of a folder as it stands there, unchecked; empty where there is none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _other_schema(schema: object) -> BundleFormatError:
    newer = isinstance(schema, int) and schema > SCHEMA
    return BundleFormatError(
        f"The bundle was written by {'a newer' if newer else 'an older'} Sakuga.",
        note=f"Its schema is {schema}, this Sakuga reads schema {SCHEMA}.",
        hint="Upgrade Sakuga." if newer else "Build the bundle again with `sakuga build`.",
    )


def read_fields(kind: Any, raw: Any, name: str) -> Any:  # noqa: ANN401 (any annotation, any JSON)
    """The value a field of type `kind` holds, `raw` being its JSON; dataclasses field by field.

    Raises KeyError or TypeError that names what is missing or of another kind.
    """
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints, table = get_type_hints(kind), _of(dict, raw, name)
        values = {f.name: read_fields(hints[f.name], table[f.name], f.name) for f in fields(kind)}
        return kind(**values)
    if origin is tuple:
        return tuple(read_fields(args[0], item, name) for item in _of(list, raw, name))
    if origin is Mapping:
        return {key: read_fields(args[1], item, key) for key, item in _of(dict, raw, name).items()}
    if origin is UnionType and NoneType in args:
        return None if raw is None else read_fields(args[0], raw, name)
    if origin is Literal:
        return raw if isinstance(raw, str) and raw in args else _of(kind, raw, name)
    if kind is float and type(raw) is int:
        return float(raw)
    return raw if type(raw) in args else _of(kind, raw, name)


def _of(kind: Any, raw: Any, name: str) -> Any:  # noqa: ANN401
    if type(raw) is not kind:
        raise TypeError(f"{name} is {json.dumps(raw)[:40]}")
    return raw
