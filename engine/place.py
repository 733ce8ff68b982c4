"""Where to render, and with whose defaults, as the command line says it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sakuga.engine.engine import Engine
    from sakuga.engine.image.formats import Options
    from sakuga.engine.jobs.cluster.cluster import Cluster


@dataclass(frozen=True)
class Place:
    """The options that `Engine.open` takes. `ray`: the address of a cluster to do it on."""

    backend: str | None = None
    preset: str | None = None
    threads: int | None = None
    vram_bytes: int | None = None
    embeddings: Path | None = None
    upscalers: Path | None = None
    detectors: Path | None = None
    ray: str | None = None

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
            upscalers=self.upscalers,
            detectors=self.detectors,
        ) as engine:
            if engine.residency:
                click.echo(f"GPU memory: {engine.residency}.", err=True)
            yield engine

    @contextmanager
    def open_cluster(self, bundle: Path, encoding: "Options") -> Iterator["Cluster"]:
        """The cluster, with engines of the bundle, for the block. Raises as `opened_cluster`.

        What Ray prints meanwhile goes to stderr, for stdout says which pictures are done.
        """
        from sakuga.engine.jobs.cluster.cluster import opened_cluster
        from sakuga.engine.jobs.cluster.order import EngineOptions

        assert self.ray is not None
        options = EngineOptions(
            self.backend,
            self.preset,
            self.threads,
            self.vram_bytes,
            self.embeddings,
            self.upscalers,
            self.detectors,
            encoding,
        )
        with (
            redirect_stdout(sys.stderr),
            opened_cluster(bundle, self.ray, options, _tell) as cluster,
        ):
            yield cluster


def _tell(text: str) -> None:
    click.echo(text, err=True)
