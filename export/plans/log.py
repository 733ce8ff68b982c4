"""TensorRT's log: everything but its chatter goes to a file, errors are kept, facts picked out."""

import re
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_BYTES = re.compile(r"Total (Activation|Weights) Memory: (\d+) bytes")
_FUSED = re.compile(r"^Name: \w*mha\w*", re.MULTILINE)
_KEPT_ERRORS = 20


class BuildLog:
    """What a builder says, in a file; and from it what the report wants to know.

    The chatter that stays out of the file lists the layers of the finished engine. That is the one
    place where fused attention kernels can be counted on a machine without a GPU, since an engine
    cannot be opened there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[str] = []
        self.activation_bytes = 0
        self.weights_bytes = 0
        self.fused_attentions = 0
        self._file = path.open("w", encoding="utf-8")

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
        """Take in one message; `severity` is TensorRT's own word for it."""
        for what, count in _BYTES.findall(message):
            if what == "Activation":
                self.activation_bytes = max(self.activation_bytes, int(count))
            else:
                self.weights_bytes = max(self.weights_bytes, int(count))
        if severity == "VERBOSE":
            self.fused_attentions += len(_FUSED.findall(message))
            return
        if severity in {"ERROR", "INTERNAL_ERROR"} and len(self.errors) < _KEPT_ERRORS:
            self.errors.append(message.strip())
        self._file.write(f"{severity} {message}\n")
        self._file.flush()


def logger(library: Any, log: BuildLog) -> Any:  # noqa: ANN401
    """An ILogger of a TensorRT library that writes to `log`."""

    class Logger(library.ILogger):  # type: ignore[misc]  # its base is known at run time
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, msg: str) -> None:  # noqa: ANN401
            log.write(severity.name, msg)

    return Logger()
