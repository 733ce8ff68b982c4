"""Detectors by name: files in a folder, and the demo model's own."""

import re
from collections.abc import Mapping
from pathlib import Path

from sakuga.engine.digests import file_sha256
from sakuga.engine.errors import UsageError

# What "face" means with a demo model: trained on what it draws, and on nothing else.
DEMO_DETECTORS: Mapping[str, Path] = {"face": Path(__file__).parent / "data" / "demo-face.onnx"}

# The usual files of what people ask for, best known first.
_USUAL = {
    "face": ("face_yolov8n", "face_yolov8s", "face_yolov8m", "face_yolov9c"),
    "hand": ("hand_yolov8n", "hand_yolov8s", "hand_yolov9c"),
    "person": ("person_yolov8n-seg", "person_yolov8s-seg", "person_yolov8m-seg"),
}
_ENDINGS = (".onnx", ".pt", ".pth")


def find_detector(name: str, folder: Path | None, own: Mapping[str, Path] | None = None) -> Path:
    """The file of a detector: `face_yolov8n`, with `.onnx` or `.pt` behind it or without, or what
    it finds, `face`.

    `folder` is searched with all folders in it. `own`: detectors that belong to the bundle's model
    (`DEMO_DETECTORS`); a file of the very name goes before them. Raises UsageError that says what
    is there, and how to come by one.
    """
    files = {} if folder is None else {_stem(path.name): path for path in _files(folder, "*.onnx")}
    wanted = _stem(name.strip())
    if wanted in files:
        return files[wanted]
    if own and wanted in own:
        return own[wanted]
    for usual in _USUAL.get(wanted, ()):
        if usual in files:
            return files[usual]
    alike = [path for stem, path in files.items() if wanted in re.split(r"[\W_]+", stem)]
    if len(alike) == 1:
        return alike[0]
    raise _unknown(name, folder, [path.name for path in alike], own or {})


def detector_hashes(folder: Path | None) -> dict[str, str]:
    """The first ten hex digits of the SHA-256 of all detectors of a folder, by name."""
    files = _files(folder, "*.onnx") if folder else []
    return {_stem(path.name): file_sha256(path)[:10] for path in files}


def _unknown(
    name: str, folder: Path | None, alike: list[str], own: Mapping[str, Path]
) -> UsageError:
    if alike:
        return UsageError(
            f"Which detector is {name!r}?",
            note=f"{', '.join(alike)} are in {folder}.",
            hint="Name one of these.",
        )
    there = [*own, *(path.name for path in (_files(folder, "*.onnx") if folder else ()))]
    weights = [path.name for path in (_files(folder, "*.pt") if folder else ())]
    note = f"There are {', '.join(there)}." if there else "There are none."
    if weights:
        note += f" {', '.join(weights)} must be exported to ONNX first."
    stem = _USUAL.get(_stem(name.strip()), (_stem(name.strip()),))[0]
    return UsageError(
        f"There is no detector called {name!r}.",
        note=note if folder else f"{note} No folder of detectors was named.",
        hint=f"Where Ultralytics is installed, outside of Sakuga and under a licence of yours "
        f"(AGPL-3.0, or theirs for companies), `yolo export model={stem}.pt format=onnx` makes "
        f"the file; put it into {folder or 'a folder and name that'}.",
    )


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


def _stem(name: str) -> str:
    low = name.casefold()
    for ending in _ENDINGS:
        low = low.removesuffix(ending)
    return low
