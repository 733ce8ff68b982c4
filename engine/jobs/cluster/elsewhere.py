"""An engine for the machine that renders nothing itself: it checks requests as those do that do."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import NoReturn

from sakuga.engine.backend.base import Decoded, Device, Image, Lane, Moments, Session
from sakuga.engine.bundle import open_bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import SakugaError
from sakuga.engine.jobs.cluster.order import Order
from sakuga.engine.runtime.tools import Tools
from sakuga.engine.upscaler_folder import UpscalerFolder
from sakuga.kernels.to_rgb8 import Rounding
from sakuga.profiles.buckets import Sizes


@dataclass(frozen=True)
class DeviceElsewhere:
    """A `Device` of another machine: what is known of it."""

    name: str
    sizes: Sizes | None
    residency: str
    slots: int
    rows: int
    turn_s: float = 0.0

    @classmethod
    def like(cls, device: Device) -> "DeviceElsewhere":
        """What there is to know of a device, to be told to other machines."""
        return cls(device.name, device.sizes, device.residency, device.slots, device.rows)

    def network(self, name: str) -> Session:
        """It is not here."""
        _not_here()

    def upscaler(self, folder: UpscalerFolder) -> Session:
        """It is not here."""
        _not_here()

    def lane(self, latent: tuple[int, int]) -> Lane:
        """It is not here."""
        _not_here()

    def leave(self, latent: tuple[int, int], slot: int) -> None:
        """Nothing is held."""

    def decode(self, latent: tuple[int, int], slot: int, rounding: Rounding) -> "Future[Decoded]":
        """It is not here."""
        _not_here()

    def encode(self, image: Image) -> Moments:
        """It is not here."""
        _not_here()

    def flush(self) -> None:
        """Nothing waits."""

    def pace(self) -> None:
        """Nothing is ahead."""

    def shrink(self) -> int:
        """Nothing helps."""
        return 0

    def close(self) -> None:
        """Nothing is held."""


def engine_elsewhere(order: Order, device: DeviceElsewhere) -> Engine:
    """An engine that resolves requests and renders none. Raises what `open_bundle` does, and
    UsageError."""
    bundle, options = open_bundle(order.bundle), order.options
    tools = Tools.of(options.upscalers, options.detectors, bundle.family)
    return Engine(bundle, lambda: device, options.preset, options.embeddings, tools=tools)


def _not_here() -> NoReturn:
    raise SakugaError(
        "This engine checks requests for engines on other machines, and renders nothing.",
        hint="Hand them to the cluster.",
    )
