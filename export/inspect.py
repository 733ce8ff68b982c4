"""What a file is: a bundle, a checkpoint, or a picture with its settings."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from sakuga.engine.bundle import open_bundle
from sakuga.engine.errors import FileFormatError, UsageError
from sakuga.engine.manifest import MANIFEST
from sakuga.export.checkpoint.layouts import open_checkpoint

Facts = dict[str, object]

_PICTURES = {".png", ".jpg", ".jpeg", ".webp"}


def inspect(path: Path) -> Facts:
    """Facts about the file, JSON-ready. Raises what opening it raises."""
    if not path.exists():
        raise UsageError(f"There is nothing at {path}.", hint="Check the path.")
    if (path / MANIFEST).is_file():
        return _bundle(path)
    if path.suffix.lower() in _PICTURES:
        return _picture(path)
    return _checkpoint(path)


def _bundle(path: Path) -> Facts:
    manifest = open_bundle(path).manifest
    facts = asdict(manifest)
    files = facts.pop("files")
    networks = facts.pop("networks")
    return {
        "kind": "bundle",
        "model_hash": manifest.checkpoint.model_hash,
        "size_bytes": sum(entry["size_bytes"] for entry in files.values()),
        **facts,
        "precision": {name: network["precision"] for name, network in networks.items()},
        "networks": networks,
        "files": files,
    }


def _checkpoint(path: Path) -> Facts:
    with open_checkpoint(path) as checkpoint:
        digest = checkpoint.sha256()
        return {
            "kind": "checkpoint",
            "layout": checkpoint.layout,
            "family": checkpoint.family.name,
            "model_hash": digest[:10],
            "sha256": digest,
            "prediction": checkpoint.prediction,
            "zero_terminal_snr": checkpoint.zero_terminal_snr,
            "tensors": {
                name: dict(Counter(part.dtype(tensor) for tensor in part.names()))
                for name, part in checkpoint.components.items()
            },
            "ignored": len(checkpoint.ignored),
            "unknown": list(checkpoint.unknown),
        }


def _picture(path: Path) -> Facts:
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as image:
            width, height = image.size
            parameters = image.info.get("parameters")
    except (UnidentifiedImageError, OSError) as error:
        raise FileFormatError(
            f"{path} is no picture that can be read.", note=f"{error}."
        ) from error
    return {"kind": "picture", "width": width, "height": height, "parameters": parameters}
