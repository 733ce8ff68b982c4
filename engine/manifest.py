"""The manifest of a bundle: what it was made from, what it holds, how each file must look."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from sakuga.engine.errors import BundleFormatError

SCHEMA = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class FileEntry:
    """Size and SHA-256 (hex) of one file."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class CheckpointEntry:
    """The checkpoint a bundle was built from."""

    name: str
    layout: str
    sha256: str

    @property
    def model_hash(self) -> str:
        """The ten hex digits people know a checkpoint by (AutoV2)."""
        return self.sha256[:10]


@dataclass(frozen=True)
class TensorEntry:
    """A tensor at a network's border: NumPy dtype name, and axis names or lengths."""

    name: str
    dtype: str
    dims: tuple[str | int, ...]


@dataclass(frozen=True)
class AxisEntry:
    """Shortest and longest length of a dynamic axis and the step between lengths."""

    minimum: int
    maximum: int
    step: int


@dataclass(frozen=True)
class NetworkEntry:
    """One network: the type it computes in, its graph, its borders, its dynamic axes."""

    precision: str
    graph: str
    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]
    axes: Mapping[str, AxisEntry]


@dataclass(frozen=True)
class Manifest:
    """Everything a bundle says about itself. `verification` is empty unless `--verify` was given."""

    schema: int
    sakuga: str
    family: str
    prediction: str
    zero_terminal_snr: bool
    checkpoint: CheckpointEntry
    loras: tuple[str, ...]
    preset: str | None
    licence: str | None
    exporter: Mapping[str, str]
    tokenizer: str
    token_embeddings: Mapping[str, str]
    networks: Mapping[str, NetworkEntry]
    verification: Mapping[str, float]
    files: Mapping[str, FileEntry]

    def to_json(self) -> str:
        """The manifest as text, the same for the same bundle."""
        return json.dumps(asdict(self), indent=1) + "\n"


def parse_manifest(text: str) -> Manifest:
    """Read a manifest. Raises BundleFormatError for anything a writer of this schema never writes."""
    try:
        raw = json.loads(text)
        schema = raw["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleFormatError(
            f"{MANIFEST} is no manifest of a Sakuga bundle.",
            note=f"Reading it failed: {error}.",
            hint="Build the bundle again with `sakuga build`.",
        ) from error
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        raise BundleFormatError(
            "The bundle was written by a newer Sakuga."
            if newer
            else "The bundle was written by an older Sakuga.",
            note=f"Its schema is {schema}, this Sakuga reads schema {SCHEMA}.",
            hint="Upgrade Sakuga." if newer else "Build the bundle again with `sakuga build`.",
        )
    try:
        return _manifest(raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleFormatError(
            f"{MANIFEST} lacks something every bundle has.",
            note=f"Missing or of the wrong kind: {error}.",
            hint="Build the bundle again with `sakuga build`.",
        ) from error


def _manifest(raw: dict[str, Any]) -> Manifest:
    known = {field.name for field in fields(Manifest)}
    values = {name: raw[name] for name in known}
    values["checkpoint"] = CheckpointEntry(**raw["checkpoint"])
    values["loras"] = tuple(raw["loras"])
    values["networks"] = {name: _network(entry) for name, entry in raw["networks"].items()}
    values["files"] = {name: FileEntry(**entry) for name, entry in raw["files"].items()}
    return Manifest(**values)


def _network(raw: dict[str, Any]) -> NetworkEntry:
    return NetworkEntry(
        precision=raw["precision"],
        graph=raw["graph"],
        inputs=tuple(_tensor(entry) for entry in raw["inputs"]),
        outputs=tuple(_tensor(entry) for entry in raw["outputs"]),
        axes={name: AxisEntry(**entry) for name, entry in raw["axes"].items()},
    )


def _tensor(raw: dict[str, Any]) -> TensorEntry:
    return TensorEntry(raw["name"], raw["dtype"], tuple(raw["dims"]))
