"""The folder `sakuga build-upscaler` makes: a network that enlarges pictures, and what it is."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sakuga.engine.bundle import file_fault, outside
from sakuga.engine.errors import BundleDamagedError, BundleFormatError
from sakuga.engine.manifest import MANIFEST, FileEntry, raw_manifest, read_fields

UPSCALER = "sakuga-upscaler-1"  # what the manifest calls itself
SUFFIX = ".upscaler"
_AGAIN = "Build it again: sakuga build-upscaler FILE --out {folder}"

UpscalerPrecision = Literal["float32", "float16"]


@dataclass(frozen=True)
class SideRule:
    """Which sides the network takes: from `minimum` on, in multiples of `multiple`, and where
    `square` both the same."""

    minimum: int
    multiple: int
    square: bool

    def fitting(self, length: int) -> int:
        """The shortest side it takes that is no shorter than `length`."""
        return -(-max(length, self.minimum, 1) // self.multiple) * self.multiple

    def tile(self, length: int) -> int:
        """The longest side it takes that is no longer than `length`; the shortest, where none."""
        return max(length // self.multiple * self.multiple, self.fitting(0))


@dataclass(frozen=True)
class UpscalerPlan:
    """A plan of the graph in `precision`, for square and oblong tiles with sides from `smallest` to
    `largest`. The rest is as in the plans of a bundle."""

    file: str
    backend: Literal["rtx", "tensorrt"]
    version: str
    targets: tuple[str, ...]
    gpu: str | None
    precision: UpscalerPrecision
    smallest: int
    largest: int
    activation_bytes: int


@dataclass(frozen=True)
class UpscalerManifest:
    """Everything an upscaler's folder says about itself.

    `source`: the file it was built from, and `sha256` of it in hex. `window`: side of the windows
    its attention works in, None without such. `tile` and `overlap`: how large pictures are cut, in
    pixels of the picture. `graphs`: by precision. `errors`: of each against the network it
    was made from, as the build measured them. `plan`: None where none was asked for.
    """

    format: Literal["sakuga-upscaler-1"]
    name: str
    architecture: str
    scale: int
    source: str
    sha256: str
    sides: SideRule
    window: int | None
    tile: int
    overlap: int
    licence: str
    exporter: Mapping[str, str]
    graphs: Mapping[str, str]
    errors: Mapping[str, float]
    plan: UpscalerPlan | None
    files: Mapping[str, FileEntry]

    @property
    def hash(self) -> str:
        """The ten hex digits people know the file by."""
        return self.sha256[:10]

    def to_json(self) -> str:
        """The manifest as text, the same for the same upscaler."""
        return json.dumps(asdict(self), indent=1) + "\n"


@dataclass(frozen=True)
class UpscalerFolder:
    """An opened folder. Its files have been checked against the manifest."""

    path: Path
    manifest: UpscalerManifest

    def graph(self, precision: UpscalerPrecision) -> Path:
        """Its ONNX graph: a float32 picture in [0, 1] to another, whatever it computes in.

        Raises BundleFormatError where there is none in that precision: some networks overflow
        float16, and have float32 alone.
        """
        found = self.manifest.graphs.get(precision)
        if found is None:
            raise BundleFormatError(
                f"{self.manifest.name} has no network in {precision}.",
                note=f"It has {', '.join(self.manifest.graphs)}: {self.manifest.architecture} "
                "is not exact enough in less.",
                hint="Ask for float32.",
            )
        return self.path / found


def is_upscaler(folder: Path) -> bool:
    """Whether a folder is an upscaler's, whole or not."""
    return raw_manifest(folder).get("format") == UPSCALER


def open_upscaler(path: Path) -> UpscalerFolder:
    """Open an upscaler's folder and check every file in it.

    Raises BundleFormatError for anything that is none, BundleDamagedError for a file that is
    missing or differs from what was built.
    """
    manifest = _read_manifest(path)
    if fault := file_fault(path, manifest.files):
        raise BundleDamagedError(
            f"The upscaler {path} is damaged.",
            note=fault,
            hint=_AGAIN.format(folder=path),
        )
    return UpscalerFolder(path, manifest)


def _read_manifest(path: Path) -> UpscalerManifest:
    raw = raw_manifest(path)
    if raw.get("format") != UPSCALER:
        raise BundleFormatError(
            f"{path} is no upscaler that Sakuga built.",
            note=f"That is a folder with a {MANIFEST} whose format is {UPSCALER}.",
            hint=_AGAIN.format(folder=path.with_suffix(SUFFIX)),
        )
    try:
        manifest: UpscalerManifest = read_fields(UpscalerManifest, raw, "the manifest")
    except (KeyError, TypeError) as error:
        raise BundleFormatError(
            f"The {MANIFEST} of {path} lacks something every upscaler has.",
            note=f"Missing or of the wrong kind: {error}.",
            hint=_AGAIN.format(folder=path),
        ) from error
    _check_sense(path, manifest)
    return manifest


def _check_sense(path: Path, manifest: UpscalerManifest) -> None:
    """Numbers and names that pictures can be cut and networks be found by."""
    sides, plans = manifest.sides, [manifest.plan.file] if manifest.plan else []
    sound = (
        min(manifest.scale, manifest.tile, sides.minimum + 1, sides.multiple) >= 1
        and 0 <= manifest.overlap < manifest.tile
        and "float32" in manifest.graphs
        and {*manifest.graphs.values(), *plans} <= manifest.files.keys()
    )
    stray = outside(manifest.files)
    if stray is not None or not sound:
        raise BundleFormatError(
            f"The {MANIFEST} of {path} makes no sense.",
            note=f"It names a file outside the folder: {stray!r}."
            if stray
            else "Its scale, tiles or graphs are none that a build writes.",
            hint=_AGAIN.format(folder=path),
        )
