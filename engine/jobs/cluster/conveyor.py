"""Pictures from a cluster to the disk of whoever keeps the ledger."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from time import monotonic

from sakuga.engine.jobs.cluster.cluster import Cluster
from sakuga.engine.jobs.cluster.outcome import Unmade
from sakuga.engine.jobs.outcome import Failed, Outcome, Task, Written
from sakuga.engine.jobs.stop import Stop
from sakuga.engine.jobs.writer import Writer


@dataclass(frozen=True)
class ClusterConveyor:
    """Does on a cluster what `Conveyor` does here: `keep` is told of every outcome first."""

    cluster: Cluster
    writer: Writer
    keep: Callable[[list[Outcome]], None]
    stop: Stop

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """What becomes of the tasks, as it comes; fewer than were asked for where somebody asks to
        stop, which is seen with the next picture. Raises as `Cluster.outcomes`, and OSError."""
        wanted, before = list(tasks), monotonic()
        with closing(self.cluster.outcomes([task.job.request for task in wanted])) as came:
            for told in came:
                task = wanted[told.index]
                outcome: Outcome = (
                    Failed(task, told.error)
                    if isinstance(told, Unmade)
                    else self.writer.put(
                        task, told.data, told.seed, told.parameters, told.notes, str(told.size)
                    )
                )
                if isinstance(outcome, Written):
                    before, since = monotonic(), before
                    outcome = replace(outcome, seconds=round(before - since, 3))
                self.keep([outcome])
                yield outcome
                if self.stop.asked:
                    return
