"""Where to render, and with whose defaults, as the command line says it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sakuga.engine.engine import Engine


@dataclass(frozen=True)
class Place:
    """The options that `Engine.open` takes."""

    backend: str | None = None
    preset: str | None = None
    threads: int | None = None
    vram_bytes: int | None = None
    embeddings: Path | None = None

    @contextmanager
    def open(self, bundle: Path) -> Iterator["Engine"]:
        """The bundle's engine for the block. Raises as `Engine.open`."""
        from sakuga.engine.engine import Engine

        with Engine.open(
            bundle,
            backend=self.backend,
            preset=self.preset,
            threads=self.threads,
            vram_bytes=self.vram_bytes,
            embeddings=self.embeddings,
        ) as engine:
            if engine.residency:
                click.echo(f"GPU memory: {engine.residency}.", err=True)
            yield engine
