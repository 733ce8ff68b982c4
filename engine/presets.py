"""Presets by name or hash: the shipped ones and the user's own, and errors that say what to do.

A user's presets are TOML files in the folder $SAKUGA_PRESETS, else in `presets` of the user's
settings folder for Sakuga; one called like a shipped preset takes its place.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from sakuga.engine.errors import UsageError
from sakuga.engine.platform import config_folder
from sakuga.profiles.preset import Preset
from sakuga.profiles.preset_file import NO_PRESET, PresetFileError, read_preset
from sakuga.profiles.presets import all_presets, is_shipped, preset_files

FOLDER_VARIABLE = "SAKUGA_PRESETS"


def user_folder() -> Path | None:
    """The folder of the user's own presets, None where there is none.

    Raises UsageError where $SAKUGA_PRESETS names no folder.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    if not given:
        folder = config_folder()
        return folder / "presets" if folder and (folder / "presets").is_dir() else None
    if not Path(given).is_dir():
        raise UsageError(
            f"${FOLDER_VARIABLE} names no folder: {given}",
            note="Presets of your own are read from there.",
            hint="Make the folder, or unset the variable.",
        )
    return Path(given).absolute()


def known_presets() -> Mapping[str, Preset]:
    """Every preset by name. Raises UsageError for a file that is not as it should be."""
    with _readable():
        return all_presets(user_folder())


def preset_known(name: str) -> bool:
    """Whether there is a preset of that name, well formed or not."""
    return name in preset_files(user_folder())


def find_preset(name: str) -> Preset:
    """The preset called `name`. Raises UsageError where there is none, or its file is broken."""
    files = preset_files(user_folder())
    if name not in files:
        near = get_close_matches(name.lower(), files, n=1)
        raise UsageError(
            f"There is no preset called {name!r}.",
            note=f"There are {', '.join(files)}.",
            hint=f"Did you mean {near[0]!r}?" if near else "sakuga presets tells what they are.",
        )
    with _readable():
        return read_preset(files[name])


def choose_preset(name: str, family: str) -> Preset | None:
    """The preset called `name` for a model of `family`; None for the name `none`.

    Raises UsageError for an unknown name and for a preset of another family.
    """
    if name == NO_PRESET:
        return None
    preset = find_preset(name)
    if preset.family != family:
        raise UsageError(
            f"The preset {name!r} does not fit this model.",
            note=f"It is for models of the family {preset.family} ({preset.title}); this one is of "
            f"the family {family}.",
            hint=f"Give another of `sakuga presets`, or --preset {NO_PRESET}.",
        )
    return preset


def recognise(hash10: str) -> str | None:
    """The name of the preset that knows a checkpoint by the first ten digits of its SHA-256.

    A user's own comes before a shipped one; None if no preset knows it. Raises UsageError where
    two of the user's do, and for a file that is not as it should be.
    """
    found = [preset for preset in known_presets().values() if hash10.lower() in preset.hashes]
    own = [preset for preset in found if not is_shipped(preset)]
    if len(own) > 1:
        raise UsageError(
            f"{len(own)} of your presets are for this checkpoint.",
            note=f"{', '.join(preset.name for preset in own)} all have the hash {hash10}.",
            hint="Choose one with --preset NAME.",
        )
    return next((preset.name for preset in own or found), None)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except PresetFileError as error:
        where = f", key {error.key!r}," if error.key else ""
        raise UsageError(
            f"The preset file {error.path}{where} {error.fault}.",
            note="A preset is read whole or not at all.",
            hint="Correct the file, or take it out of the folder; a shipped preset, as `sakuga "
            "presets NAME` prints it, names every key.",
        ) from error
