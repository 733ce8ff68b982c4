"""The parts by name, in the order they are run; each is loaded when it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from gpu.site import Found, Site


@dataclass(frozen=True)
class Part:
    """Which module measures it, with what besides the site; and what it is, for `--list`."""

    module: str
    words: str
    given: tuple[str, ...] = ()

    def measure(self, site: Site) -> Found:
        """Run it."""
        run: Callable[..., Found] = import_module(f"gpu.{self.module}").measure
        return run(site, *self.given)


_AGAINST = "latency and throughput beside diffusers"
PARTS = {
    "ceilings": Part("ceilings", "bytes a second of a copy, TFLOP/s of a product"),
    "kernels": Part("kernels", "each of our kernels beside a copy of as many bytes"),
    "launches": Part("launches", "launches and waits of a step, counted"),
    "outside": Part("outside", "what a step takes beside its network"),
    "vae": Part("vae", "milliseconds of decoding a picture"),
    "unet": Part("unet", "step time at 1 to 16 rows of every bucket", ("eager",)),
    "pictures-square": Part("pictures", f"{_AGAINST}, 1024x1024", ("eager", "square")),
    "pictures-portrait": Part("pictures", f"{_AGAINST}, 832x1216", ("eager", "portrait")),
    "pictures-mlperf": Part("pictures", f"{_AGAINST}, MLPerf's setting", ("eager", "mlperf")),
    "unet-compiled": Part("unet", "step time through torch.compile, few shapes", ("compiled",)),
    "pictures-compiled": Part("pictures", f"{_AGAINST}, compiled", ("compiled", "square")),
    "switches": Part("switches", "each optimisation off in turn"),
    "company": Part("company", "whether neighbours change a picture's bits"),
    "startup": Part("startup", "seconds to an open engine and to its first pictures"),
    "rtx": Part("rtx", "whether TensorRT for RTX runs on this GPU"),
}
