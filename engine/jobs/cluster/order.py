"""What every engine of a rendering is, whichever machine it is opened on."""

from dataclasses import dataclass, replace
from pathlib import Path

from sakuga.engine.bundle import Bundle
from sakuga.engine.image.formats import PNG, Options
from sakuga.engine.refine.detectors import detector_hashes
from sakuga.engine.refine.upscalers import Upscalers
from sakuga.engine.runtime.defaults import bundle_embeddings, bundle_preset
from sakuga.engine.version import VERSION
from sakuga.profiles.preset import Preset

_FOLDERS = ("embeddings", "upscalers", "detectors")


@dataclass(frozen=True)
class EngineOptions:
    """What `Engine.open` takes of the same names, and how pictures are encoded."""

    backend: str | None = None
    preset: str | None = None
    threads: int | None = None
    vram_bytes: int | None = None
    embeddings: Path | None = None
    upscalers: Path | None = None
    detectors: Path | None = None
    encoding: Options = PNG.options


@dataclass(frozen=True)
class Alike:
    """What is the same on every machine, or pictures would not be."""

    version: str
    preset: Preset | None
    embeddings: tuple[tuple[str, str], ...]
    upscalers: tuple[tuple[str, str], ...] = ()
    detectors: tuple[tuple[str, str], ...] = ()

    def differences(self, other: "Alike") -> list[str]:
        """What is not the same as here on another machine, in words."""
        pairs = {
            "Sakuga": (self.version, other.version),
            "preset": (_name(self.preset), _name(other.preset)),
        } | {what: (_names(getattr(self, what)), _names(getattr(other, what))) for what in _FOLDERS}
        told = [f"{what}: {here} here, {there} there" for what, (here, there) in pairs.items()
                if here != there]  # fmt: skip
        if not told and self.preset != other.preset:
            told = [f"preset: {_name(self.preset)} says something else there"]
        for what in _FOLDERS:
            if not told and getattr(self, what) != getattr(other, what):
                told = [f"{what}: files of the same names hold something else there"]
        return told


@dataclass(frozen=True)
class Order:
    """`bundle` is seen by the machine `node` (Ray's id of it) and perhaps by others; `manifest` is
    the text of its manifest. `computes`: what every engine must compute with, None where that is
    still to be found out."""

    bundle: Path
    manifest: str
    node: str
    options: EngineOptions
    alike: Alike
    computes: str | None = None

    def computing(self, name: str) -> "Order":
        """The same, once it is known what engines compute with."""
        return replace(self, computes=name)


def alike_here(bundle: Bundle, options: EngineOptions) -> Alike:
    """As this machine has it. Raises UsageError."""
    preset = bundle_preset(bundle, options.preset)
    known = bundle_embeddings(bundle, options.embeddings)
    return Alike(
        VERSION,
        preset and replace(preset, file=""),  # where it lies is nobody's business
        tuple(sorted(known.hashes.items())),
        tuple(sorted(Upscalers(options.upscalers).hashes().items())),
        tuple(sorted(detector_hashes(options.detectors).items())),
    )


def _name(preset: Preset | None) -> str:
    return "none" if preset is None else preset.name


def _names(files: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(name for name, _ in files) or "none"
