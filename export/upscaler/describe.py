"""What an upscaler's folder is, for `sakuga inspect`."""

from dataclasses import asdict
from pathlib import Path

from sakuga.engine.upscaler_folder import open_upscaler


def describe_upscaler(path: Path) -> tuple[dict[str, object], dict[str, str]]:
    """Everything, JSON-ready, and what people look for. Raises what `open_upscaler` raises."""
    manifest = open_upscaler(path).manifest
    size_bytes = sum(entry.size_bytes for entry in manifest.files.values())
    errors = (f"{precision} {error:.1e}" for precision, error in manifest.errors.items())
    facts: dict[str, object] = {
        "kind": "upscaler", "hash": manifest.hash, "size_bytes": size_bytes, **asdict(manifest),
    }  # fmt: skip
    return facts, {
        "upscaler": str(path),
        "name": f"{manifest.name} ({manifest.hash})",
        "architecture": f"{manifest.architecture}, x{manifest.scale}",
        "licence": manifest.licence,
        "tiles": f"{manifest.tile} pixels a side, {manifest.overlap} shared",
        "precision": ", ".join(manifest.graphs),
        "on disk": f"{size_bytes / 1e6:,.0f} MB",
        "built by": f"sakuga {manifest.exporter.get('sakuga', '?')}",
        "verified": ", ".join(errors),
    }
