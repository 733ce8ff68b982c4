"""A training run that can be stopped at any moment and goes on where it was."""

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

State = dict[str, Any]


@dataclass
class Run:
    """One stage's state file and log, in a folder. Saving is temp -> fsync -> rename."""

    folder: Path
    stage: str
    every_s: float = 120.0
    _saved: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> Path:
        return self.folder / f"{self.stage}.pt"

    def load(self) -> State | None:
        """What the last save held, None where the stage has not begun."""
        return torch.load(self.path, weights_only=True) if self.path.exists() else None

    def save(self, state: State) -> None:
        """Replace the saved state; a kill leaves the old one or the new one."""
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        self._saved = time.monotonic()

    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._saved > self.every_s

    def log(self, figures: Mapping[str, float]) -> None:
        """One line of JSON to the stage's log and to the screen."""
        line = json.dumps({"stage": self.stage, "time": round(time.time(), 1), **figures})
        with (self.folder / f"{self.stage}.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)


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
