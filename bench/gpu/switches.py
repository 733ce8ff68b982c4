"""What is each optimisation worth? Each off in turn, on the same pictures.

Pictures of 21 to 28 steps, so that they come and go and calls of all numbers of rows are needed.
Fusion has no switch: the step is one kernel, and no other form of it exists.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from common import Figure

from gpu.networks import choose
from gpu.pictures import Setting, render, timed
from gpu.site import Found, Site
from sakuga.engine.backend.cuda.calls import Padding
from sakuga.engine.runtime.request import Request

_ROWS = 16
_SPREAD = 8


@dataclass(frozen=True)
class Switches:
    """What is on."""

    graphs: bool = True
    overlap: bool = True
    padding: Padding = "captured"


def measure(site: Site) -> Found:
    """Pictures a second with everything on, before and after; and with one thing off."""
    runs = {
        "all on": Switches(),
        "no CUDA graphs": Switches(graphs=False),
        "no decoding beside the steps": Switches(overlap=False),
        "every call of full rows": Switches(padding="full"),
        "no padding of calls": Switches(padding="none"),
        "all on, again": Switches(),
    }
    rates: dict[str, dict[str, float]] = {}
    for name, switches in runs.items():
        rates[name] = _rates(site, switches)
        print(name, rates[name], flush=True)
    figures = [
        Figure(f"{name}, {what}", value, unit, beside=_against(value, rates["all on"][what]))
        for name, row in rates.items()
        for what, unit, value in (
            ("many", "pictures/s", row["many"]),
            ("one", "pictures/s", row["one"]),
        )
    ]
    details: dict[str, Any] = {"rates": rates}
    return Found(figures, choose(site).said | details)


def _rates(site: Site, switches: Switches) -> dict[str, float]:
    """Of many pictures, and of one at a time; each after the same once to warm up."""
    chosen = choose(site, graphs=switches.graphs)
    options = replace(chosen.options(_ROWS), **asdict(switches))
    with chosen.engine(site, options) as engine:
        render(engine, _requests(site, site.scale.pictures))
        many = timed(lambda: render(engine, _requests(site, site.scale.pictures)))
        engine.render(_requests(site, 1)[0])
        few = max(site.scale.pictures // 8, 1)
        one = timed(lambda: [engine.render(each) for each in _requests(site, few)])
    return {"many": site.scale.pictures / many, "one": few / one}


def _requests(site: Site, number: int) -> list[Request]:
    steps = site.scale.steps
    setting = Setting("", site.slot_size, steps, "euler_a", 7.0)
    return [
        replace(request, steps=max(steps - index % _SPREAD, 1))
        for index, request in enumerate(setting.requests(number))
    ]


def _against(value: float, whole: float) -> str:
    return f"{100 * value / whole:.1f} % of all on"
