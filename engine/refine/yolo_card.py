"""What the ONNX file of a YOLO network says of itself, in the properties its exporter wrote."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sakuga.engine.errors import FileFormatError
from sakuga.profiles.buckets import Size

_USUAL_SIDE, _USUAL_STRIDE = 640, 32
_TASKS = ("detect", "segment")
_LONGEST = 200_000  # of a property that is read: the names of ten thousand classes


@dataclass(frozen=True)
class YoloCard:
    """`names` of the classes, None where the file does not tell; `size`: that it was trained for;
    `stride`: what the sides of its input are multiples of; `license` and `author` may be empty."""

    names: tuple[str, ...] | None
    size: Size
    stride: int
    license: str
    author: str


def read_card(properties: Mapping[str, str], file: str) -> YoloCard:
    """Ultralytics' properties, each of which may be absent.

    `file` names the file in errors. Raises FileFormatError for a network of another task and for
    properties that cannot be read.
    """
    task = properties.get("task", "detect")
    if task not in _TASKS:
        raise FileFormatError(
            f"{file} is no detector: it was made for the task {_shown(task)!r}.",
            hint="Take a detection or segmentation network.",
        )
    return YoloCard(
        names=_names(properties, file),
        size=_size(properties, file),
        stride=_stride(properties, file),
        license=_shown(properties.get("license", "")),
        author=_shown(properties.get("author", "")),
    )


def _names(properties: Mapping[str, str], file: str) -> tuple[str, ...] | None:
    if "names" not in properties:
        return None
    names = _literal(properties, "names", file)
    if isinstance(names, dict) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[at] for at in range(len(names))]
    if not isinstance(names, list | tuple) or not names:
        raise _unreadable(file, "names")
    return tuple(_shown(str(name)) for name in names)


def _size(properties: Mapping[str, str], file: str) -> Size:
    if "imgsz" not in properties:
        return Size(_USUAL_SIDE, _USUAL_SIDE)
    sides = _literal(properties, "imgsz", file)
    sides = [sides, sides] if isinstance(sides, int) else sides
    match sides:
        case [int(height), int(width)] if 1 <= height <= 8192 and 1 <= width <= 8192:
            return Size(width, height)
    raise _unreadable(file, "imgsz")


def _stride(properties: Mapping[str, str], file: str) -> int:
    stride = _literal(properties, "stride", file) if "stride" in properties else _USUAL_STRIDE
    if isinstance(stride, int) and 1 <= stride <= 1024:
        return stride
    raise _unreadable(file, "stride")


def _literal(properties: Mapping[str, str], name: str, file: str) -> Any:  # noqa: ANN401
    """A property, which is written as Python writes values: read, never run."""
    text = properties[name]
    if len(text) > _LONGEST:
        raise _unreadable(file, name)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise _unreadable(file, name) from None


def _unreadable(file: str, name: str) -> FileFormatError:
    return FileFormatError(
        f"{file} says something of itself that cannot be read.",
        note=f"It is the property {name!r}.",
        hint="Export the network to ONNX again.",
    )


def _shown(text: str) -> str:
    """A text of a file's maker as it may stand on a terminal."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text[:200])).strip()
