"""Does TensorRT for RTX run on this GPU? Its papers leave out data-centre chips.

The demo model's plans are built with no compute capability named, for the GPU at hand, and each is
run once against its graph. Whatever comes of it is the finding.
"""

from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any

from common import Figure

from gpu.site import Found, Site
from sakuga.engine.errors import SakugaError
from sakuga.export.build import BuildOptions, build
from sakuga.export.plans.flavour import CURRENT


def measure(site: Site) -> Found:
    """1 where every plan was built and ran, 0 where one did not; none where nothing was tried."""
    try:
        details: dict[str, Any] = {"tensorrt_rtx": version("tensorrt-rtx")}
    except PackageNotFoundError:
        return Found([], {"finding": "not tried: tensorrt-rtx is not installed"})
    start = perf_counter()
    try:
        build("demo", site.work / "rtx.sakuga", BuildOptions(backend="rtx", gpu=CURRENT))
    except SakugaError as error:
        runs, details["finding"] = 0, f"{type(error).__name__}: {error}"
    else:
        runs, details["finding"] = 1, "all plans of the demo model were built and ran"
    seconds = perf_counter() - start
    figure = Figure("TensorRT for RTX runs", runs, "", beside=f"after {seconds:.0f} s")
    return Found([figure], details)
