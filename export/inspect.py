"""What a file is: a bundle, a checkpoint, or a picture with its settings."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.errors import FileFormatError, UsageError
from sakuga.engine.manifest import MANIFEST, Manifest
from sakuga.engine.runtime.defaults import bundle_defaults
from sakuga.engine.sampling.samplers import SAMPLERS, sampler_name
from sakuga.export.checkpoint.layouts import Checkpoint, open_checkpoint
from sakuga.export.counted import counted

_PICTURES = {".png", ".jpg", ".jpeg", ".webp"}
_CHECKPOINTS = {".safetensors", ".ckpt", ".pt", ".pth", ".bin"}  # opened, or refused with a reason


@dataclass(frozen=True)
class Findings:
    """`facts`: everything, JSON-ready. `summary`: what people look for, a line each."""

    facts: dict[str, object]
    summary: dict[str, str]


def inspect(path: Path) -> Findings:
    """Say what is at `path`. Raises UsageError for what is none of the three, and what opening it
    raises."""
    if not path.exists():
        raise UsageError(f"There is nothing at {path}.", hint="Check the path.")
    suffix = path.suffix.lower()
    if (path / MANIFEST).is_file():
        return _bundle(open_bundle(path))
    if suffix in _PICTURES:
        return _picture(path)
    if path.is_file() and suffix not in _CHECKPOINTS:
        raise UsageError(
            f"{path} is no bundle, no checkpoint and no picture.",
            note=f"Files that can be read end in .safetensors, {', '.join(sorted(_PICTURES))}.",
            hint="Give one of those, a bundle, or a diffusers folder.",
        )
    return _checkpoint(path)


def _bundle(bundle: Bundle) -> Findings:
    manifest, rule, usual = bundle.manifest, bundle.family.sizes, bundle_defaults(bundle)
    precision = Counter(entry.precision for entry in manifest.networks.values())
    size_bytes = sum(entry.size_bytes for entry in manifest.files.values())
    verified = [f"{name} {error:.1e}" for name, error in manifest.verification.items()]
    sampler = SAMPLERS[sampler_name(usual.sampler)].label
    overrides = manifest.checkpoint.overrides
    return Findings(
        facts={
            "kind": "bundle",
            "model_hash": manifest.checkpoint.model_hash,
            "size_bytes": size_bytes,
            **asdict(manifest),
        },
        summary={
            "bundle": str(bundle.path),
            "model": f"{manifest.checkpoint.name} ({manifest.checkpoint.model_hash})",
            "family": f"{manifest.family}, {_objective(manifest)}",
            **({"built with": " ".join(overrides)} if overrides else {}),
            "preset": manifest.preset or "none",
            "licence": manifest.licence or "not known",
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
            "tensors": tensors,
            "ignored": list(checkpoint.ignored),
            "unknown": list(checkpoint.unknown),
            "notes": list(checkpoint.notes),
        }
    summary = {
        "checkpoint": f"{path} ({digest[:10]}), {facts['layout']} layout",
        "family": f"{facts['family']}, {_objective(checkpoint)}",
    }
    for name, counts in tensors.items():
        summary[name] = ", ".join(f"{count} x {dtype}" for dtype, count in counts.items())
    summary["ignored"] = f"{counted(len(checkpoint.ignored), 'tensor')} known to do no harm"
    summary["unknown"] = ", ".join(checkpoint.unknown) or "none"
    if checkpoint.notes:
        summary["notes"] = " ".join(checkpoint.notes)
    return Findings(facts, summary)


def _picture(path: Path) -> Findings:
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as image:
            size, parameters = image.size, image.info.get("parameters")
    except (UnidentifiedImageError, OSError) as error:
        raise FileFormatError(
            f"{path} is no picture that can be read.",
            note=f"{error}.",
            hint="PNG, JPEG and WebP pictures can be read.",
        ) from error
    facts: dict[str, object] = {
        "kind": "picture",
        "width": size[0],
        "height": size[1],
        "parameters": parameters,
    }
    shown = {"picture": f"{path}, {size[0]}x{size[1]}", "parameters": parameters or "none in it"}
    return Findings(facts, shown)
