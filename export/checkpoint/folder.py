"""The files of a diffusers folder: weights of each component, whole or in shards, and configs."""

import json
from pathlib import Path

from sakuga.engine.errors import CheckpointError, FileFormatError, UnknownFamilyError

UNET_FOLDER = "unet"
_STEMS = ("diffusion_pytorch_model", "model")
_VARIANTS = ("", ".fp16", ".bf16")  # the unmarked files are the most precise ones
_PICKLES = ("*.bin", "*.ckpt", "*.pt", "*.pth")


def check_folder(folder: Path) -> None:
    """Raise UnknownFamilyError where the folder has no `unet`, saying what it seems to be."""
    if (folder / UNET_FOLDER).is_dir():
        return
    kind = read_config(folder / "config.json").get("_class_name", "")
    pipeline = read_config(folder / "model_index.json").get("_class_name", "a model")
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    if kind:
        note, hint = f"It is one component, a {kind}.", "Give the folder above it."
    elif (folder / "transformer").is_dir():
        note = f"Its network is a transformer, not a UNet: it is made for {pipeline}."
        hint = "Give an SDXL or SD 1.5 model."
    elif files:
        note, hint = f"It holds {', '.join(files[:3])}.", "Give the .safetensors file itself."
    else:
        note, hint = "There is no unet folder in it.", "Give the folder with model_index.json."
    raise UnknownFamilyError(f"{folder} is not a diffusers model folder.", note=note, hint=hint)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of one component, none where it has no such folder.

    Raises CheckpointError where the folder holds only pickles or nothing that can be read.
    """
    if not folder.is_dir():
        return ()
    for variant in _VARIANTS:
        for stem in _STEMS:
            whole = folder / f"{stem}{variant}.safetensors"
            if whole.is_file():
                return (whole,)
            index = folder / f"{stem}.safetensors.index{variant}.json"
            if index.is_file():
                return _shards(index)
    raise _no_weights(folder)


def read_config(path: Path) -> dict[str, object]:
    """A JSON table; empty where there is no such file. Raises FileFormatError where it is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(found, dict):
        raise _damaged(path, "it is not a table")
    return found


def _shards(index: Path) -> tuple[Path, ...]:
    listed = read_config(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise _damaged(index, "it has no weight_map")
    names = {str(name) for name in listed.values()}
    for name in names:
        if Path(name).name != name or "\\" in name:
            raise _damaged(index, f"it points outside its folder, to {name!r}")
    return tuple(index.with_name(name) for name in sorted(names))


def _no_weights(folder: Path) -> CheckpointError:
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        return FileFormatError(
            f"{folder} holds only pickled weights: {', '.join(pickles[:3])}.",
            note="A pickle is a program: loading it can run anything, so Sakuga never does.",
            hint="Download the .safetensors files, or convert in an isolated environment with a "
            "current torch: torch.load(path, weights_only=True), then safetensors.torch.save_file.",
        )
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    return CheckpointError(
        f"{folder} holds no weights{' under a name of diffusers' if others else ''}.",
        note=f"Expected {_STEMS[0]}.safetensors or {_STEMS[1]}.safetensors, whole or in shards"
        f"{', found ' + ', '.join(others[:3]) if others else ''}.",
        hint="Rename the file to use." if others else "Download the folder again.",
    )


def _damaged(path: Path, what: str) -> FileFormatError:
    return FileFormatError(f"{path} cannot be used: {what}.", hint="Download the file again.")
