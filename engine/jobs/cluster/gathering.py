"""Pictures of a cluster to the disk of the machine that keeps the ledger."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from time import monotonic

from sakuga.engine.jobs.cluster.cluster import Cluster
from sakuga.engine.jobs.cluster.outcome import Unmade
from sakuga.engine.jobs.cluster.pictures import anchored
from sakuga.engine.jobs.outcome import Failed, Outcome, Task
from sakuga.engine.jobs.writer import Writer


class Gathering:
    """What `Conveyor` is for an engine: has tasks rendered, writes their pictures, and has `keep`
    told of every outcome before anybody else is.

    It does not listen to a `Stop`, so Ctrl-C and SIGTERM end it at once; what engines had begun is
    rendered again the next time.
    """

    def __init__(
        self, cluster: Cluster, writer: Writer, keep: Callable[[list[Outcome]], None]
    ) -> None:
        self._cluster, self._writer, self._keep = cluster, writer, keep
        self._before = monotonic()

    def run(self, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        """What becomes of the tasks, as it comes. Raises OSError, and as `Cluster.outcomes`."""
        requests = [anchored(task.job.request) for task in tasks]
        with closing(self._cluster.outcomes(requests)) as outcomes:
            for told in outcomes:
                task = tasks[told.index]
                outcome: Outcome
                if isinstance(told, Unmade):
                    outcome = Failed(task, told.error)
                else:
                    written = self._writer.write_file(task, told.picture)
                    outcome = replace(written, seconds=self._seconds())
                self._keep([outcome])
                yield outcome

    def _seconds(self) -> float:
        before, self._before = self._before, monotonic()
        return round(self._before - before, 3)
