"""The shipped presets, one TOML file a model, and a user's own over them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sakuga.profiles.preset import Preset
from sakuga.profiles.preset_file import read_preset

FOLDER = Path(__file__).with_name("presets")


def preset_files(folder: Path | None = None) -> dict[str, Path]:
    """The files of all presets by name: the shipped ones, and those of a user's folder, which
    take the place of shipped ones of the same name."""
    folders = (FOLDER,) if folder is None else (FOLDER, folder)
    found = {path.stem: path for each in folders for path in each.glob("*.toml")}
    return dict(sorted(found.items()))


def all_presets(folder: Path | None = None) -> Mapping[str, Preset]:
    """All presets by name, as `preset_files` finds them. Raises PresetFileError."""
    return {name: _read(path) for name, path in preset_files(folder).items()}


def is_shipped(preset: Preset) -> bool:
    """Whether the preset comes with Sakuga."""
    return Path(preset.file).parent == FOLDER


def _read(path: Path) -> Preset:
    return _shipped(path) if path.parent == FOLDER else read_preset(path)


_shipped = cache(read_preset)
