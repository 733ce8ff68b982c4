"""One GPU: three streams, the networks on them, lanes and pictures.

Steps have a stream, the VAE one, the text encoders one; each has an arena that its networks share.
The host puts work on them and waits for nothing but text encodings, pictures that are read or
enlarged, a full ring of uploads and, after each evaluation, until the GPU has no more than two
before it.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Set
from concurrent.futures import Future
from functools import partial

from sakuga.engine.backend.base import Decoded, Image, Moments, Session
from sakuga.engine.backend.cuda.calls import Calls, Key
from sakuga.engine.backend.cuda.decoder import Decoder, Finished
from sakuga.engine.backend.cuda.driver import Driver, Event
from sakuga.engine.backend.cuda.host_call import HostCall
from sakuga.engine.backend.cuda.lane import CudaLane
from sakuga.engine.backend.cuda.loading import Load, Loader
from sakuga.engine.backend.cuda.options import CudaOptions
from sakuga.engine.backend.cuda.previews import Previews
from sakuga.engine.backend.cuda.row_by_row import RowByRow
from sakuga.engine.backend.cuda.session import Arena
from sakuga.engine.backend.cuda.staging import Staging
from sakuga.engine.backend.network import Borders, Networks, image_latent
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.backend.tiled_vae import encode
from sakuga.engine.backend.vae_calls import tile_for
from sakuga.engine.errors import DeviceMemoryError, EngineFault, PlanMismatchError, RenderError
from sakuga.engine.upscaler_folder import UpscalerFolder
from sakuga.kernels.launch import ENTRIES
from sakuga.kernels.to_rgb8 import Rounding

_LOG = logging.getLogger("sakuga")

MAX_LANES = 9  # sizes whose buffers are kept: all of a bundle's buckets
_TURN_S = 5.0  # where an upscaler and the steps make room for each other, which takes a while
_AHEAD = 2  # evaluations: it never runs short, and whoever joins or leaves waits for no more


class CudaDevice:
    """A `Device` on one GPU."""

    def __init__(
        self, driver: Driver, networks: Networks, load: Loader, options: CudaOptions
    ) -> None:
        self.name, self.sizes = f"{load.name} {driver.name}", options.sizes
        if options.padding == "full":
            self.name += f", {options.rows} rows in every call"  # for they decide over its bits
        self.rows, self.residency = options.rows, options.residency
        self.slots = min(options.rows, ENTRIES)
        self.turn_s = _TURN_S if options.visitors or options.turns else 0.0
        self._driver, self._networks, self._load, self._options = driver, networks, load, options
        steps, text = driver.create_stream(), driver.create_stream()
        pictures = driver.create_stream() if options.overlap else steps
        self._steps = Arena(driver, steps)
        self._text = Arena(driver, text)
        self._pictures = Arena(driver, pictures) if options.overlap else self._steps
        self._stagings = {
            id(arena): Staging(driver, arena.stream) for arena in self._arenas().values()
        }
        self._calls = {
            name: self._new_calls(name, partial(load, name)) for name in networks.entries
        }
        self._host_calls: dict[str, HostCall] = {}
        self._previews = Previews(driver, steps)
        self._decoder: Decoder | None = None
        self._lanes: OrderedDict[tuple[int, int], CudaLane] = OrderedDict()
        self._finished: list[Finished] = []
        self._behind: deque[Event] = deque()

    def network(self, name: str) -> Session:
        """A text encoder, or the VAE, on arrays of the host."""
        call = self._host_call(name, Borders.of(self._networks.entries[name]))
        return RowByRow(call) if self._options.padding == "full" else call

    def upscaler(self, folder: UpscalerFolder) -> Session:
        """Its network in the fewest bits it is exact in; where it has none for this GPU, the
        processor runs it, which is said."""
        try:
            load = self._load.upscaler(folder)
        except PlanMismatchError as error:
            _LOG.warning("%s The processor runs it. %s %s", error.what, error.note, error.hint)
            return OnnxSession(folder.graph("float32"))
        name = f"upscaler {folder.path}"
        if name not in self._calls:
            self._calls[name] = self._new_calls(name, load)
        return self._host_call(name, Borders.of_upscaler(folder.manifest.scale))

    def _host_call(self, name: str, borders: Borders) -> HostCall:
        if name not in self._host_calls:
            arrive = partial(self._make_way, name)
            self._host_calls[name] = HostCall(
                self._driver, self._stagings[id(self._arena(name))], self._calls[name],
                borders, self._give_back, arrive,
            )  # fmt: skip
        return self._host_calls[name]

    def lane(self, latent: tuple[int, int]) -> CudaLane:
        """The lane of one latent size; the least recently used idle one goes if there are many."""
        self._send_visitors_away()
        if latent not in self._lanes:
            if len(self._lanes) >= MAX_LANES:
                self._drop_lanes(most=MAX_LANES - 1)
            self._lanes[latent] = CudaLane(
                self._driver, self._steps.stream, self._stagings[id(self._steps)], self._previews,
                self._networks, self._calls["unet"], latent, self.slots, self.rows,
                self._options.padding,
            )  # fmt: skip
        self._lanes.move_to_end(latent)
        return self._lanes[latent]

    def leave(self, latent: tuple[int, int], slot: int) -> None:
        """Its place is free; the lane stays, for the next picture of its size."""
        if latent in self._lanes:
            self._lanes[latent].busy.discard(slot)

    def decode(self, latent: tuple[int, int], slot: int, rounding: Rounding) -> Future[Decoded]:
        """Take the latent off its lane; `flush` decodes what was taken."""
        lane = self._lanes[latent]
        size_bytes = 4 * lane.count
        try:
            held = self._pictures_decoder().latents.take(size_bytes)
        except DeviceMemoryError:
            self._give_back()
            held = self._pictures_decoder().latents.take(size_bytes)
        self._driver.copy(self._steps.stream, held.address, lane.latent_address(slot), size_bytes)
        finished = Finished(latent, rounding, held)
        self._finished.append(finished)
        return finished.result

    def encode(self, image: Image) -> Moments:
        """The latent of one picture; waits for it. Raises SizeError and DeviceMemoryError."""
        tile = tile_for(self._networks.entries["vae_encoder"], image_latent(image), self.sizes)
        return encode(image, self.network("vae_encoder"), tile)

    def flush(self) -> None:
        """Decode all latents taken since the last time, those alike together.

        Whatever goes wrong, every one of them gets a picture or learns why not.
        """
        if not self._finished:
            return
        pictures, self._finished = self._finished, []
        try:
            self._decode_all(pictures)
        except Exception as error:
            for picture in pictures:
                if not picture.begun and not picture.result.done():
                    picture.result.set_exception(error)
                    self._pictures_decoder().latents.give(picture.held)
            if isinstance(error, EngineFault):
                raise

    def _decode_all(self, finished: list[Finished]) -> None:
        ready = self._steps.stream.record()
        if self._options.turns:
            self._calls["unet"].forget()
            self._steps.release()
        alike: dict[tuple[object, ...], list[Finished]] = {}
        for picture in finished:
            alike.setdefault((picture.latent, picture.rounding), []).append(picture)
        for pictures in alike.values():
            try:
                self._pictures_decoder().decode(pictures, ready)
            except DeviceMemoryError:
                self._give_back()
                self._decode_at_last(pictures, ready)

    def pace(self) -> None:
        """Wait for all evaluations but the last two, which keep the GPU at work meanwhile."""
        self._behind.append(self._steps.stream.record())
        while len(self._behind) > _AHEAD:
            self._behind.popleft().sync()

    def shrink(self) -> int:
        """Give back what is not in use; where nothing was in the way, halve the rows of a call,
        unless all calls are to have the same."""
        others = (arena for arena in self._arenas().values() if arena is not self._steps)
        in_the_way = any(arena.size_bytes for arena in others)
        in_the_way |= any(self._calls[name].loaded for name in self._upscalers())
        self._give_back()
        if in_the_way:
            return self.rows
        if self._options.padding == "full":
            return 0
        rows = self.rows // 2
        if rows:
            _LOG.warning("GPU memory ran out with %d rows in a call; going on with %d.",
                         self.rows, rows)  # fmt: skip
            self.rows = rows
            for lane in self._lanes.values():
                lane.call_rows = rows
        return rows

    def close(self) -> None:
        """Finish the pictures on their way, then give everything back."""
        for picture in self._finished:
            picture.result.set_exception(RenderError("The engine closed before it was decoded."))
        self._previews.close()
        if self._decoder is not None:
            self._decoder.close()
        for lane in self._lanes.values():
            lane.busy.clear()
        self._give_back()
        for calls in self._calls.values():
            calls.unload()
        for staging in self._stagings.values():
            staging.close()
        self._load.close()
        self._driver.close()

    def _arena(self, network: str) -> Arena:
        """The working memory, and so the stream, that a network runs with."""
        if network == "unet":
            return self._steps
        return self._text if network.startswith("text") else self._pictures

    def _arenas(self) -> dict[int, Arena]:
        return {id(arena): arena for arena in (self._steps, self._text, self._pictures)}

    def _new_calls(self, name: str, load: Load) -> Calls:
        return Calls(self._driver, self._arena(name), load, self._options.graphs)

    def _pictures_decoder(self) -> Decoder:
        self._send_visitors_away(but="vae_decoder")
        if self._decoder is None:
            self._decoder = Decoder(
                self._driver, self._stagings[id(self._pictures)], self._networks,
                self._calls["vae_decoder"], self._options.vae_rows, self._options.padding,
            )  # fmt: skip
        return self._decoder

    def _make_way(self, name: str) -> None:
        """Before a network runs on arrays of the host."""
        self._send_visitors_away(but=name)
        if self._options.turns and name in self._upscalers():
            self._calls["unet"].forget()
            self._steps.release()

    def _upscalers(self) -> Set[str]:
        return self._calls.keys() - self._networks.entries.keys()

    def _send_visitors_away(self, but: str = "unet") -> None:
        """Before a step, or before another visitor comes, for there is room for one at a time."""
        visitors = self._options.visitors
        for name in (visitors | self._upscalers() if visitors else visitors) - {but}:
            if self._calls[name].loaded:
                self._calls[name].unload()
                if self._arena(name) is not self._arena(but):
                    self._arena(name).release()

    def _decode_at_last(self, pictures: list[Finished], ready: Event) -> None:
        """With nothing else in the way; who does not fit even so must be told."""
        decoder = self._pictures_decoder()
        for picture in pictures:
            if not picture.begun:
                try:
                    decoder.decode([picture], ready)
                except DeviceMemoryError as error:
                    picture.result.set_exception(error)
                    decoder.latents.give(picture.held)

    def _give_back(self) -> None:
        """Everything that can be made again."""
        self._drop_lanes(most=0)
        for call in self._host_calls.values():
            call.forget()
        for calls in self._calls.values():
            calls.forget()
        for name in self._upscalers():
            self._calls[name].unload()
        for arena in self._arenas().values():
            arena.release()
        if self._decoder is not None:
            self._decoder.forget()

    def _drop_lanes(self, most: int) -> None:
        """Of the lanes with no picture in them, the least recently used, until `most` are left."""
        idle = [latent for latent, lane in self._lanes.items() if not lane.busy]
        for latent in idle[: max(len(self._lanes) - most, 0)]:
            self._calls["unet"].forget(partial(_is_of, latent))
            self._lanes.pop(latent).close()


def _is_of(latent: tuple[int, int], key: Key) -> bool:
    return key[0] == latent
