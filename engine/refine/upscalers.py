"""The upscalers at hand: those of a folder, and the filters that need no file."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

from sakuga.engine.backend.base import Session
from sakuga.engine.errors import UsageError
from sakuga.engine.manifest import raw_manifest
from sakuga.engine.refine.latents import LATENT_UPSCALERS
from sakuga.engine.refine.upscaler import Enlarger, Resampler, Upscaler
from sakuga.engine.upscaler_folder import SUFFIX, UpscalerFolder, is_upscaler, open_upscaler

Load = Callable[[UpscalerFolder], Session]

FILTERS: Mapping[str, Image.Resampling] = {
    "Lanczos": Image.Resampling.LANCZOS,
    "Nearest": Image.Resampling.NEAREST,
}


class Upscalers:
    """Enlargers by name. `folder`: where the folders of `sakuga build-upscaler` lie, None for the
    filters alone."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._open: dict[Path, Upscaler] = {}

    def names(self) -> list[str]:
        """All there are: the filters, then the folder's."""
        return [*FILTERS, *sorted(path.stem for path in self._paths())]

    def check(self, name: str) -> None:
        """Raise UsageError where nothing is called so, without opening anything."""
        self._place(name)

    def hash(self, name: str) -> str:
        """The ten hex digits people know its file by, "" for a filter. Raises UsageError."""
        place = self._place(name)
        return "" if isinstance(place, Resampler) else _hash(place)

    def hashes(self) -> dict[str, str]:
        """Those of all the folder's, by the names of their folders."""
        return {path.stem: _hash(path) for path in self._paths()}

    def find(self, name: str, load: Load) -> Enlarger:
        """The one called so, by its folder or by the name it was built with, however that is
        spelt: `DAT x2`, `dat_x2` and `DAT-x2` are one. `load` opens its network when it is first
        asked for; the upscaler stays.

        Raises UsageError for a name of nothing here or of several, and what opening it raises.
        """
        place = self._place(name)
        if isinstance(place, Resampler):
            return place
        if place not in self._open:
            folder = open_upscaler(place)
            self._open[place] = Upscaler(folder, load(folder))
        return self._open[place]

    def _place(self, name: str) -> Resampler | Path:
        wanted = spelling(name)
        for known, method in FILTERS.items():
            if spelling(known) == wanted:
                return Resampler(known, method)
        found = [path for path in self._paths() if wanted in _spellings(path)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{len(found)} upscalers are called {name!r}.",
                note=f"They are {', '.join(path.name for path in found)} in {self._folder}.",
                hint="Rename all but one.",
            )
        where = f"in {self._folder}" if self._folder else "without a folder of upscalers"
        raise UsageError(
            f"There is no upscaler {name!r}.",
            note=f"There are, {where}: {', '.join(self.names())}; for hires passes also "
            f"{', '.join(LATENT_UPSCALERS)}.",
            hint="Make one of an upscaler's file: sakuga build-upscaler FILE --out "
            f"{(self._folder or Path('upscalers')) / ('NAME' + SUFFIX)}",
        )

    def _paths(self) -> list[Path]:
        if self._folder is None:
            return []
        if not self._folder.is_dir():
            raise UsageError(
                f"There is no folder {self._folder}.",
                hint="Give the folder your upscalers lie in.",
            )
        return [path for path in sorted(self._folder.iterdir()) if is_upscaler(path)]


def _hash(path: Path) -> str:
    return str(raw_manifest(path).get("sha256", ""))[:10]


def _spellings(path: Path) -> set[str]:
    return {spelling(path.stem), spelling(str(raw_manifest(path).get("name", "")))}


def spelling(name: str) -> str:
    """What is the same in all spellings of a name: its letters and digits, without case, and a
    file's ending that was left on it."""
    bare = re.sub(r"\.(upscaler|pth|safetensors)$", "", name.strip(), flags=re.IGNORECASE)
    return re.sub(r"[\W_]+", "", bare).casefold()
