"""The facade: open a bundle, render pictures from it."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from sakuga.engine.backend.base import Array, Device, Session
from sakuga.engine.backend.cpu import CpuDevice
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle, open_bundle, read_manifest
from sakuga.engine.errors import (
    BundleError,
    RenderError,
    SakugaError,
    UsageError,
)
from sakuga.engine.image.infotext import Infotext, write_infotext
from sakuga.engine.runtime.batcher import Batcher, OneAtATime
from sakuga.engine.runtime.defaults import bundle_defaults, bundle_preset
from sakuga.engine.runtime.loop import Loop
from sakuga.engine.runtime.notes import notes_of
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.request import Request, Settings, resolve
from sakuga.engine.runtime.runner import Runner
from sakuga.engine.runtime.slot import Slot, row_sources
from sakuga.engine.sampling.samplers import SAMPLERS
from sakuga.engine.version import VERSION

OnStep = Callable[[int, int, int], None]

_NETWORKS = ("text_encoder", "text_encoder_2", "unet", "vae_decoder")


class Engine:
    """A bundle, loaded on a device. Close it, or use it as a context manager.

    Threads may share it: one at a time has the device, for one evaluation. `preset`: what it takes
    its defaults from, None if from none.
    """

    def __init__(
        self, bundle: Bundle, threads: int | None = None, preset: str | None = None
    ) -> None:
        _check_objective(bundle)
        _check_threads(threads)
        self.bundle = bundle
        self._closed = False
        self._device: Device = CpuDevice()
        self.preset = bundle_preset(bundle, preset)
        self._defaults = bundle_defaults(bundle, self.preset)
        self._lock = threading.Lock()
        self._loader = ThreadPoolExecutor(1, "sakuga-load")
        # Loaded in the order a picture needs them, each while the one before it is at work.
        self._sessions: dict[str, Future[Session]] = {
            name: self._loader.submit(_load, bundle, name, threads)
            for name in _NETWORKS
            if name in bundle.manifest.networks
        }
        try:
            self._prompts = PromptEncoder(bundle, self._session)
            _check_same(bundle)
        except SakugaError:
            self.close()
            raise

    @classmethod
    def open(
        cls, path: str | Path, *, threads: int | None = None, preset: str | None = None
    ) -> "Engine":
        """Open and verify the bundle at `path`. `threads`: of the networks, default all cores.

        `preset`: the name of one to use instead of the bundle's own, "none" for none at all.
        Raises BundleFormatError, BundleDamagedError, BundleError for a model this version cannot
        sample, and UsageError for a number of threads the machine does not have, and for a preset
        that is unknown, broken, or for another family.
        """
        return cls(open_bundle(Path(path)), threads, preset)

    def resolve(self, request: Request) -> Settings:
        """The request with every default filled in. Raises UsageError and SizeError."""
        prediction = self.bundle.manifest.prediction
        settings = resolve(request, self.bundle.family, self._defaults, prediction)
        self._prompts.check(settings)
        return settings

    def render(self, request: Request) -> Picture:
        """Render one picture. Raises UsageError, SizeError and RenderError."""
        (picture,) = self.render_many([request])
        return picture

    def render_many(
        self, requests: Iterable[Request], on_step: OnStep | None = None
    ) -> Iterator[Picture]:
        """Render pictures, yielded in order of completion; `.index` tells which request it was.

        `on_step` is told (index, evaluations done, evaluations in all). All requests are checked
        before the first is rendered.
        """
        settings = [self.resolve(request) for request in requests]
        return self._render(settings, on_step)

    def denoise(self, request: Request) -> Array:
        """The final latent of a request, float32 [4, height / 8, width / 8], not decoded."""
        ((_, latent),) = self._denoise([self.resolve(request)], None)
        return latent

    def decode(self, latent: Array) -> Array:
        """Decode a latent as the UNet leaves it, float32 [4, h, w], to [1, 3, 8h, 8w] in [-1, 1].

        Raises RenderError where the latent or what the decoder makes of it is not finite.
        """
        self._check_finite(latent, "unet")
        scaled = (latent / self.bundle.family.vae.scaling_factor)[None].astype(np.float32)
        with self._device_mine():
            image = self._session("vae_decoder").run({"latent": scaled})["image"]
        self._check_finite(image, "vae_decoder")
        return image

    def close(self) -> None:
        """Let go of the networks and the device."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loader.shutdown(cancel_futures=True)
                self._sessions.clear()
                self._device.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _render(self, settings: list[Settings], on_step: OnStep | None) -> Iterator[Picture]:
        for slot, latent in self._denoise(settings, on_step):
            yield self._finish(slot, latent)

    def _denoise(
        self, settings: list[Settings], on_step: OnStep | None
    ) -> Iterator[tuple[Slot, Array]]:
        batcher = OneAtATime(self.bundle.manifest.networks["unet"].axes["rows"].maximum)
        loop: Loop | None = None
        for index, wanted in enumerate(settings):
            with self._device_mine():
                sources = row_sources(wanted, *self._prompts.encode(wanted))
                batcher.add(Slot(index, wanted, sources))
                loop = loop or self._loop(batcher, on_step)
            while batcher.waiting:
                with self._device_mine():
                    finished = loop.tick()
                yield from finished

    def _loop(self, batcher: Batcher, on_step: OnStep | None) -> Loop:
        entry = self.bundle.manifest.networks["unet"]
        runner = Runner(self._device, self._session("unet"), entry, slots=1)
        return Loop(batcher, runner, _reporter(on_step))

    @contextmanager
    def _device_mine(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise SakugaError("The engine is closed.", hint="Open the bundle again.")
            yield

    def _finish(self, slot: Slot, latent: Array) -> Picture:
        settings = slot.settings
        image = self.decode(latent)
        (pixels,) = self._device.to_rgb8(image, settings.compat.rounding)
        return Picture(
            pixels, self._parameters(settings), slot.ticket, settings.seed, notes_of(slot)
        )

    def _parameters(self, settings: Settings) -> str:
        checkpoint = self.bundle.manifest.checkpoint
        return write_infotext(
            Infotext(
                prompt=settings.prompt,
                negative_prompt=settings.negative_prompt,
                steps=settings.steps,
                sampler=SAMPLERS[settings.sampler].label,
                schedule="Automatic",
                guidance=settings.guidance,
                seed=settings.seed,
                width=settings.size.width,
                height=settings.size.height,
                model_hash=checkpoint.model_hash,
                model=checkpoint.name,
                clip_skip=settings.clip_skip,
                rng="NV",
                compat=settings.compat.name,
                negative_zeroed=self._prompts.zeroes(settings),
                version=VERSION,
            )
        )

    def _check_finite(self, output: Array, network: str) -> None:
        if np.isfinite(output).all():
            return
        precision = self.bundle.manifest.networks[network].precision
        raise RenderError(
            f"The network {network} gave NaN or infinity.",
            note=f"It computes in {precision}.",
            hint="Build the bundle with --precision fp32."
            if precision != "float32"
            else "The checkpoint does not work with these settings; try others, or another file.",
        )

    def _session(self, name: str) -> Session:
        return self._sessions[name].result()


def _load(bundle: Bundle, network: str, threads: int | None) -> Session:
    session = OnnxSession(bundle.graph(network), threads)
    _check_same(bundle)
    return session


def _check_same(bundle: Bundle) -> None:
    if read_manifest(bundle.path) != bundle.manifest:
        raise BundleError(
            f"The bundle {bundle.path} was replaced while it was being opened.",
            note="Its files may come from two different builds.",
            hint="Run the command again.",
        )


def _check_objective(bundle: Bundle) -> None:
    if bundle.manifest.zero_terminal_snr:
        raise BundleError(
            "This version does not render models of zero terminal SNR.",
            note=f"{bundle.manifest.checkpoint.name} was trained with that noise schedule; the "
            "ordinary one would give another picture than other tools.",
            hint="Use a model without it, or a later version of Sakuga.",
        )


def _check_threads(threads: int | None) -> None:
    cores = os.cpu_count() or 1
    if threads is not None and not 1 <= threads <= cores:
        raise UsageError(
            f"A network cannot run on {threads} threads here.",
            note=f"This machine has {cores} cores; more threads than cores only wait.",
            hint="Leave it out to use all cores.",
        )


def _reporter(on_step: OnStep | None) -> Callable[[Slot], None] | None:
    if on_step is None:
        return None
    return lambda slot: on_step(slot.ticket, slot.step, slot.settings.table.evaluations)
