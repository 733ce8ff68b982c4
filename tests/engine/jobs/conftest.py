"""An engine without networks, for what happens to pictures once they are made."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.image.infotext import Infotext, write_infotext
from sakuga.engine.jobs.batch import Batch
from sakuga.engine.jobs.enlist import BatchOptions
from sakuga.engine.jobs.folder import claimed
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.outcome import Outcome
from sakuga.engine.jobs.stop import Stop
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.ticket import Progress
from sakuga.profiles.buckets import Size


class Promise:
    """A picture that a thread makes."""

    def __init__(self, future: "Future[Picture]") -> None:
        self._future = future

    @property
    def done(self) -> bool:
        return self._future.done()

    def result(self, timeout: float | None = None) -> Picture:
        return self._future.result(timeout)

    def cancel(self) -> bool:
        return self._future.cancel()

    def progress(self) -> Progress:
        return Progress(int(self._future.running()), 1)

    def add_done_callback(self, work: Callable[["Promise"], None]) -> None:
        self._future.add_done_callback(lambda _: work(self))


@dataclass
class Painter:
    """Stands for an `Engine`: small pictures that depend on prompt and seed alone.

    `trouble`: raised in the place of a picture, by prompt. `made`: seeds in the order they were
    rendered. `appetite`: as an engine's.
    """

    bundle: Bundle
    appetite: int = 4
    backend: str = "painter"
    preset: None = None
    embeddings: dict[str, str] = field(default_factory=dict)
    trouble: dict[str, Exception] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)
    before: Callable[[Request], None] | None = None
    side: int = 16

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)

    def resolve(self, request: Request) -> object:
        return type("Settings", (), {"size": Size(self.side, self.side)})

    def submit(self, request: Request) -> Promise:
        return Promise(self._pool.submit(self._paint, request))

    def close(self) -> None:
        self._pool.shutdown()

    def _paint(self, request: Request) -> Picture:
        if self.before is not None:
            self.before(request)
        if request.prompt in self.trouble:
            raise self.trouble[request.prompt]
        assert request.seed is not None
        self.made.append(request.seed)
        shape = (self.side, self.side, 3)
        pixels = np.random.default_rng(request.seed).integers(0, 256, shape, np.uint8)
        info = Infotext(
            prompt=request.prompt,
            steps=1,
            sampler="Euler a",
            guidance=7,
            seed=request.seed,
            size=Size(self.side, self.side),
            extra=_hashes(request),
        )
        return Picture(pixels, write_infotext(info), 0, request.seed)


def _hashes(request: Request) -> dict[str, str]:
    """As the settings of a picture tell what it began from."""
    init = request.init
    if init is None:
        return {}
    mask = {"Mask hash": init.mask.picture.digest[:10]} if init.mask else {}
    return {"Init image hash": init.picture.digest[:10]} | mask


@dataclass
class Rendering:
    """Renders jobs into a folder as the command line does, with one painter."""

    painter: Painter
    out: Path
    source: str

    def jobs(self, *prompts: str, **fields: Any) -> list[Job]:  # noqa: ANN401 (a request's)
        """One for each prompt, called a, b, c and so on."""
        return [
            Job(chr(ord("a") + i), Request(prompt, **fields), self.source, i + 1)
            for i, prompt in enumerate(prompts)
        ]

    def __call__(
        self,
        jobs: Sequence[Job],
        stop: Stop | None = None,
        **options: Any,  # noqa: ANN401 (those of a batch)
    ) -> list[Outcome]:
        return self.batch(jobs, stop, **options)[0]

    def batch(
        self,
        jobs: Sequence[Job],
        stop: Stop | None = None,
        **options: Any,  # noqa: ANN401 (those of a batch)
    ) -> tuple[list[Outcome], Batch]:
        """What comes of the jobs, and the batch they were."""
        engine: Any = self.painter
        with claimed(self.out) as ledger:
            batch = Batch(engine, jobs, self.out, ledger, BatchOptions(**options), "the command")
            outcomes = list(batch.run(stop))
            batch.write_views()
            return outcomes, batch

    @property
    def pictures(self) -> dict[str, bytes]:
        """The files of the folder, without the private ones."""
        return {path.name: path.read_bytes() for path in self.out.iterdir() if path.is_file()}


@pytest.fixture
def render(sdxl_bundle: Bundle, tmp_path: Path) -> Iterator[Rendering]:
    """`render(render.jobs("1girl", "1boy"))`: into `render.out`, with a ledger."""
    painter = Painter(sdxl_bundle)
    yield Rendering(painter, tmp_path / "out", str(tmp_path / "jobs.jsonl"))
    painter.close()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is such a place: some tests wait for thousands of fsyncs."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if os.access(place, os.W_OK) else None) as name:
        yield Path(name)
