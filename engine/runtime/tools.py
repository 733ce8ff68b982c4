"""Upscalers and detectors at hand: whether a stage has what it names, and which file that is."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sakuga.engine.errors import UsageError
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.upscalers import Upscalers
from sakuga.engine.runtime.later import latent_upscaled
from sakuga.engine.runtime.shelf import Shelf
from sakuga.engine.runtime.stages import Stage
from sakuga.profiles.families import Family


@dataclass(frozen=True)
class Tools:
    """Of one engine."""

    upscalers: Upscalers
    detectors: Shelf
    _hashes: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(
        cls,
        upscalers: Path | None,
        detectors: Path | None,
        family: Family,
        threads: int | None = None,
    ) -> "Tools":
        """Those of two folders; None for what needs none. `threads`: of a detector, None for all
        cores. Raises UsageError for a folder that is not there."""
        for folder in (upscalers, detectors):
            if folder is not None and not folder.is_dir():
                raise UsageError(
                    f"There is no folder {folder}.", hint="Give the folder they lie in, or none."
                )
        return cls(Upscalers(upscalers), Shelf(detectors, family, threads))

    def check(self, stage: Stage) -> None:
        """Raise UsageError where what the stage names is not here, without opening anything."""
        if isinstance(stage, Detail):
            self.detectors.check(stage.model)
        elif not latent_upscaled(stage):
            self.upscalers.check(stage.upscaler)

    def hashes(self, stages: Iterable[Stage]) -> dict[str, str]:
        """The first ten hex digits of the SHA-256 of each file that stages name, by that name.

        Each file is read once. What needs no file is left out. Raises UsageError.
        """
        named = {_name(stage): stage for stage in stages if not latent_upscaled(stage)}
        for name, stage in named.items():
            if name not in self._hashes:
                self._hashes[name] = self._hash(stage)
        return {name: self._hashes[name] for name in named if self._hashes[name]}

    def _hash(self, stage: Stage) -> str:
        if isinstance(stage, Detail):
            return self.detectors.hash(stage.model)
        return self.upscalers.hash(stage.upscaler)


def _name(stage: Stage) -> str:
    return stage.model if isinstance(stage, Detail) else stage.upscaler
