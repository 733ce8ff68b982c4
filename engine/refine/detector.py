"""Finds things in pictures with a YOLO network from an ONNX file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.errors import FileFormatError, UsageError
from sakuga.engine.refine.detections import Detection
from sakuga.engine.refine.letterbox import Letterbox
from sakuga.engine.refine.outlines import outlines
from sakuga.engine.refine.yolo_card import read_card
from sakuga.engine.refine.yolo_network import OnnxYoloNetwork, YoloNetwork
from sakuga.engine.refine.yolo_outputs import Found, Layout, layout_of, read_outputs
from sakuga.profiles.buckets import Size

_NAMES_SHOWN = 20


class Detector:
    """A detection or segmentation network of YOLOv8's kind; several threads may use it.

    `name`: of its file. `license`, `author`: what the file says, or empty. Raises FileFormatError
    for a file that is damaged or no such network.
    """

    def __init__(
        self, file: Path, open_network: Callable[[Path], YoloNetwork] = OnnxYoloNetwork
    ) -> None:
        self._network = open_network(file)
        self._card = read_card(self._network.properties, file.name)
        self.name, self.license, self.author = file.name, self._card.license, self._card.author
        names = self._card.names
        known = None if names is None else len(names)
        layout = self._read_layout(self._network.outputs, known)
        self.classes = names or tuple(str(at) for at in range(layout.classes or 0))

    @property
    def license_note(self) -> str:
        """Who made its weights and under which licence, in words for the user."""
        by = f", by {self.author}," if self.author else ""
        words = f"is under {self.license}" if self.license else "does not say what its licence is"
        return f"The detector {self.name}{by} {words}."

    def __call__(
        self,
        pixels: NDArray[np.uint8],
        confidence: float = 0.3,
        classes: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> list[Detection]:
        """What is found in a picture, uint8 [height, width, 3], the surest first.

        `classes`: names of those that count, none for all; `exclude`: of those that do not. Boxes
        are cut to the picture. Raises UsageError for a class that the network does not know,
        RenderError where it fails.
        """
        wanted = self._wanted(classes, exclude)
        height, width = pixels.shape[:2]
        letterbox = self._letterbox(Size(width, height))
        shown = letterbox.filled(pixels).transpose(2, 0, 1)[None].astype(np.float32) / np.float32(
            255
        )
        outputs = self._network.run(shown)
        layout = self._read_layout([output.shape for output in outputs], len(self.classes) or None)
        found = read_outputs(outputs, layout, confidence, wanted)
        return self._detections(found, letterbox)

    def _letterbox(self, picture: Size) -> Letterbox:
        """A side of the input that is fixed is taken as it is."""
        height, width = self._network.sides
        trained, stride = self._card.size, self._card.stride
        if height is not None and width is not None:
            return Letterbox.within(picture, Size(width, height))
        room = Size(width or trained.width, height or trained.height)
        free = Letterbox.around(picture, room, stride).outer
        return Letterbox.within(picture, Size(width or free.width, height or free.height))

    def _detections(self, found: Found, letterbox: Letterbox) -> list[Detection]:
        boxes = letterbox.to_picture(found.boxes)
        seen = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
        masks: Sequence[NDArray[np.uint8] | None] = [None] * len(seen)
        if found.prototypes is not None:
            masks = outlines(boxes[seen], found.coefficients[seen], found.prototypes, letterbox)
        return [
            Detection(
                box=(float(boxes[at, 0]), float(boxes[at, 1]), float(boxes[at, 2]),
                     float(boxes[at, 3])),
                confidence=float(found.scores[at]),
                mask=mask,
                name=self._name_of(int(found.classes[at])),
            )
            for at, mask in zip(seen, masks, strict=True)
        ]  # fmt: skip

    def _name_of(self, number: int) -> str:
        return self.classes[number] if 0 <= number < len(self.classes) else str(number)

    def _wanted(self, classes: Sequence[str], exclude: Sequence[str]) -> list[int] | None:
        """Numbers of the classes that count; None for all."""
        if not classes and not exclude:
            return None
        included = self._numbers(classes) if classes else set(range(len(self.classes)))
        return sorted(included - self._numbers(exclude))

    def _numbers(self, names: Sequence[str]) -> set[int]:
        known = {name.casefold(): at for at, name in enumerate(self.classes)}
        for name in names:
            if name.strip().casefold() not in known:
                more = len(self.classes) - _NAMES_SHOWN
                rest = f" and {more} more" if more > 0 else ""
                raise UsageError(
                    f"The detector {self.name} knows no class {name!r}.",
                    note=f"It knows {', '.join(self.classes[:_NAMES_SHOWN]) or 'none'}{rest}.",
                    hint="Name one of these, or another detector.",
                )
        return {known[name.strip().casefold()] for name in names}

    def _read_layout(self, shapes: Sequence[Sequence[int | None]], classes: int | None) -> Layout:
        layout = layout_of(shapes, classes)
        if layout is None:
            raise FileFormatError(
                f"{self.name} is no detector: what it gives is in none of the layouts known here.",
                note=f"Its outputs: {', '.join(str(list(shape)) for shape in shapes)}; "
                f"names of classes: {'none' if classes is None else classes}.",
                hint="Take a YOLOv8, v9, v10 or v11 network, exported to ONNX by Ultralytics.",
            )
        return layout
