"""A training run that can be stopped at any moment and goes on where it was."""

import json
import math
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from sakuga.engine.errors import StoppedError, UsageError
from sakuga.export.demo.training.device import DEVICE

State = dict[str, Any]
STOP = threading.Event()  # set by Ctrl-C: the step under way is finished and saved


@dataclass
class Run:
    """One stage's state file and log, in a folder. Saving is temp -> fsync -> rename.

    `options` belong to the state: one of other options is refused rather than gone on from.
    """

    folder: Path
    stage: str
    options: Any  # the stage's dataclass
    every_s: float = 120.0
    _saved: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> Path:
        """The state file."""
        return self.folder / f"{self.stage}.pt"

    def load(self) -> State | None:
        """What the last save held, None where the stage has not begun.

        Raises UsageError for the state of a run with other options.
        """
        if not self.path.exists():
            return None
        state: State = torch.load(self.path, map_location=DEVICE, weights_only=True)
        if state.get("options") != self._described():
            raise UsageError(
                f"{self.path} belongs to a run with other options.",
                note=f"It has {state.get('options')}, asked for are {self._described()}.",
                hint="Give another --out, or the seed and the version the run began with.",
            )
        return state

    def save(self, state: State) -> None:
        """Replace the saved state; a kill leaves the old one or the new one.

        Raises StoppedError afterwards where Ctrl-C was pressed.
        """
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            torch.save({**state, "options": self._described()}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        self._saved = time.monotonic()
        if STOP.is_set():
            raise StoppedError(
                f"The training was stopped in the stage {self.stage}.",
                note=f"{self.path} holds all that was done.",
                hint="Run the same command again: it goes on from there.",
            )

    def due(self) -> bool:
        """Whether it is time to save again."""
        return STOP.is_set() or time.monotonic() - self._saved > self.every_s

    def log(self, figures: Mapping[str, float]) -> None:
        """One line of JSON to the stage's log and to the screen."""
        line = json.dumps({"stage": self.stage, "time": round(time.time(), 1), **figures})
        with (self.folder / f"{self.stage}.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def _described(self) -> str:
        return json.dumps(asdict(self.options), sort_keys=True)


class Average:
    """An exponential moving average of a module's parameters, warmed up over the first steps."""

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: torch.nn.Module, step: int) -> None:
        """Take in the parameters after optimiser step `step`, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in module.named_parameters():
            self.shadow[name].lerp_(parameter.detach(), 1 - decay)

    @torch.no_grad()
    def copy_to(self, module: torch.nn.Module) -> None:
        """Write the averages into a module of the same shape."""
        for name, parameter in module.named_parameters():
            parameter.copy_(self.shadow[name])


def cosine(step: int, steps: int, warm_up: int = 100) -> float:
    """Learning rate factor: linear warm-up, then half a cosine down to 2 %."""
    if step < warm_up:
        return (step + 1) / warm_up
    share = min((step - warm_up) / max(steps - warm_up, 1), 1.0)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))
