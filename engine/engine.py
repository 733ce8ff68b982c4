"""The facade: open a bundle, render pictures from it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType

from sakuga.engine.backend.base import Array, Device, Pixels
from sakuga.engine.backend.choose import choose_device
from sakuga.engine.bundle import Bundle, check_same, open_bundle
from sakuga.engine.errors import EngineFault, SakugaError
from sakuga.engine.image.infotext import Infotext
from sakuga.engine.image.source import Source
from sakuga.engine.runtime.admission import NO_LIMITS, Limits, Statistics
from sakuga.engine.runtime.checks import check_threads
from sakuga.engine.runtime.decoding import decoded
from sakuga.engine.runtime.defaults import bundle_embeddings, bundle_preset
from sakuga.engine.runtime.desk import Desk, OnPreview, OnStep, Wishes
from sakuga.engine.runtime.enlarging import Watch, enlarging, unwatched
from sakuga.engine.runtime.finish import Finish
from sakuga.engine.runtime.lookahead import in_order_of_completion
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.policy import Policy
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.remake import Remake, remake
from sakuga.engine.runtime.remake_stages import Given
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolver import Resolver
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.studio import Studio
from sakuga.engine.runtime.ticket import Ticket
from sakuga.engine.runtime.tools import Tools
from sakuga.engine.runtime.worker import Worker
from sakuga.profiles.buckets import Size, Sizes

OpenDevice = Callable[[], Device]

_SIZES_AT_ONCE = 12  # so many batches are handed in: each of nine sizes finds company among them


class Engine:
    """A bundle, loaded on a device. Close it, or use it as a context manager.

    Threads may share it: a thread of its own has the device and takes pictures from all of them.
    `preset`: what it takes its defaults from, None if from none. `tools`: upscalers and detectors.
    """

    def __init__(
        self,
        bundle: Bundle,
        open_device: OpenDevice,
        preset: str | None = None,
        embeddings: Path | None = None,
        limits: Limits = NO_LIMITS,
        policy: Policy | None = None,
        tools: Tools | None = None,
    ) -> None:
        """`open_device` is called once, on the thread that will own the device. `policy`: in which
        order pictures are served, None for in order of arrival. `tools`: None for what needs no
        folder."""
        self.bundle = bundle
        self.preset = bundle_preset(bundle, preset)
        known = bundle_embeddings(bundle, embeddings)
        self._worker = Worker(open_device, policy)
        try:
            device = self._worker.device
            self._prompts = PromptEncoder(bundle, device.network, known)
            finish = Finish(bundle, self._prompts, self.backend, self.preset)
            self.tools = tools = tools or Tools.of(None, None, bundle.family)
            self._resolver = Resolver(bundle, self.preset, self._prompts, device.sizes, tools)
            studio = Studio(bundle, lambda: self._worker.device, finish, tools)
            self._desk = Desk(self._worker, self._prompts, studio, limits)
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
        upscalers: str | Path | None = None,
        detectors: str | Path | None = None,
        limits: Limits = NO_LIMITS,
        deterministic: bool = False,
    ) -> "Engine":
        """Open and verify the bundle at `path`.

        `backend`: `onnx` for the processor, `onnx-cuda`, `rtx` or `tensorrt`; None for the best
        that bundle and machine have. `preset`: the name of one to use instead of the bundle's own,
        "none" for none at all. `threads`: of networks on the processor, default all cores.
        `vram_bytes`: GPU memory that networks and pictures may take, default what is free.
        `embeddings`: a folder of textual inversions (.safetensors, .pt, .bin), whose names prompts
        may use as words, in compat comfy as `embedding:NAME`. `upscalers`: a folder of what
        `sakuga build-upscaler` makes; `detectors`: one of YOLO networks (.onnx). `limits`: what
        `submit` and `asubmit` let in at once. `deterministic`: on GPUs of one model, with one
        driver, library, set of plans and `vram_bytes`, a picture has the same bits whatever is
        rendered beside it; every call is then as large as the largest, and where memory does not
        suffice for that, it is an error. On the processor pictures always have.

        Raises BundleFormatError, BundleDamagedError, BundleError where it is replaced meanwhile,
        PlanMismatchError where the bundle's plans are not for this machine,
        DeviceMemoryError where it has too little memory, MissingDependencyError, and UsageError.
        """
        check_threads(threads)
        bundle = open_bundle(Path(path))
        device = choose_device(bundle, backend, threads, vram_bytes, deterministic)
        given = (embeddings, upscalers, detectors)
        folders = [None if each is None else Path(each) for each in given]
        tools = Tools.of(folders[1], folders[2], bundle.family, threads)
        return cls(bundle, device, preset, folders[0], limits, tools=tools)

    @property
    def defaults(self) -> Defaults:
        """What a request that says nothing gets."""
        return self._resolver.defaults

    @property
    def backend(self) -> str:
        """What computes pictures, as their metadata names it."""
        return self._worker.device.name

    @property
    def residency(self) -> str:
        """What lies in GPU memory, in words; empty on the processor."""
        return self._worker.device.residency

    @property
    def sizes(self) -> Sizes | None:
        """What the device renders of the bundle's sizes, None for all."""
        return self._worker.device.sizes

    def ping(self) -> None:
        """Wait until the engine's thread answers, which it does between two evaluations.

        Raises EngineFault where this process must be replaced, SakugaError where it is closed.
        """
        self._worker.call(lambda _: None).result()

    @property
    def fault(self) -> EngineFault | None:
        """Why this process must be replaced, for whoever supervises it; None while all is well."""
        return self._worker.fault

    def resolve(self, request: Request) -> Settings:
        """The request with every default filled in. Raises UsageError and SizeError."""
        return self._resolver(request)

    def size_of(self, request: Request) -> Size:
        """The size of a request's picture, with everything checked but its prompts and seeds: that
        takes microseconds where many requests say the same. Raises UsageError and SizeError."""
        return self._resolver.size(request)

    def render(self, request: Request) -> Picture:
        """Render one picture. Raises UsageError, SizeError and RenderError."""
        (picture,) = self.render_many([request])
        return picture

    def render_many(
        self, requests: Iterable[Request], on_step: OnStep | None = None
    ) -> Iterator[Picture]:
        """Render pictures, yielded in order of completion; `.index` tells which request it was.

        `on_step` is told (index, evaluations done, evaluations in all). All requests are checked
        before the first is rendered. Raises what a picture raises, at its turn; whoever stops
        early takes the rest off the device.
        """
        settings = [self.resolve(request) for request in requests]
        tickets = (
            self._desk.enter(index, one, Wishes(on_step=on_step))
            for index, one in enumerate(settings)
        )
        return in_order_of_completion(tickets, self.appetite)

    def submit(
        self,
        request: Request,
        *,
        index: int = 0,
        priority: int = 0,
        deadline_s: float | None = None,
        preview_every: int = 0,
        on_step: OnStep | None = None,
        on_preview: OnPreview | None = None,
    ) -> Ticket:
        """Ask for one picture, and go on. Pictures of all callers share the device step by step.

        `priority`: the higher goes first, in the middle of others. `deadline_s`: seconds in which
        it is wanted; of one priority the earliest deadline goes first, and a picture too late is
        given up with DeadlineError. `preview_every`: so many evaluations, 0 for no previews;
        `on_preview` is given the ticket when there is a new one. `on_step` is told as `render_many`
        tells. Both are called on threads of the engine, which wait for them.
        `index` is told by ticket and picture. Of several pictures of one request, submit each of
        `request.times(n)`.

        Raises UsageError, SizeError; OverloadedError beyond the engine's limits; SakugaError where
        it is closed.
        """
        wishes = Wishes(priority, deadline_s, preview_every, on_step, on_preview)
        return self._desk.admit(index, self.resolve(request), wishes)

    async def asubmit(
        self,
        request: Request,
        *,
        priority: int = 0,
        deadline_s: float | None = None,
        on_step: OnStep | None = None,
    ) -> Picture:
        """`submit`, awaited; cancelling the task takes the picture off the device.

        Raises what `submit` and the picture raise.
        """
        ticket = self.submit(request, priority=priority, deadline_s=deadline_s, on_step=on_step)
        return await ticket.as_asyncio()

    def upscale(
        self, pixels: Pixels, upscaler: str, size: Size, watch: Watch = unwatched
    ) -> "Future[Pixels]":
        """Have a picture enlarged, with no pass of a sampler, between those of others.

        `pixels`: uint8 [h, w, 3], and so is the result, at exactly `size`. `upscaler`: a filter
        ("lanczos", "nearest") or one of the engine's folder. `watch` is told (tile, tiles) before
        each tile, on the engine's thread. Cancelling the future ends it before the next tile.

        Raises UsageError for an upscaler that is not here; the future, what opening or running it
        raises.
        """
        return enlarging(self._worker, self.tools.upscalers, upscaler, pixels, size, watch)

    @property
    def appetite(self) -> int:
        """How many pictures to have handed in so that no step goes short, whatever their sizes."""
        slots = self._worker.device.slots
        return 2 if slots == 1 else _SIZES_AT_ONCE * slots

    @property
    def embeddings(self) -> dict[str, str]:
        """The embeddings that prompts may name, each with its hash as pictures tell it."""
        return self._prompts.embeddings.hashes

    @property
    def statistics(self) -> Statistics:
        """Counts since the engine was opened."""
        return self._desk.statistics

    def remake(
        self,
        settings: Infotext,
        *,
        ignore: Collection[str] = (),
        init: Source | None = None,
        mask: Source | None = None,
    ) -> Remake:
        """The request that makes a picture again from the settings in it (`read_infotext`).

        On the bundle and backend that made it, pixels come out equal to the byte. `ignore`: what
        to leave out where the picture asks for more than this bundle gives, such as "model" or
        "hires". `init` and `mask`: the pictures it began from, of which settings hold hashes alone.
        Raises MetadataError that lists what is in the way, PictureFileError.
        """
        given = Given(init, mask, self.tools)
        return remake(settings, self.bundle, self.backend, ignore, self._prompts.embeddings, given)

    def denoise(self, request: Request) -> Array:
        """The final latent of a request, float32 [4, height / 8, width / 8], not decoded."""
        settings = self.resolve(request)
        return self._desk.latent(settings).result()

    def decode(self, latent: Array) -> Array:
        """Decode a latent as the UNet leaves it, float32 [4, h, w], to [1, 3, 8h, 8w] in [-1, 1].

        Raises RenderError where the latent or what the decoder makes of it is not finite.
        """
        return decoded(self._worker, self.bundle, latent)

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
