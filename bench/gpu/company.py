"""Does a picture's company change its bits? With calls of full rows, which promise that it does
not, and with those of captured row counts, which promise nothing.

One picture alone, then in every place among others that come and go beside it.
"""

from dataclasses import replace

from common import Figure

from gpu.networks import choose
from gpu.pictures import setting_of
from gpu.site import Found, Site
from sakuga.engine.backend.cuda.calls import Padding
from sakuga.engine.runtime.request import Request

_ROWS = 8
_PROMISED = 100.0
_PADDINGS: tuple[tuple[Padding, float | None], ...] = (("full", _PROMISED), ("captured", None))


def measure(site: Site) -> Found:
    """Per cent of the pictures that are equal to the bit to the one made alone."""
    figures, details = [], {}
    for padding, bar in _PADDINGS:
        equal = details[padding] = _equal(site, padding)
        share = 100 * sum(equal) / len(equal)
        what = f"pictures whose bits are the same in company, padding {padding}"
        figures.append(Figure(what, share, "%", bar, "at least", f"of {len(equal)}"))
    return Found(figures, choose(site).said | {"equal": details})


def _equal(site: Site, padding: Padding) -> list[bool]:
    chosen, setting = choose(site), setting_of(site, "portrait")
    (needle,) = setting.requests(1)
    options = replace(chosen.options(_ROWS), padding=padding)
    with chosen.engine(site, options) as engine:
        alone = engine.render(needle).pixels
    found = []
    with chosen.engine(site, options) as engine:
        for place in range(_ROWS // 2):
            others = [_shorter(one, at) for at, one in enumerate(setting.requests(_ROWS // 2 - 1))]
            requests = [*others[:place], needle, *others[place:]]
            pictures = {picture.index: picture for picture in engine.render_many(requests)}
            found.append(bool((pictures[place].pixels == alone).all()))
    return found


def _shorter(request: Request, at: int) -> Request:
    """With fewer steps and, for every second one, without guidance, so that calls differ."""
    steps = max((request.steps or 1) - 3 * at, 1)
    return replace(request, steps=steps, guidance=1.0 if at % 2 else request.guidance)
