"""What a file is: a bundle, a checkpoint, a LoRA, an upscaler, or a picture with its settings."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.errors import UsageError
from sakuga.engine.image.formats import SUFFIXES
from sakuga.engine.image.infotext_parser import split_parameters
from sakuga.engine.image.metadata import read_metadata
from sakuga.engine.manifest import MANIFEST, Manifest
from sakuga.engine.presets import find_preset, recognise
from sakuga.engine.refine.detector import Detector
from sakuga.engine.runtime.defaults import bundle_defaults, bundle_preset
from sakuga.engine.runtime.merged import merged_fields
from sakuga.engine.sampling.samplers import SAMPLERS, sampler_name
from sakuga.engine.upscaler_folder import is_upscaler
from sakuga.export.adapters.describe import describe_lora
from sakuga.export.adapters.lora_file import is_lora
from sakuga.export.adapters.parts import take_apart
from sakuga.export.checkpoint.layouts import Checkpoint, open_checkpoint
from sakuga.export.checkpoint.safetensors_file import SafetensorsFile
from sakuga.export.counted import counted
from sakuga.export.upscaler.describe import describe_upscaler
from sakuga.profiles.preset import Preset

_CHECKPOINTS = {".safetensors", ".ckpt", ".pt", ".pth", ".bin"}  # opened, or refused with a reason


@dataclass(frozen=True)
class Findings:
    """`facts`: everything, JSON-ready. `summary`: what people look for, a line each."""

    facts: dict[str, object]
    summary: dict[str, str]


def inspect(path: Path) -> Findings:
    """Say what is at `path`. Raises UsageError for what is none of these, and what opening it
    raises."""
    if not path.exists():
        raise UsageError(f"There is nothing at {path}.", hint="Check the path.")
    suffix = path.suffix.lower()
    if is_upscaler(path):
        return Findings(*describe_upscaler(path))
    if (path / MANIFEST).is_file():
        return _bundle(open_bundle(path))
    if suffix in SUFFIXES:
        return _picture(path)
    if suffix == ".onnx":
        return _detector(path)
    if path.is_file() and suffix not in _CHECKPOINTS:
        raise UsageError(
            f"{path} is no bundle, no checkpoint and no picture.",
            note=f"Files that can be read end in .safetensors, {', '.join(SUFFIXES)}.",
            hint="Give one of those, a bundle, or a diffusers folder.",
        )
    if path.is_file() and _is_lora(path):
        return _lora(path)
    return _checkpoint(path)


def _detector(path: Path) -> Findings:
    """Raises FileFormatError for a network that is none."""
    detector = Detector(path)
    facts: dict[str, object] = {
        "kind": "detector",
        "classes": ", ".join(detector.classes),
        "license": detector.license or "not told",
        "author": detector.author or "not told",
    }
    return Findings(
        facts, {"classes": ", ".join(detector.classes), "licence": detector.license_note}
    )


def _is_lora(path: Path) -> bool:
    with SafetensorsFile(path) as file:
        return is_lora(take_apart(file.tensors))


def _lora(path: Path) -> Findings:
    facts, summary = describe_lora(path)
    return Findings(facts, {name: _printable(text) for name, text in summary.items()})


def _bundle(bundle: Bundle) -> Findings:
    manifest, rule = bundle.manifest, bundle.family.sizes
    preset, terms = _bundle_preset(bundle)
    usual = bundle_defaults(bundle, preset)
    precision = Counter(entry.precision for entry in manifest.networks.values())
    size_bytes = sum(entry.size_bytes for entry in manifest.files.values())
    verified = [f"{name} {error:.1e}" for name, error in manifest.verification.items()]
    sampler = preset.sampler if preset else SAMPLERS[sampler_name(usual.sampler)].label
    overrides = manifest.checkpoint.overrides
    return Findings(
        facts={
            "kind": "bundle",
            "model_hash": manifest.checkpoint.model_hash,
            "size_bytes": size_bytes,
            **asdict(manifest),
            "licence_meaning": preset.licence.meaning if preset else None,
        },
        summary={
            "bundle": str(bundle.path),
            "model": f"{manifest.checkpoint.name} ({manifest.checkpoint.model_hash})",
            "family": f"{manifest.family}, {_objective(manifest)}",
            **({"built with": " ".join(overrides)} if overrides else {}),
            **_merged(manifest),
            **terms,
            "sizes": f"multiples of {rule.step} from {rule.minimum} to {rule.maximum} a side",
            "default": f"{usual.size}, {usual.steps} steps, guidance {usual.guidance:g}, {sampler}",
            "precision": ", ".join(f"{count} x {name}" for name, count in precision.items()),
            **_plans(manifest),
            "on disk": f"{size_bytes / 1e6:,.0f} MB",
            "built by": f"sakuga {manifest.sakuga}",
            "verified": ", ".join(verified) or "no: build with --verify",
        },
    )


def _objective(model: Manifest | Checkpoint) -> str:
    zero = ", zero terminal SNR" if model.zero_terminal_snr else ""
    return f"predicts {model.prediction}{zero}"


def _merged(manifest: Manifest) -> dict[str, str]:
    """LoRAs, what they bring and a VAE of its own, a line each where there are any."""
    found: dict[str, str] = {}
    if manifest.loras:
        fields = merged_fields(manifest)
        weights, hashes = fields["lora_weights"], fields["loras"]
        found["LoRAs"] = ", ".join(f"{n} at {weights[n]} ({hashes[n]})" for n in hashes)
    left_out = sum(len(lora.unmatched) for lora in manifest.loras)
    if left_out:
        found["not merged"] = f"{counted(left_out, 'key')} of them match nothing here"
    if brought := [name for lora in manifest.loras for name in lora.embeddings]:
        found["embeddings"] = ", ".join(brought)
    if manifest.vae:
        found["VAE"] = f"{manifest.vae.name} ({manifest.vae.hash})"
    return found


def _bundle_preset(bundle: Bundle) -> tuple[Preset | None, dict[str, str]]:
    """The bundle's preset, and it and its licence in words; where it is not here, that."""
    try:
        preset = bundle_preset(bundle)
    except UsageError as error:
        words = f"{bundle.manifest.preset} cannot be used. {error.what}"
        return None, {"preset": words, "licence": bundle.manifest.licence or "not known"}
    return preset, _terms(preset)


def _terms(preset: Preset | None) -> dict[str, str]:
    """Preset and licence, and what it means."""
    if preset is None:
        return {"preset": "none", "licence": "not known"}
    licence = preset.licence
    return {
        "preset": f"{preset.name} ({preset.title})",
        "licence": f"{licence.name}. {licence.meaning}",
    }


def _plans(manifest: Manifest) -> dict[str, str]:
    """What the plans are for, in a line."""
    found = []
    for name, plans in manifest.plans.items():
        sides = [int(side) for size in plans.sizes for side in size.split("x")]
        words = {
            "range": f"sides from {min(sides)} to {max(sides)}",
            "buckets": f"a profile for each of {counted(len(plans.sizes), 'bucket')}",
            "sizes": f"a profile each for {', '.join(plans.sizes)}",
        }
        batch = f"up to {counted(plans.max_batch, 'picture')} at once"
        found.append(f"{name}: {words[plans.shapes]}, {batch}")
    return {"plans": "; ".join(found) or "none: it runs on ONNX Runtime"}


def _checkpoint(path: Path) -> Findings:
    with open_checkpoint(path) as checkpoint:
        digest = checkpoint.sha256()
        known = recognise(digest[:10])
        preset = find_preset(known) if known else None
        tensors = {
            name: dict(Counter(part.dtype(tensor) for tensor in part.names()))
            for name, part in checkpoint.components.items()
        }
        facts: dict[str, object] = {
            "kind": "checkpoint",
            "layout": checkpoint.layout,
            "family": checkpoint.family.name,
            "model_hash": digest[:10],
            "sha256": digest,
            "prediction": checkpoint.prediction,
            "zero_terminal_snr": checkpoint.zero_terminal_snr,
            **asdict(checkpoint.sampling),
            "preset": known,
            "licence": preset.licence.name if preset else None,
            "licence_meaning": preset.licence.meaning if preset else None,
            "tensors": tensors,
            "ignored": list(checkpoint.ignored),
            "unknown": list(checkpoint.unknown),
            "notes": list(checkpoint.notes),
        }
    summary = {
        "checkpoint": f"{path} ({digest[:10]}), {facts['layout']} layout",
        "family": f"{facts['family']}, {_objective(checkpoint)}",
        **_terms(preset),
    }
    for name, counts in tensors.items():
        summary[name] = ", ".join(f"{count} x {dtype}" for dtype, count in counts.items())
    summary["ignored"] = f"{counted(len(checkpoint.ignored), 'tensor')} known to do no harm"
    summary["unknown"] = ", ".join(checkpoint.unknown) or "none"
    if checkpoint.notes:
        summary["notes"] = " ".join(checkpoint.notes)
    return Findings(facts, summary)


def _picture(path: Path) -> Findings:
    found = read_metadata(path)
    facts: dict[str, object] = {"kind": "picture", **asdict(found)}
    summary = {"picture": f"{path}, {found.format}, {found.width}x{found.height}"}
    settings = split_parameters(found.parameters or "")
    if settings is not None:
        facts |= asdict(settings)
        summary["prompt"] = settings.prompt
        summary["negative"] = settings.negative_prompt
        summary |= settings.values
    elif found.parameters is not None:
        summary["text"] = found.parameters
    else:
        summary["settings"] = "none in it"
        if found.workflow:
            summary["settings"] = "none: made by ComfyUI, whose workflow is in it"
    return Findings(facts, {name: _printable(text) for name, text in summary.items()})


def _printable(text: str) -> str:
    """The text without what a terminal would obey; whoever made the picture wrote it."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
