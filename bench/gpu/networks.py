"""Where the networks come from: the one place that knows what can be had on this machine.

The plans of a bundle come first, then its graphs on ONNX Runtime's CUDA provider. Where neither can
run, networks in torch stand in for them. Every result says which it was, and why not better.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from gpu.site import Site
from gpu.stand_in_bundle import stand_in_bundle
from gpu.torch_models import Models, synthetic_models
from gpu.torch_session import TorchSession, compiled, torch_module
from sakuga.engine.backend.choose import has_cuda_provider
from sakuga.engine.backend.cuda.device import CudaDevice
from sakuga.engine.backend.cuda.driver import Driver, Stream
from sakuga.engine.backend.cuda.loading import Load, Loader, OnnxLoader, PlanLoader
from sakuga.engine.backend.cuda.opening import sizes_of
from sakuga.engine.backend.cuda.options import CudaOptions
from sakuga.engine.backend.cuda.session import DeviceSession
from sakuga.engine.backend.network import Networks
from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import PlanMismatchError, SakugaError
from sakuga.engine.plans import here, usable_plans
from sakuga.engine.upscaler_folder import UpscalerFolder
from sakuga.profiles.buckets import Sizes
from sakuga.profiles.families import Family
from sakuga.profiles.plan_shapes import ROWS_PER_PICTURE

Kind = Literal["eager", "compiled"]


@dataclass(frozen=True, eq=False)
class Chosen:
    """`name` is said in every result, with `instead_of`: why nothing better ran. `make_loader`
    gives a loader for one device. `rows` of the largest call, `sizes` None for all. `prepare` makes
    what a stand-in needs and plans do not."""

    name: str
    bundle: Bundle
    make_loader: Callable[[], Loader]
    rows: int
    sizes: Sizes | None = None
    instead_of: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[], object] = lambda: None

    @property
    def said(self) -> dict[str, Any]:
        """For the details of a result."""
        return {"networks": self.name, "instead_of": self.instead_of}

    def options(self, rows: int) -> CudaOptions:
        """Of a device with as many of these rows as the networks take."""
        return CudaOptions(min(rows, self.rows), self.sizes)

    def device(self, driver: Driver, options: CudaOptions) -> CudaDevice:
        """The engine's device on these networks."""
        return CudaDevice(driver, Networks.of(self.bundle), self.make_loader(), options)

    def engine(self, site: Site, options: CudaOptions) -> Engine:
        """The engine on these networks."""
        return Engine(self.bundle, lambda: self.device(site.make_driver(), options))


def choose(site: Site, kind: Kind = "eager", graphs: bool = True) -> Chosen:
    """The best there is; `kind` and `graphs`: of the stand-in."""
    instead_of: dict[str, str] = {}
    for name, find in (("plans", _plans), ("onnxruntime-gpu", _onnxruntime)):
        found = find(site)
        if isinstance(found, Chosen):
            return replace(found, instead_of=instead_of)
        instead_of[name] = found
    return stand_in(site, kind, graphs, instead_of)


def stand_in(
    site: Site, kind: Kind, graphs: bool = True, instead_of: dict[str, str] | None = None
) -> Chosen:
    """Networks in torch, with synthetic weights."""
    bundle = stand_in_bundle(site.family, site.work / "stand-in.sakuga")
    load = TorchLoader(site, kind, graphs)
    return Chosen(
        load.name,
        bundle,
        lambda: load,
        Networks.of(bundle).max_rows,
        instead_of=instead_of or {},
        prepare=lambda: models_of(site),
    )


class TorchLoader:
    """A `Loader` of the stand-ins."""

    def __init__(self, site: Site, kind: Kind, graphs: bool) -> None:
        self.name = f"torch, {kind}, a stand-in" + ("" if graphs else ", without CUDA graphs")
        self._site, self._kind, self._graphs = site, kind, graphs

    def __call__(self, name: str, stream: Stream) -> DeviceSession:
        """Its module shares the weights of all others."""
        device = self._site.device
        module = torch_module(models_of(self._site), name, device).eval()
        compiles = self._kind == "compiled" and self._site.compiles
        if compiles and not name.startswith("text_encoder"):
            module = compiled(module)
        return TorchSession(module, device, self._graphs)

    def upscaler(self, folder: UpscalerFolder) -> Load:
        """It stands in for none."""
        raise PlanMismatchError(f"{self.name} for no upscaler.")

    def close(self) -> None:
        """Nothing is under way."""


def models_of(site: Site) -> Models:
    """The synthetic weights as torch modules, made once a process."""
    return _models(site.family, site.device)


@cache
def _models(family: Family, device: str) -> Models:
    return synthetic_models(family, device)


def _plans(site: Site) -> Chosen | str:
    if site.bundle is None:
        return "no bundle was given"
    try:
        bundle = open_bundle(site.bundle)
        _, plans = usable_plans(bundle, here())
    except SakugaError as error:
        return str(error)
    return Chosen(
        f"{plans.backend} {plans.version}",
        bundle,
        lambda: PlanLoader(bundle, plans, frozenset()),
        ROWS_PER_PICTURE * plans.max_batch,
        sizes_of(bundle, plans),
    )


def _onnxruntime(site: Site) -> Chosen | str:
    if not has_cuda_provider():
        return "onnxruntime-gpu is not installed"
    if site.bundle is None:
        return "no bundle was given"
    try:
        bundle = open_bundle(site.bundle)
    except SakugaError as error:
        return str(error)
    load = OnnxLoader(bundle)
    return Chosen(load.name, bundle, lambda: load, Networks.of(bundle).max_rows)
