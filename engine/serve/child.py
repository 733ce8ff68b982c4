"""The process that owns an engine: takes messages, gives pictures.

It ends when it is told to, when whoever started it is gone, and when its GPU does not answer any
more; then another process takes its place.
"""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection

from sakuga.engine.backend.base import Pixels
from sakuga.engine.engine import Engine
from sakuga.engine.errors import SakugaError
from sakuga.engine.image.formats import encode
from sakuga.engine.image.jpeg import JpegOptions
from sakuga.engine.runtime.ticket import Ticket
from sakuga.engine.serve.messages import (
    Ask,
    Beat,
    Cancel,
    Enlarge,
    Failed,
    FromEngine,
    Made,
    Opened,
    Opening,
    PictureId,
    Previewed,
    Stepped,
    Stop,
)

BEAT_S = 0.5
_PREVIEW = JpegOptions(80)
_ENCODERS = 2  # pictures encoded at once, beside the steps


def run_child(connection: Connection, opening: Opening) -> None:
    """Open a bundle's engine and serve it until `Stop`, or the end of the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it; it says Stop
    outbox = _Outbox(connection)
    try:
        engine = Engine.open(
            opening.bundle,
            backend=opening.backend,
            preset=opening.preset,
            threads=opening.threads,
            vram_bytes=opening.vram_bytes,
            embeddings=opening.embeddings,
            upscalers=opening.upscalers,
            detectors=opening.detectors,
        )
    except SakugaError as error:
        outbox.send(_failed(None, error))
        return
    with engine, ThreadPoolExecutor(_ENCODERS, "sakuga-encode") as encoders:
        outbox.send(Opened(engine.backend, engine.sizes, engine.appetite))
        _start_beating(engine, outbox)
        _Desk(engine, outbox, encoders).serve(connection)


class _Outbox:
    """Messages from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def send(self, message: FromEngine) -> None:
        with self._lock, suppress(OSError):  # nobody listens any more
            self._connection.send(message)


class _Desk:
    """Pictures on their way."""

    def __init__(self, engine: Engine, outbox: _Outbox, encoders: ThreadPoolExecutor) -> None:
        self._engine, self._outbox, self._encoders = engine, outbox, encoders
        self._wanted: dict[PictureId, Ticket | Future[Pixels]] = {}

    def serve(self, connection: Connection) -> None:
        """Until there is nothing more to come."""
        with suppress(EOFError, OSError):
            while not isinstance(message := connection.recv(), Stop):
                match message:
                    case Ask():
                        self._take(message)
                    case Enlarge():
                        self._soon(partial(self._enlarge, message))
                    case Cancel():
                        if (wanted := self._wanted.pop(message.id, None)) is not None:
                            wanted.cancel()

    def _take(self, ask: Ask) -> None:
        try:
            ticket = self._engine.submit(
                ask.request,
                priority=ask.priority,
                deadline_s=ask.deadline_s,
                preview_every=ask.preview_every,
                on_step=lambda _, done, total: self._outbox.send(Stepped(ask.id, done, total)),
                on_preview=self._shower(ask.id) if ask.preview_every else None,
            )
        except SakugaError as error:
            self._outbox.send(_failed(ask.id, error))
        else:
            self._wanted[ask.id] = ticket
            ticket.add_done_callback(lambda done: self._finished(ask, done))

    def _enlarge(self, message: Enlarge) -> None:
        id, wanted = message.id, message.enlargement

        def watch(tile: int, tiles: int) -> None:  # which is a sign of life, too
            self._outbox.send(Stepped(id, 0, wanted.evaluations_in_all))

        try:
            pixels = wanted.picture.read()
            found = self._engine.upscale(pixels, wanted.upscaler, wanted.enlarged, watch)
        except SakugaError as error:
            self._outbox.send(_failed(id, error))
        else:
            self._wanted[id] = found
            found.add_done_callback(lambda done: self._enlarged(message, done))

    def _enlarged(self, message: Enlarge, done: "Future[Pixels]") -> None:
        self._wanted.pop(message.id, None)
        if not done.cancelled():
            self._soon(lambda: self._outbox.send(_enlarged(message, done)))

    def _shower(self, id: PictureId) -> Callable[[Ticket], None]:
        def show(ticket: Ticket) -> None:
            pixels = ticket.preview()
            if pixels is not None:
                jpeg = encode(pixels, "", _PREVIEW)
                self._outbox.send(Previewed(id, jpeg))

        return lambda ticket: self._soon(lambda: show(ticket))

    def _finished(self, ask: Ask, ticket: Ticket) -> None:
        self._wanted.pop(ask.id, None)
        if not ticket.cancelled:
            self._soon(lambda: self._outbox.send(_outcome(ask, ticket)))

    def _soon(self, work: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the engine closes, and nobody waits for it
            self._encoders.submit(work)


def _outcome(ask: Ask, ticket: Ticket) -> FromEngine:
    try:
        picture = ticket.result()
        data = encode(picture.pixels, picture.parameters, ask.format.options)
    except Exception as error:  # whatever it is, somebody waits for the picture
        return _failed(ask.id, error)
    return Made(ask.id, data, picture.parameters, picture.seed, picture.notes)


def _enlarged(message: Enlarge, done: "Future[Pixels]") -> FromEngine:
    wanted = message.enlargement
    try:
        data = encode(wanted.cut(done.result()), wanted.parameters, message.format.options)
    except Exception as error:  # whatever it is, somebody waits for the picture
        return _failed(message.id, error)
    return Made(message.id, data, wanted.parameters, wanted.seed, ())


def _failed(id: PictureId | None, error: Exception) -> Failed:
    kind = type(error).__name__
    if isinstance(error, SakugaError):
        return Failed(id, kind, error.what, error.note, error.hint)
    return Failed(id, kind, f"{kind}: {error}")


def _start_beating(engine: Engine, outbox: _Outbox) -> None:
    """As long as the engine's thread answers. A fault of the GPU ends the process."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(BEAT_S):
            try:
                engine.ping()
            except SakugaError as error:
                outbox.send(_failed(None, error))
                return
            outbox.send(Beat(engine.statistics))

    threading.Thread(target=beat, name="sakuga-beat", daemon=True).start()
