"""The facade: open a bundle, render pictures from it."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from sakuga.engine.backend.base import Array, Decoded, Device, Latent, Pixels
from sakuga.engine.backend.choose import choose_device
from sakuga.engine.bundle import Bundle, check_same, open_bundle
from sakuga.engine.errors import EngineFault, RenderError, SakugaError, UsageError
from sakuga.engine.image.infotext import Infotext, write_infotext
from sakuga.engine.runtime import rescue
from sakuga.engine.runtime.defaults import bundle_defaults, bundle_embeddings, bundle_preset
from sakuga.engine.runtime.lookahead import in_order_of_completion
from sakuga.engine.runtime.notes import notes_of
from sakuga.engine.runtime.parameters import infotext_of
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.remake import Remake, remake
from sakuga.engine.runtime.request import Request, Settings, resolve
from sakuga.engine.runtime.slot import Slot, row_sources
from sakuga.engine.runtime.worker import Job, Worker

OnStep = Callable[[int, int, int], None]
OpenDevice = Callable[[], Device]


class Engine:
    """A bundle, loaded on a device. Close it, or use it as a context manager.

    Threads may share it: a thread of its own has the device and takes pictures from all of them.
    `preset`: what it takes its defaults from, None if from none.
    """

    def __init__(
        self,
        bundle: Bundle,
        open_device: OpenDevice,
        preset: str | None = None,
        embeddings: Path | None = None,
    ) -> None:
        """`open_device` is called once, on the thread that will own the device."""
        self.bundle = bundle
        self.preset = bundle_preset(bundle, preset)
        self._defaults = bundle_defaults(bundle, self.preset)
        self._rescue = rescue.Rescue(bundle)
        known = bundle_embeddings(bundle, embeddings)
        self._worker = Worker(open_device)
        try:
            self._defaults = replace(
                self._defaults, sizes=self._worker.device.sizes or self._defaults.sizes
            )
            self._prompts = PromptEncoder(
                bundle, lambda name: self._worker.device.network(name), known
            )
            check_same(bundle)
        except SakugaError:
            self.close()
            raise

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        backend: str | None = None,
        preset: str | None = None,
        threads: int | None = None,
        vram_bytes: int | None = None,
        embeddings: str | Path | None = None,
    ) -> "Engine":
        """Open and verify the bundle at `path`.

        `backend`: `onnx` for the processor, `onnx-cuda`, `rtx` or `tensorrt`; None for the best
        that bundle and machine have. `preset`: the name of one to use instead of the bundle's own,
        "none" for none at all. `threads`: of networks on the processor, default all cores.
        `vram_bytes`: GPU memory that networks and pictures may take, default what is free.
        `embeddings`: a folder of textual inversions (.safetensors, .pt, .bin), whose names prompts
        may use as words, in compat comfy as `embedding:NAME`.

        Raises BundleFormatError, BundleDamagedError, BundleError where it is replaced meanwhile,
        PlanMismatchError where the bundle's plans are not for this machine,
        DeviceMemoryError where it has too little memory, MissingDependencyError, and UsageError.
        """
        _check_threads(threads)
        bundle = open_bundle(Path(path))
        device = choose_device(bundle, backend, threads, vram_bytes)
        return cls(bundle, device, preset, None if embeddings is None else Path(embeddings))

    @property
    def backend(self) -> str:
        """What computes pictures, as their metadata names it."""
        return self._worker.device.name

    @property
    def residency(self) -> str:
        """What lies in GPU memory, in words; empty on the processor."""
        return self._worker.device.residency

    @property
    def fault(self) -> EngineFault | None:
        """Why this process must be replaced, for whoever supervises it; None while all is well."""
        return self._worker.fault

    def resolve(self, request: Request) -> Settings:
        """The request with every default filled in. Raises UsageError and SizeError."""
        manifest = self.bundle.manifest
        settings = resolve(
            request,
            self.bundle.family,
            self._defaults,
            manifest.prediction,
            manifest.zero_terminal_snr,
        )
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
        jobs = (self._job(index, one, on_step) for index, one in enumerate(settings))
        ahead = 2 * self._worker.device.slots  # one batch at work, the next one at the door
        return in_order_of_completion(jobs, self._worker, ahead)

    def remake(self, settings: Infotext, *, ignore: Collection[str] = ()) -> Remake:
        """The request that makes a picture again from the settings in it (`read_infotext`).

        On the bundle and backend that made it, pixels come out equal to the byte. `ignore`: what
        to leave out where the picture asks for more than this bundle gives, such as "model" or
        "hires". Raises MetadataError that lists what is in the way.
        """
        return remake(settings, self.bundle, self.backend, ignore, self._prompts.embeddings)

    def denoise(self, request: Request) -> Array:
        """The final latent of a request, float32 [4, height / 8, width / 8], not decoded."""
        settings = self.resolve(request)
        job = Job(lambda: self._slot(0, settings), _latent)
        return self._worker.submit(job).result()

    def decode(self, latent: Array) -> Array:
        """Decode a latent as the UNet leaves it, float32 [4, h, w], to [1, 3, 8h, 8w] in [-1, 1].

        Raises RenderError where the latent or what the decoder makes of it is not finite.
        """
        self._check_finite(latent, "unet")
        scaled = latent[None] * np.float32(1 / self.bundle.family.vae.scaling_factor)
        inputs = {"latent": scaled.astype(np.float32)}
        run = self._worker.call(lambda device: device.network("vae_decoder").run(inputs))
        image = run.result()["image"]
        self._check_finite(image, "vae_decoder")
        return image

    def close(self) -> None:
        """Let go of the networks and the device; pictures still waiting are not made."""
        self._worker.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _job(self, index: int, settings: Settings, on_step: OnStep | None) -> Job[Picture]:
        def finish(device: Device, slot: Slot) -> Future[Picture]:
            decoded = device.decode(slot.latent, slot.place, settings.compat.rounding)
            return _then(decoded, lambda found: self._finish(slot, found))

        return Job(lambda: self._slot(index, settings), finish, _reporter(on_step))

    def _slot(self, index: int, settings: Settings) -> Slot:
        return Slot(index, settings, row_sources(settings, *self._prompts.encode(settings)))

    def _finish(self, slot: Slot, decoded: Decoded) -> Picture:
        settings, notes = slot.settings, notes_of(slot)
        pixels, info = decoded.pixels, self._infotext(settings)
        if not decoded.whole:
            pixels = self._rescued(decoded, settings)
            info = replace(info, extra={rescue.KEY: rescue.EXACT})
            notes = (*notes, rescue.NOTE)
        return Picture(pixels, write_infotext(info), slot.ticket, settings.seed, notes)

    def _rescued(self, decoded: Decoded, settings: Settings) -> Pixels:
        self._check_finite(decoded.latent, "unet")
        pixels = None
        if self._rescue.possible:
            pixels = self._rescue.decode(decoded.latent, settings.compat.rounding)
        if pixels is None:
            raise self._not_finite("vae_decoder")
        return pixels

    def _infotext(self, settings: Settings) -> Infotext:
        zeroed = self._prompts.zeroes(settings)
        info = infotext_of(settings, self.bundle.manifest, self.backend, zeroed)
        return replace(info, embeddings=self._prompts.embeddings_in(settings))

    def _check_finite(self, output: Array, network: str) -> None:
        if not np.isfinite(output).all():
            raise self._not_finite(network)

    def _not_finite(self, network: str) -> RenderError:
        precision = self.bundle.manifest.networks[network].precision
        return RenderError(
            f"The network {network} gave NaN or infinity.",
            note=f"It computes in {precision}.",
            hint="Build the bundle with --precision fp32."
            if precision != "float32"
            else "The checkpoint does not work with these settings; try others, or another file.",
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


def _latent(device: Device, slot: Slot) -> "Future[Latent]":
    found: Future[Latent] = Future()
    found.set_result(device.lane(slot.latent).latent(slot.place))
    return found


def _then(first: "Future[Decoded]", work: Callable[[Decoded], Picture]) -> "Future[Picture]":
    """The future of `work` on what `first` will give."""
    after: Future[Picture] = Future()

    def go_on(done: "Future[Decoded]") -> None:
        try:
            after.set_result(work(done.result()))
        except BaseException as error:  # for whoever waits
            after.set_exception(error)

    first.add_done_callback(go_on)
    return after
