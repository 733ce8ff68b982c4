"""What a run comes to in numbers."""

from dataclasses import dataclass

import numpy as np

from serving.clock import Run


@dataclass(frozen=True)
class Summary:
    """Seconds, but for the rates. `waited_most`: of the time until a first step. `starved`: the
    largest latency of the lowest priority."""

    mean: float
    p50: float
    p99: float
    waited_most: float
    starved: float
    pictures_per_second: float
    rows_per_step: float


def summary(run: Run) -> Summary:
    """Of all pictures, from the first arrival to the last picture."""
    latencies = np.array([each.latency_s for each in run.served])
    lowest = min(each.arrival.priority for each in run.served)
    span = max(each.done_s for each in run.served) - run.served[0].arrival.at_s
    return Summary(
        mean=float(latencies.mean()),
        p50=float(np.quantile(latencies, 0.5)),
        p99=float(np.quantile(latencies, 0.99)),
        waited_most=max(each.waited_s for each in run.served),
        starved=max(each.latency_s for each in run.served if each.arrival.priority == lowest),
        pictures_per_second=len(run.served) / span,
        rows_per_step=run.rows / run.steps,
    )
