"""What a file is when it is not safetensors, so that the message can say it."""

from sakuga.engine.errors import FileFormatError

_CONVERT = (
    "Use the .safetensors file of the model if there is one. Otherwise convert it in an isolated "
    "environment with a current torch: torch.load(path, weights_only=True), then "
    "safetensors.torch.save_file on the tensors of its state_dict. An upscaler's file is for "
    "`sakuga build-upscaler`."
)

_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"GGUF", "a GGUF file", "Sakuga builds from unquantised .safetensors weights."),
    (
        b"version https://git-lfs",
        "a Git LFS pointer: the file itself was never downloaded",
        "Run git lfs pull, or download the file from the model's page.",
    ),
)


def not_safetensors(start: bytes, file: str) -> FileFormatError:
    """The error for a file that begins with `start` (a few hundred bytes) and is something else."""
    what, hint = _recognise(start)
    note = ""
    if hint == _CONVERT:
        note = "A pickle is a program: loading it can run anything, so Sakuga never does."
    return FileFormatError(f"{file} is not a safetensors file: it is {what}.", note=note, hint=hint)


def _recognise(start: bytes) -> tuple[str, str]:
    if not start:
        return "empty", "Download the file again."
    if start.startswith(b"PK\x03\x04") or _is_pickle(start):
        return "a pickle (.ckpt, .pt, .pth, .bin)", _CONVERT
    if start.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "a web page", "The download gave a page, perhaps a log-in. Download it again."
    for magic, what, hint in _KINDS:
        if start.startswith(magic):
            return what, hint
    return "some other format", "Give a .safetensors file or a diffusers folder."


def _is_pickle(start: bytes) -> bool:
    return len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5
