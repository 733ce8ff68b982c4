"""TensorRT's log: everything but its chatter goes to a file, errors are kept, facts picked out."""

import re
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_ACTIVATIONS = re.compile(r"Total Activation Memory: (\d+) bytes")
_FUSED = re.compile(r"^Name: \w*mha\w*", re.MULTILINE)
# What a build ahead of time says about the GPU it does not need, whatever else goes wrong.
_NO_GPU = "CUDA driver version is insufficient"
_KEPT_ERRORS = 20


class BuildLog:
    """What a builder says, appended to a file; and from it what the report wants to know.

    The chatter that stays out of the file lists the layers of the finished engine. That is the one
    place where fused attention kernels can be counted on a machine without a GPU, since an engine
    cannot be opened there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[str] = []
        self.activation_bytes = 0
        self.fused_attentions = 0
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, severity: str, message: str) -> None:
        """Take in one message; `severity` is TensorRT's own word for it. Any thread may call."""
        with self._lock:
            self._note(severity, message)
            if severity != "VERBOSE":
                self._file.write(f"{severity} {message}\n")
                self._file.flush()

    def _note(self, severity: str, message: str) -> None:
        for size in _ACTIVATIONS.findall(message):
            self.activation_bytes = max(self.activation_bytes, int(size))
        if severity == "VERBOSE":
            self.fused_attentions += len(_FUSED.findall(message))
        elif severity in {"ERROR", "INTERNAL_ERROR"} and _NO_GPU not in message:
            self.errors = [*self.errors, message.strip()][:_KEPT_ERRORS]
