"""How fast is a picture, how many a second? Sakuga and diffusers, same weights, same process.

28 steps of Euler a with guidance 7 at 1024x1024 or 832x1216, from prompts never seen to bytes of
pixels; or MLPerf's setting: 20 steps of Euler, guidance 8, 1024x1024. Latencies take turns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median
from time import perf_counter
from typing import Literal

from common import Figure

from gpu.ceilings import peak_tflops
from gpu.networks import Chosen, Kind, choose, models_of
from gpu.rival import Render, rival
from gpu.site import Found, Site
from gpu.work import picture_tflop
from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request
from sakuga.profiles.buckets import Size

BAR_SECONDS, BAR_RATE = 0.80, 2.0
BAR_TIMES = {"eager": 3.0, "compiled": 1.5}
_WARM = 2
_seeds = count()  # no prompt is encoded twice


@dataclass(frozen=True)
class Setting:
    """What is rendered."""

    name: str
    size: Size
    steps: int
    sampler: Literal["euler_a", "euler"]
    guidance: float

    def requests(self, number: int) -> list[Request]:
        """Pictures nobody rendered before."""
        return [
            Request(f"1girl, green hair, outdoors, night, number {seed}", f"lowres, number {seed}",
                    self.size.width, self.size.height, self.steps, self.guidance, self.sampler,
                    seed, "diffusers")
            for seed in (next(_seeds) for _ in range(number))
        ]  # fmt: skip


def setting_of(site: Site, name: str) -> Setting:
    """`square`, `portrait` or `mlperf`."""
    steps = site.scale.steps
    return {
        "square": Setting(f"{steps} steps", site.square, steps, "euler_a", 7.0),
        "portrait": Setting(f"{steps} steps", site.slot_size, steps, "euler_a", 7.0),
        "mlperf": Setting("MLPerf's setting", site.square, min(20, steps), "euler", 8.0),
    }[name]


def measure(site: Site, kind: Kind, name: str) -> Found:
    """One setting; both with torch's own kernels, or both through torch.compile."""
    chosen, setting, scale = choose(site, kind), setting_of(site, name), site.scale
    theirs = rival(models_of(site), kind == "compiled" and site.compiles)
    driver = site.make_driver()
    peak = peak_tflops(site, driver, driver.create_stream())
    driver.close()
    latency = _latencies(site, chosen, theirs, setting)
    print(latency, flush=True)
    rates = {
        "sakuga": {n: _rate(site, chosen, setting, n) for n in scale.engine_rows},
        "diffusers": {n: _rival_rate(site, theirs, setting, n) for n in scale.rival_pictures},
    }
    details = {"seconds": latency, "pictures_per_s": rates, "product_tflops": peak}
    return Found(_figures(site, setting, kind, latency, rates, peak), chosen.said | details)


def _latencies(
    site: Site, chosen: Chosen, theirs: Render, setting: Setting
) -> dict[str, list[float]]:
    """Seconds of one picture at a time."""
    found: dict[str, list[float]] = {"sakuga": [], "diffusers": []}
    with chosen.engine(site, chosen.options(rows=2)) as engine:
        for number in range(_WARM + site.scale.latencies):
            ours = timed(lambda: engine.render(setting.requests(1)[0]))
            other = timed(lambda: theirs(setting.requests(1)))
            if number >= _WARM:
                found["sakuga"].append(ours)
                found["diffusers"].append(other)
    return found


def _rate(site: Site, chosen: Chosen, setting: Setting, rows: int) -> float:
    """Pictures a second where many wait, after as many as fill one call."""
    with chosen.engine(site, chosen.options(rows)) as engine:
        render(engine, setting.requests(rows // 2))
        number = max(site.scale.pictures, rows)
        return number / timed(lambda: render(engine, setting.requests(number)))


def _rival_rate(site: Site, theirs: Render, setting: Setting, each: int) -> float:
    """The same of the pipeline, `each` pictures to a call."""
    theirs(setting.requests(each))
    calls = max(site.scale.pictures // each // 2, 1)
    return calls * each / timed(lambda: [theirs(setting.requests(each)) for _ in range(calls)])


def _figures(
    site: Site,
    setting: Setting,
    kind: Kind,
    latency: dict[str, list[float]],
    rates: dict[str, dict[int, float]],
    peak: float,
) -> list[Figure]:
    where = f"{setting.name}, {setting.size}"
    barred = setting.sampler == "euler_a"
    seconds, other = (median(latency[name]) for name in ("sakuga", "diffusers"))
    (rows, rate), (each, other_rate) = (
        max(of.items(), key=lambda r: r[1]) for of in rates.values()
    )
    tflop = picture_tflop(site.family, setting.size, setting.steps)
    floor = "" if tflop is None else f"floor {tflop / peak:.2f} s"
    times = BAR_TIMES[kind] if barred else None
    return [
        Figure(f"one picture, {where}", seconds, "s", BAR_SECONDS if barred else None,
               beside=floor),
        Figure(f"pictures a second, {where}", rate, "/s", BAR_RATE if barred else None, "at least",
               f"{rows} rows"),
        Figure(f"diffusers {kind}, one picture, {where}", other, "s"),
        Figure(f"diffusers {kind}, pictures a second, {where}", other_rate, "/s",
               beside=f"{each} in a call"),
        Figure(f"times diffusers {kind}, one picture, {where}", other / seconds, "times", times,
               "at least"),
        Figure(f"times diffusers {kind}, pictures a second, {where}", rate / other_rate, "times",
               times, "at least"),
    ]  # fmt: skip


def render(engine: Engine, requests: Sequence[Request]) -> int:
    """Render all; how many came."""
    return sum(1 for _ in engine.render_many(requests))


def timed(work: Callable[[], object]) -> float:
    """Seconds the work takes."""
    start = perf_counter()
    work()
    return perf_counter() - start
