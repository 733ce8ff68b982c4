"""The detectors an engine has open."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sakuga.engine.digests import file_sha256
from sakuga.engine.refine.detector import Detector
from sakuga.engine.refine.detectors import DEMO_DETECTORS, find_detector
from sakuga.engine.refine.yolo_network import OnnxYoloNetwork
from sakuga.profiles.families import Family


class Shelf:
    """Each is opened when it is first asked for, and stays. `folder`: where their files lie, None
    for those of the bundle's own model alone. `threads`: of each, None for all cores."""

    def __init__(self, folder: Path | None, family: Family, threads: int | None = None) -> None:
        self._folder, self._open_network = folder, partial(OnnxYoloNetwork, threads=threads)
        self._own: Mapping[str, Path] = DEMO_DETECTORS if family.name == "sdxl-demo" else {}
        self._open: dict[Path, Detector] = {}

    def names(self) -> list[str]:
        """Of all there are: the model's own, then the folder's."""
        files = [] if self._folder is None else sorted(self._folder.rglob("*.onnx"))
        return [*self._own, *(file.stem for file in files)]

    def check(self, name: str) -> None:
        """Raise UsageError where there is none of this name, without opening anything."""
        find_detector(name, self._folder, self._own)

    def hash(self, name: str) -> str:
        """The first ten hex digits of its file's SHA-256, read from the disk. Raises UsageError."""
        return file_sha256(find_detector(name, self._folder, self._own))[:10]

    def find(self, name: str) -> Detector:
        """The one called so. Raises UsageError, FileFormatError."""
        file = find_detector(name, self._folder, self._own)
        if file not in self._open:
            self._open[file] = Detector(file, self._open_network)
        return self._open[file]
