"""Which order of service is best? A simulation: modelled times, no measurement of any machine.

    python bench/policies.py [--pictures 1000] [--runs 3] [--load FILE] [--rows 2 4 8 16]

The engine's own batcher on a virtual clock, with every policy and row cap, beside one request at a
time and fixed batches. A step takes 6 ms and 9 ms for each row of 1024x1024, a VAE 25 ms; these are
assumptions to be replaced by what a GPU shows. Loads: Poisson arrivals from half of capacity to
more than all, nine sizes, 8, 28 and 50 steps, guidance on and off, two priorities; a recorded load
(`serving/example.jsonl` is made up; `serving/recorded.py` says how an engine records one); and
pictures that are all there at once. Capacity is what full calls of the most rows could make.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path

from common import Figure, cores, report
from serving.contenders import FIXED, ONE_BY_ONE, Contender, Load, contenders, tried
from serving.cost import Cost
from serving.load import ALL_MIXED, SIZES_MIXED, pictures, poisson
from serving.recorded import read_load
from serving.summary import Summary

EXAMPLE = Path(__file__).parent / "serving" / "example.jsonl"
RATES = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1)
CAPS = (2, 4, 8, 16)
AHEAD = 12  # pictures for each row that `render_many` hands in
SHOWN_RATE, SHOWN_ROWS = 0.8, 8  # what the figures at the end are of
SAMPLE = 20_000  # pictures from which capacity is reckoned

Result = tuple[Load, Contender, Summary]


def loads(options: argparse.Namespace, cost: Cost) -> Iterator[Load]:
    """The loads to serve."""
    count, seeds = options.pictures, range(options.runs)
    capacity = cost.capacity(pictures(ALL_MIXED, SAMPLE, 0), max(options.rows))
    for share in options.rates:
        rate = share * capacity
        runs = tuple(tuple(poisson(ALL_MIXED, rate, count, seed)) for seed in seeds)
        yield Load(f"mixed, {share:.1f} of capacity", runs, rate=rate)
    yield Load(f"recorded, {options.load.name}", (tuple(read_load(options.load)),))
    runs = tuple(tuple(pictures(SIZES_MIXED, count, seed)) for seed in seeds)
    yield Load("28 steps, all at once", runs, at_once=AHEAD)


def _tried(cost: Cost, window_s: float, pair: tuple[Load, Contender]) -> Summary:
    load, contender = pair
    return tried(contender, load, cost, window_s)


def simulated(
    wanted: Sequence[Load], caps: Sequence[int], cost: Cost, window: float
) -> Iterator[Result]:
    """Everyone with every load, on all cores."""
    pairs = list(product(wanted, contenders(caps)))
    with ProcessPoolExecutor(cores()) as pool:
        found = pool.map(partial(_tried, cost, window), pairs, chunksize=2)
        for (load, contender), each in zip(pairs, found, strict=True):
            yield load, contender, each


def show(load: Load, results: Sequence[Result]) -> None:
    """A load's table."""
    rate = f", {load.rate:.2f} pictures/s" if load.rate else ""
    print(f"\n{load.name}{rate}: {len(load.runs)} x {len(load.runs[0])} pictures")
    print(f"{'':22} rows   mean    p50    p99  waited  starved  pictures/s  rows a step")
    for _, contender, found in results:
        print(
            f"{contender.name:22} {contender.rows:4} {found.mean:6.2f} {found.p50:6.2f} "
            f"{found.p99:6.1f} {found.waited_most:7.1f} {found.starved:8.1f} "
            f"{found.pictures_per_second:11.3f} {found.rows_per_step:12.2f}"
        )


def figures(results: Sequence[Result]) -> Iterator[Figure]:
    """The few to look at: with one row cap, at one rate and for pictures that are all there."""
    for load, contender, found in results:
        if contender.rows != SHOWN_ROWS and contender.name != ONE_BY_ONE:
            continue
        if load.at_once is not None:
            yield Figure(f"{load.name}, {contender.name}", found.pictures_per_second, "pictures/s",
                         beside=f"modelled, {contender.rows} rows")  # fmt: skip
        elif load.name.startswith(f"mixed, {SHOWN_RATE} "):
            yield Figure(f"{load.name}, {contender.name}, mean latency", found.mean, "s",
                         beside=f"modelled, {contender.rows} rows; p50 {found.p50:.2f} s, "
                         f"p99 {found.p99:.1f} s")  # fmt: skip


def parsed() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=1000, help="of a run")
    parser.add_argument("--runs", type=int, default=3, help="of a load, each with its own seed")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="shares of capacity")
    parser.add_argument("--load", type=Path, default=EXAMPLE, help="a recorded load")
    parser.add_argument("--rows", type=int, nargs="+", default=CAPS, help="of one call")
    parser.add_argument("--fixed-ms", type=float, default=6, help="of a step")
    parser.add_argument("--row-ms", type=float, default=9, help="of a row, 1024x1024")
    parser.add_argument("--decode-ms", type=float, default=25, help="of a picture, 1024x1024")
    parser.add_argument("--window-ms", type=float, default=50, help=f"of {FIXED}")
    return parser.parse_args()


def main() -> None:
    """Serve all loads, print all tables."""
    options = parsed()
    cost = Cost(options.fixed_ms / 1e3, options.row_ms / 1e3, options.decode_ms / 1e3)
    print(f"A simulation. Modelled: a step {options.fixed_ms:g} ms + {options.row_ms:g} ms x rows "
          f"x area, a VAE {options.decode_ms:g} ms x area, area 1 for 1024x1024.")  # fmt: skip
    results = list[Result]()
    for load in loads(options, cost):
        found = list(simulated([load], options.rows, cost, options.window_ms / 1e3))
        show(load, found)
        results += found
    rows = [
        {"load": load.name, "rate": load.rate, **asdict(contender), **asdict(found)}
        for load, contender, found in results
    ]
    model = {"modelled": True, "cost_s": asdict(cost), "window_s": options.window_ms / 1e3}
    report("policies", list(figures(results)), {**model, "results": rows})


if __name__ == "__main__":
    main()
