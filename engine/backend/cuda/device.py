"""One GPU: three streams, the networks on them, lanes and pictures.

Steps have a stream, the VAE one, the text encoders one; each has an arena that its networks share.
The host puts work on them and waits for nothing but text encodings, a full ring of uploads, and,
where somebody watches, the evaluation before last.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from sakuga.engine.backend.base import Decoded, Session
from sakuga.engine.backend.cuda.calls import Calls
from sakuga.engine.backend.cuda.decoder import Decoder, Finished
from sakuga.engine.backend.cuda.driver import Driver, Event, Stream
from sakuga.engine.backend.cuda.host_call import HostCall
from sakuga.engine.backend.cuda.lane import CudaLane
from sakuga.engine.backend.cuda.session import Arena, DeviceSession
from sakuga.engine.backend.cuda.staging import Staging
from sakuga.engine.backend.network import Networks
from sakuga.engine.errors import DeviceMemoryError
from sakuga.kernels.launch import ENTRIES
from sakuga.kernels.to_rgb8 import Rounding

_LOG = logging.getLogger("sakuga")

MAX_LANES = 9  # sizes whose buffers are kept: all of a bundle's buckets
_AHEAD = 2  # evaluations the host may be ahead of the GPU while somebody watches

Load = Callable[[str], DeviceSession]


@dataclass(frozen=True)
class CudaOptions:
    """`rows` of the largest UNet call, `vae_rows` pictures of one VAE call. `graphs`, `overlap`:
    off switches of CUDA graphs and of decoding beside the steps, to show what they are worth."""

    rows: int
    vae_rows: int = 1
    graphs: bool = True
    overlap: bool = True


class CudaDevice:
    """A `Device`; `load` gives a network of the bundle, loaded on this GPU."""

    def __init__(
        self, driver: Driver, networks: Networks, load: Load, options: CudaOptions
    ) -> None:
        self.name = driver.name
        self.rows = options.rows
        self.slots = min(options.rows, ENTRIES)
        self._driver, self._networks, self._load, self._options = driver, networks, load, options
        self._steps, self._text = driver.create_stream(), driver.create_stream()
        self._pictures = driver.create_stream() if options.overlap else self._steps
        self._arenas = {id(s): Arena(driver, s) for s in (self._steps, self._text, self._pictures)}
        self._staging, self._text_staging = (Staging(driver, s) for s in (self._steps, self._text))
        self._sessions: dict[str, DeviceSession] = {}
        self._calls: dict[tuple[str, int], Calls] = {}
        self._host_calls: dict[str, HostCall] = {}
        self._decoder: Decoder | None = None
        self._lanes: OrderedDict[tuple[int, int], CudaLane] = OrderedDict()
        self._finished: list[Finished] = []
        self._behind: deque[Event] = deque()

    def network(self, name: str) -> Session:
        """A text encoder, or the VAE, on arrays of the host."""
        if name not in self._host_calls:
            self._host_calls[name] = HostCall(
                self._driver, self._text, self._text_staging,
                self._network(name, self._text), self._networks.entries[name], self._give_back,
            )  # fmt: skip
        return self._host_calls[name]

    def lane(self, latent: tuple[int, int]) -> CudaLane:
        """The lane of one latent size; the least recently used idle one goes if there are many."""
        if latent not in self._lanes:
            if len(self._lanes) >= MAX_LANES:
                self._drop_lanes(most=MAX_LANES - 1)
            self._lanes[latent] = CudaLane(
                self._driver, self._steps, self._staging, self._networks,
                self._network("unet", self._steps), latent, self.slots, self.rows,
            )  # fmt: skip
        self._lanes.move_to_end(latent)
        return self._lanes[latent]

    def leave(self, latent: tuple[int, int], slot: int) -> None:
        """Its place is free; the lane stays, for the next picture of its size."""
        self.lane(latent).busy.discard(slot)

    def decode(self, latent: tuple[int, int], slot: int, rounding: Rounding) -> Future[Decoded]:
        """Take the latent off its lane; `flush` decodes what was taken."""
        lane, size_bytes = self.lane(latent), 4 * self.lane(latent).count
        held = self._pictures_decoder().latents.take(size_bytes)
        self._driver.copy(self._steps, held.address, lane.latent_address(slot), size_bytes)
        finished = Finished(latent, rounding, held)
        self._finished.append(finished)
        return finished.result

    def flush(self) -> None:
        """Decode all latents taken since the last time, those alike together."""
        if not self._finished:
            return
        ready = self._steps.record()
        alike: dict[tuple[object, ...], list[Finished]] = {}
        for picture in self._finished:
            alike.setdefault((picture.latent, picture.rounding), []).append(picture)
        self._finished = []
        for pictures in alike.values():
            try:
                self._pictures_decoder().decode(pictures, ready)
            except DeviceMemoryError:
                self._give_back()
                self._decode_at_last(pictures, ready)

    def pace(self) -> None:
        """Wait until the GPU is at most two evaluations behind."""
        self._behind.append(self._steps.record())
        while len(self._behind) > _AHEAD:
            self._behind.popleft().sync()

    def shrink(self) -> int:
        """Give back what is not in use; where nothing was in the way, halve the rows of a call."""
        steps = self._arenas[id(self._steps)]
        in_the_way = any(a.size_bytes for a in self._arenas.values() if a is not steps)
        self._give_back()
        if in_the_way:
            return self.rows
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
        if self._decoder is not None:
            self._decoder.close()
        for lane in self._lanes.values():
            lane.busy.clear()
        self._give_back()
        for session in self._sessions.values():
            session.close()
        self._staging.close()
        self._text_staging.close()
        self._driver.close()

    def _network(self, name: str, stream: Stream) -> Calls:
        key = name, id(stream)
        if key not in self._calls:
            if name not in self._sessions:
                self._sessions[name] = self._load(name)
            self._calls[key] = Calls(
                self._driver, stream, self._arenas[id(stream)], self._sessions[name],
                self._options.graphs,
            )  # fmt: skip
        return self._calls[key]

    def _pictures_decoder(self) -> Decoder:
        if self._decoder is None:
            self._decoder = Decoder(
                self._driver, self._pictures, self._networks,
                self._network("vae_decoder", self._pictures), self._options.vae_rows,
            )  # fmt: skip
        return self._decoder

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
        for arena in self._arenas.values():
            arena.release()
        if self._decoder is not None:
            self._decoder.forget()

    def _drop_lanes(self, most: int) -> None:
        """Of the lanes with no picture in them, the least recently used, until `most` are left."""
        idle = [latent for latent, lane in self._lanes.items() if not lane.busy]
        for latent in idle[: max(len(self._lanes) - most, 0)]:
            self._network("unet", self._steps).forget()
            self._lanes.pop(latent).close()
