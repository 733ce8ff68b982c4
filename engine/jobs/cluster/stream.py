"""Batches into Ray Data, outcomes out of it: as they come, with few under way at once."""

import pickle
from collections.abc import Generator, Sequence
from contextlib import closing

from sakuga.engine.jobs.cluster.actor import Beginnings, EngineActor, Task
from sakuga.engine.jobs.cluster.connection import ray_library
from sakuga.engine.jobs.cluster.order import Order
from sakuga.engine.jobs.cluster.outcome import Told
from sakuga.engine.jobs.cluster.slots import Slots

_SILENCE_S = 7200.0  # without any outcome: no engine is left, and none comes back


def streamed(
    batches: Sequence[Sequence[Task]], order: Order, slots: Slots, at_once: int
) -> Generator[Told, None, None]:
    """What becomes of the batches on one engine in each slot, with `at_once` batches of each.

    Engines are open while this is iterated; closing it ends them. Raises what Ray raises.
    """
    ray = ray_library()
    rows = [{"batch": n, "tasks": pickle.dumps(tasks)} for n, tasks in enumerate(batches)]
    engines = min(slots.count, len(rows))
    at_once = min(at_once, -(-len(rows) // engines))  # or the first engine open has them all
    pool = ray.data.ActorPoolStrategy(
        size=engines,
        max_tasks_in_flight_per_actor=at_once,
        max_concurrent_calls_per_actor=at_once,
        enable_true_multi_threading=True,
    )
    beginnings = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Beginnings).remote()
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        EngineActor,
        fn_constructor_args=(order, beginnings),
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=slots.cpus,
        num_gpus=slots.gpus or None,
        compute=pool,
    )
    dataset.context.enable_progress_bars = False
    dataset.context.print_on_execution_start = False
    dataset.context.execution_no_progress_timeout_s = _SILENCE_S
    tables = dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    with closing(iter(tables)) as came:
        for table in came:
            for told in table.column("told").to_pylist():
                yield pickle.loads(told)
