"""A job file's pictures in a folder, whatever happens on the way."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sakuga.engine.engine import Engine
from sakuga.engine.errors import EngineFault, SakugaError, StoppedError
from sakuga.engine.jobs.bundle_watch import bundle_watch
from sakuga.engine.jobs.cluster.cluster import Cluster
from sakuga.engine.jobs.cluster.gathering import Gathering
from sakuga.engine.jobs.conveyor import Conveyor
from sakuga.engine.jobs.enlist import BatchOptions, enlist
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.ledger import Ledger
from sakuga.engine.jobs.outcome import Failed, Outcome
from sakuga.engine.jobs.records import Count, counts, failures
from sakuga.engine.jobs.shards import write_shards
from sakuga.engine.jobs.stop import Stop
from sakuga.engine.jobs.views import write_page, write_views
from sakuga.engine.jobs.writer import Writer

_SHOWN = 3  # failures


class Batch:
    """The jobs of a file on their way into a folder whose ledger this process has claimed.

    `total` jobs: `done` of them are on the disk, `failed` could not be made, now or before; both
    grow. `notes`: what there is to say before it begins.
    """

    def __init__(
        self,
        engine: Engine,
        jobs: Sequence[Job],
        out: Path,
        ledger: Ledger,
        options: BatchOptions,
        command: str = "",
        cluster: Cluster | None = None,
    ) -> None:
        """Enter the jobs. `command`: what a person would type to go on, for `--status` to tell.
        `cluster`: what renders them, `engine` being its own; None where that does itself.

        Raises as `enlist`, and StoppedError where the disk does not take it.
        """
        self.out, self.total = out, len(jobs)
        self._counted = False
        self._engine, self._ledger, self._cluster = engine, ledger, cluster
        self._writer = Writer(out, options.format, bundle_watch(engine.bundle))
        with self._disk():
            enlisted = enlist(engine, jobs, out, ledger, options)
            source = str(Path(jobs[0].source).resolve())
            self._number = ledger.begin_run(source, command)
        self._tasks, self.notes, self._inputs = enlisted.tasks, enlisted.notes, enlisted.inputs
        self.done, self.failed, self._counted = enlisted.done, enlisted.failed, True

    @property
    def waiting(self) -> int:
        """How many are neither done nor have failed."""
        return self.total - self.done - self.failed

    @property
    def counts(self) -> list[Count]:
        """Jobs by size and state."""
        return counts(self._ledger.connection)

    @property
    def failures(self) -> list[str]:
        """The first jobs that failed, a line each."""
        found = failures(self._ledger.connection, _SHOWN)
        return [f"Line {each.line} ({each.id}): {each.error}" for each in found]

    def run(
        self, stop: Stop | None = None, look: Callable[[float], None] | None = None
    ) -> Generator[Outcome, None, None]:
        """Render what waits; each outcome is told once it is safe, the ledger's row with it. Close
        it before the ledger.

        `look`: told now and then how far the pictures on the device are, as the sum of their
        shares. Raises StoppedError where not all was done because somebody asked `stop`, or a disk
        or the GPU failed; BundleError where the bundle was replaced.
        """
        stop, fate = stop or Stop(), "interrupted"
        try:
            with self._disk():
                yield from self._rendered(stop, look)
            if self.waiting:
                raise self._stopped("Stopped as asked.")
            fate = "finished"
        except SakugaError as error:
            fate = error.what
            raise
        finally:
            with suppress(OSError):  # that it ended is all the ledger would say
                self._ledger.end_run(self._number, fate)

    def _rendered(self, stop: Stop, look: Callable[[float], None] | None) -> Iterator[Outcome]:
        if self._cluster is not None:
            return Gathering(self._cluster, self._writer, self._keep).run(self._tasks)
        return Conveyor(self._engine, self._writer.write, self._keep, stop, look).run(self._tasks)

    def write_views(self) -> list[Path]:
        """The contact sheet and the page of all pictures, where there are two; their paths.

        While jobs wait only the page, which takes no time. Raises StoppedError.
        """
        with self._disk():
            if not self.waiting:
                return write_views(self.out, self._ledger)
            return [write_page(self.out, self._ledger)] if self.done > 1 else []

    def write_shards(self, most_bytes: int) -> list[Path]:
        """Pack what is done into tar files once nothing waits; see `shards`. Raises as that does,
        and StoppedError."""
        with self._disk():
            return write_shards(self.out, self._ledger, most_bytes)

    def _keep(self, outcomes: list[Outcome]) -> None:
        self._ledger.keep(outcomes, self._inputs.notes(outcomes))
        failed = sum(isinstance(outcome, Failed) for outcome in outcomes)
        self.failed += failed
        self.done += len(outcomes) - failed

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """What the disk or the GPU does to the block, as people are told."""
        try:
            yield
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            what = f"Stopped: {error.strerror or error}{where}."
            raise self._stopped(what, hint="Once the disk and the folder are well, t") from error
        except EngineFault as fault:
            raise self._stopped(fault.what, fault.note, f"{fault.hint} T".lstrip()) from fault

    def _stopped(self, what: str, note: str = "", hint: str = "T") -> StoppedError:
        done = "What was done before is whole."
        if self._counted:
            done = f"{self.done:,} of {self.total:,} pictures are done, and whole."
        return StoppedError(
            what,
            note=f"{note} {done}".strip(),
            hint=f"{hint}he same command goes on behind them.",
        )
