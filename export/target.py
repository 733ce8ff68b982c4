"""Where a build may write: at a free place, or over what an earlier one made and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

from sakuga.engine.errors import UsageError
from sakuga.engine.manifest import MANIFEST, is_bundle, raw_manifest

_USUAL = {MANIFEST, "onnx", "text", "plans", "build-report.json"}
_NAMED = 5  # files a message names before it counts the rest


def check_place(
    target: Path, ours: Callable[[Path], bool] = is_bundle, kind: str = "bundle"
) -> None:
    """Raise UsageError where `target` is something else than a folder of this kind, which `ours`
    knows, or lies inside one."""
    for folder in target.parents:
        if folder.exists() and not folder.is_dir():
            raise UsageError(
                f"{target} lies below {folder}, which is a file.",
                hint="Give another --out.",
            )
        if ours(folder) or is_bundle(folder):
            raise UsageError(
                f"{target} lies inside the {kind if ours(folder) else 'bundle'} {folder}.",
                note="A later build over that one would have to remove this one.",
                hint="Give an --out beside it.",
            )
    empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not empty and not ours(target):
        raise UsageError(
            f"{target} is there already and is no {kind}.",
            note=f"This build replaces {kind}s and nothing else.",
            hint="Give another --out, or move what is there away.",
        )


def check_contents(target: Path) -> None:
    """Raise UsageError where the folder at `target`, if there is one, holds a user's files."""
    found = _foreign(target) if target.exists() else []
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise UsageError(
            f"{target} holds what no build put there: {', '.join(found[:_NAMED])}{more}.",
            note="A build replaces the whole folder, so these would be lost. Nothing was changed.",
            hint="Move them out of it, or give another --out, then build again.",
        )


def _foreign(target: Path) -> list[str]:
    """Files and folders the manifest knows nothing of, outermost first."""
    listed = raw_manifest(target).get("files")
    if not isinstance(listed, dict):  # of another schema: go by the names every bundle has
        return sorted(entry.name for entry in target.iterdir() if entry.name not in _USUAL)
    files = {Path(MANIFEST), *map(Path, listed)}
    folders = {parent for file in files for parent in file.parents}
    found: list[str] = []
    for place, inner, names in os.walk(target, onerror=_fail):
        here = Path(place).relative_to(target)
        strange = [name for name in inner if here / name not in folders]
        found += [f"{(here / name).as_posix()}/" for name in strange]
        found += [(here / name).as_posix() for name in names if here / name not in files]
        inner[:] = sorted(set(inner) - set(strange))
    return sorted(found)


def _fail(error: OSError) -> None:
    raise error
