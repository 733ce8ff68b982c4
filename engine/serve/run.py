"""Runs the server: from the command's options to a process that ends well."""

import asyncio
import logging
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import uvicorn

from sakuga.engine.errors import UsageError
from sakuga.engine.platform import allow_many_files
from sakuga.engine.runtime.admission import Limits
from sakuga.engine.serve.app import AppOptions, create_app
from sakuga.engine.serve.keeper import Patience
from sakuga.engine.serve.messages import Opening
from sakuga.engine.serve.served import Served, name_of, serve_bundle
from sakuga.engine.serve.tracing import configure_exporter, trace_pictures

_LOG = logging.getLogger("sakuga.serve")

DEFAULT_LIMITS = Limits(pictures=256, megapixel_steps=20_000.0)


@dataclass(frozen=True)
class ServerOptions:
    """Where to listen, who may ask, how much may be on its way.

    `drain_s`: how long pictures on their way may take after the server was told to stop. `trace`:
    send spans where OpenTelemetry's variables say.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    trace: bool = False
    app: AppOptions = field(default_factory=AppOptions)
    limits: Limits = DEFAULT_LIMITS
    patience: Patience = field(default_factory=Patience)
    drain_s: float = 30.0


def run_server(openings: Sequence[Opening], options: ServerOptions) -> None:
    """Serve until told to stop. Raises UsageError, and as `Engine.open` for a bundle that cannot be
    opened."""
    names = [name_of(opening.bundle) for opening in openings]
    if len(set(names)) < len(names):
        raise UsageError(
            "Two bundles have the same name.",
            note=f"They are called {', '.join(names)}.",
            hint="Rename one of their folders.",
        )
    bundles = [
        serve_bundle(name, opening, options.patience)
        for name, opening in zip(names, openings, strict=True)
    ]
    allow_many_files()  # each client has a connection
    served = Served(bundles, options.limits)
    if options.trace:
        configure_exporter()
        trace_pictures(served)
    asyncio.run(_serve(served, options))


async def _serve(served: Served, options: ServerOptions) -> None:
    config = uvicorn.Config(
        create_app(served, options.app),
        log_config=None,
        access_log=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    listener = _listen(options)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(_told, stopping, server))
    drain = asyncio.create_task(_drain(stopping, served, server, options.drain_s))
    _LOG.info("server.listening host=%s port=%d", options.host, listener.getsockname()[1])
    with listener:
        await server._serve([listener])  # serve() would put its own handlers of signals
    drain.cancel()


def _told(stopping: asyncio.Event, server: uvicorn.Server) -> None:
    """The first signal lets pictures be finished, the second does not."""
    if stopping.is_set():
        server.should_exit = server.force_exit = True
    stopping.set()


async def _drain(
    stopping: asyncio.Event, served: Served, server: uvicorn.Server, drain_s: float
) -> None:
    await stopping.wait()
    _LOG.info("server.draining")
    try:
        await asyncio.wait_for(served.drain(), drain_s)
    except TimeoutError:
        _LOG.warning("server.drain_timeout")
    server.should_exit = True


def _listen(options: ServerOptions) -> socket.socket:
    try:
        listener = socket.create_server((options.host, options.port), backlog=2048)
    except OSError as error:
        raise UsageError(
            f"The server cannot listen on {options.host}:{options.port}.",
            note=f"{error.strerror or error}.",
            hint="Choose another port with --port, or stop what has this one.",
        ) from error
    # Connections take this over. Headers and body of an answer are written apart; without it the
    # body waits until the client has acknowledged the headers, which clients put off for 40 ms.
    # (asyncio sets it on sockets that were made with TCP's number, and these were not.)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
