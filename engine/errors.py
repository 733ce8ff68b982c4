"""Every error Sakuga raises on purpose.

    SakugaError
    ├── UsageError               the call itself is wrong: an option, a request, a job line
    │   ├── SizeError            a picture size outside what the bundle renders
    │   ├── PictureFileError     a picture to begin with that cannot be read
    │   └── TargetError          a GPU that plans cannot be built for, or none where one is needed
    ├── CheckpointError          a checkpoint that cannot be read or is not what it should be
    │   ├── FileFormatError      not a safetensors file, truncated, or refused for safety
    │   ├── UnknownFamilyError   a readable file that is no model Sakuga knows
    │   └── TensorError          missing, surplus or wrongly shaped tensors
    ├── BuildError               a build that could not finish; the old bundle, or none, is there
    │   ├── BusyError            another process is writing the same bundle
    │   └── PlanBuildError       TensorRT refused a network or failed on it
    ├── BundleError              a bundle that cannot be used
    │   ├── BundleFormatError    no bundle, or one written by a newer Sakuga
    │   ├── BundleDamagedError   a file of the bundle is missing or has changed
    │   └── PlanMismatchError    plans for another GPU or TensorRT than the one here
    ├── OutputError              a folder that pictures cannot be rendered into
    ├── MetadataError            a picture whose settings cannot be read, or not be made again
    ├── StoppedError             interrupted; what is finished is kept, the same command goes on
    ├── MissingDependencyError   an optional package is needed and not installed
    ├── RenderError              a picture that could not be made
    │   ├── DeviceMemoryError    the GPU has too little memory free
    │   └── DeadlineError        nobody wants it any more: its time is over
    ├── OverloadedError          more on its way than may be; later there is room
    └── EngineFault              the GPU no longer answers this process, which must be replaced

A message has three parts: what happened, the facts (`note`), and what to do next (`hint`).
"""


def install_hint(extra: str) -> str:
    """What to do where the packages of an extra are missing."""
    return (
        f"Install the extra: pip install 'sakuga[{extra}]', in a clone "
        f"pip install -c constraints.txt -e '.[{extra}]'."
    )


class SakugaError(Exception):
    """The root. `note` holds the facts, `hint` says what to do next; either may be empty."""

    exit_code = 1

    def __init__(self, what: str, *, note: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.note = note
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.note:
            lines.append(f"Note: {self.note}")
        if self.hint:
            lines.append(f"Hint: {self.hint}")
        return "\n".join(lines)


class UsageError(SakugaError):
    """The call is wrong: an option, a request or a job line."""

    exit_code = 2


class SizeError(UsageError):
    """A picture size outside what the bundle renders."""


class PictureFileError(UsageError):
    """A picture to begin with that cannot be read: absent, damaged, too large or none at all."""


class TargetError(UsageError):
    """A GPU that plans cannot be built for, or no GPU where one is needed."""


class CheckpointError(SakugaError):
    """A checkpoint that cannot be read or is not what it should be."""


class FileFormatError(CheckpointError):
    """Not a safetensors file, a truncated one, or a format refused for safety."""


class UnknownFamilyError(CheckpointError):
    """A readable file that is no model Sakuga knows."""


class TensorError(CheckpointError):
    """Missing, surplus or wrongly shaped tensors."""


class BuildError(SakugaError):
    """A build that could not finish; the old bundle, or none, is there."""


class BusyError(BuildError):
    """Another process is writing the same bundle."""


class PlanBuildError(BuildError):
    """TensorRT refused a network, or failed on it."""


class BundleError(SakugaError):
    """A bundle that cannot be used."""


class BundleFormatError(BundleError):
    """No bundle, or one written by a newer Sakuga."""


class BundleDamagedError(BundleError):
    """A file of the bundle is missing or has changed."""


class PlanMismatchError(BundleError):
    """Plans for another GPU or TensorRT than the one here."""


class OutputError(SakugaError):
    """A folder that pictures cannot be rendered into: not writable, in use, or of other jobs."""


class MetadataError(SakugaError):
    """A picture whose settings cannot be read, or cannot be made again as it says."""


class StoppedError(SakugaError):
    """Interrupted; what is finished is kept, and the same command goes on behind it."""

    exit_code = 75


class MissingDependencyError(SakugaError):
    """An optional package is needed and not installed."""


class RenderError(SakugaError):
    """A picture that could not be made."""


class DeviceMemoryError(RenderError):
    """The GPU has too little memory free for what was asked."""


class DeadlineError(RenderError):
    """The time a picture was wanted in is over."""


class OverloadedError(SakugaError):
    """More pictures on their way than may be. `retry_after_s`: when there is room, if known."""

    exit_code = 75

    def __init__(
        self, what: str, *, note: str = "", hint: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(what, note=note, hint=hint)
        self.retry_after_s = retry_after_s


class EngineFault(SakugaError):
    """The GPU no longer answers this process: no engine in it can go on, another process can."""
