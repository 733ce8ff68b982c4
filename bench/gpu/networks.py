"""Where the networks come from: the one place that knows what can be had on this machine.

The engine's own, on TensorRT's plans or ONNX Runtime's CUDA provider, come first. Where neither
can run, networks in torch stand in for them; every result says which it was, and why not better.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from gpu.site import Site
from gpu.stand_in_bundle import stand_in_bundle
from gpu.torch_models import Models, synthetic_models
from gpu.torch_session import TorchSession, compiled, torch_module
from sakuga.engine.backend.cuda.device import CudaDevice, CudaOptions, Load
from sakuga.engine.backend.cuda.driver import Driver
from sakuga.engine.backend.cuda.session import DeviceSession
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnxruntime import onnxruntime_library
from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import SakugaError
from sakuga.engine.plans import here, usable_plans
from sakuga.profiles.families import Family

Kind = Literal["eager", "compiled"]
_NO_SESSION = "this version of the engine has no session for it yet"


@dataclass(frozen=True, eq=False)
class Chosen:
    """`name` is said in every result, with `instead_of`: why nothing better ran. `models`: the
    same weights as torch modules, for the rival."""

    name: str
    instead_of: dict[str, str]
    bundle: Bundle
    load: Load
    models: Models

    @property
    def said(self) -> dict[str, Any]:
        """For the details of a result."""
        return {"networks": self.name, "instead_of": self.instead_of}

    def device(self, driver: Driver, options: CudaOptions) -> CudaDevice:
        """The engine's device on these networks."""
        return CudaDevice(driver, Networks.of(self.bundle), self.load, options)

    def engine(self, site: Site, options: CudaOptions) -> Engine:
        """The engine on these networks."""
        return Engine(self.bundle, lambda bundle: self.device(site.make_driver(), options))


def choose(site: Site, kind: Kind, graphs: bool = True) -> Chosen:
    """The best there is; `kind` and `graphs`: of the stand-in."""
    models = _models(site.family, site.device)
    bundle = stand_in_bundle(site.family, site.work / "stand-in.sakuga")
    return Chosen(
        name=f"torch, {kind}, a stand-in" + ("" if graphs else ", without CUDA graphs"),
        instead_of={"tensorrt": _why_no_plans(site), "onnxruntime": _why_no_onnxruntime()},
        bundle=bundle,
        load=_torch_load(site, models, kind, graphs),
        models=models,
    )


def _torch_load(site: Site, models: Models, kind: Kind, graphs: bool) -> Load:
    def load(name: str) -> DeviceSession:
        module = torch_module(models, name, site.device).eval()
        if kind == "compiled" and site.compiles and not name.startswith("text_encoder"):
            module = compiled(module)
        return TorchSession(module, site.device, graphs)

    return load


@cache
def _models(family: Family, device: str) -> Models:
    return synthetic_models(family, device)


def _why_no_plans(site: Site) -> str:
    if site.bundle is None:
        return "no bundle with plans was given"
    try:
        name, _ = usable_plans(open_bundle(site.bundle), here())
    except SakugaError as error:
        return str(error)
    return f"plans {name} can run here, but {_NO_SESSION}"


def _why_no_onnxruntime() -> str:
    try:
        providers = onnxruntime_library().get_available_providers()
    except SakugaError as error:
        return str(error)
    if "CUDAExecutionProvider" not in providers:
        return "the ONNX Runtime here has no CUDA provider"
    return f"ONNX Runtime has a CUDA provider here, but {_NO_SESSION}"
