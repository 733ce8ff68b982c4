"""The verb that serves."""

import ipaddress
import json
import logging
import stat
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import click

from sakuga.engine.errors import MissingDependencyError, UsageError, install_hint
from sakuga.engine.option_types import BYTES
from sakuga.engine.plans import BACKENDS

_LEAST_TOKEN = 16  # characters


@click.command(short_help="Serve bundles over HTTP.")
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=7860, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--token",
    type=click.Path(path_type=Path),
    help="File with the token clients must show; needed for any host but this machine.",
)
@click.option("--max-pictures", type=click.IntRange(min=1), help="On their way at once [256].")
@click.option("--max-work", type=float, help="Megapixel-steps on their way at once [20000].")
@click.option("--drain", type=float, help="Seconds for pictures on their way at SIGTERM [30].")
@click.option("--silence", type=float, help="Seconds before a mute engine is replaced [120].")
@click.option("--trace", is_flag=True, help="Send spans, as OpenTelemetry's variables say.")
@click.option("--preset", help="Preset to use instead of the bundles' own; none: without one.")
@click.option("--embeddings", type=click.Path(path_type=Path), help="Folder of embeddings.")
@click.option("--upscalers", type=click.Path(path_type=Path), help="Folder of upscalers.")
@click.option("--detectors", type=click.Path(path_type=Path), help="Folder of detectors.")
@click.option("--threads", type=int, help="Threads of the networks [default: all cores].")
@click.option("--backend", type=click.Choice(BACKENDS), help="Where to render.")
@click.option("--vram", type=BYTES, help="GPU memory for each bundle, such as 8G.")
def serve(
    bundles: tuple[Path, ...],
    host: str,
    port: int,
    token: Path | None,
    max_pictures: int | None,
    max_work: float | None,
    drain: float | None,
    silence: float | None,
    trace: bool,
    preset: str | None,
    embeddings: Path | None,
    upscalers: Path | None,
    detectors: Path | None,
    threads: int | None,
    backend: str | None,
    vram: int | None,
) -> None:
    """Serve BUNDLES over HTTP, each by its folder's name; the first is the default.

    The log goes to stderr, one JSON object a line. SIGTERM or Ctrl-C: nothing new is taken,
    pictures on their way are finished; a second one stops at once.
    """
    _check_packages()
    from sakuga.engine.runtime.admission import Limits
    from sakuga.engine.serve.app import AppOptions
    from sakuga.engine.serve.keeper import Patience
    from sakuga.engine.serve.messages import Opening
    from sakuga.engine.serve.run import ServerOptions, run_server

    secret = None if token is None else read_token(token)
    if secret is None and not is_loopback(host):
        raise UsageError(
            f"Without a token the server listens on this machine alone, not on {host}.",
            note="Whoever reaches it may render with it.",
            hint="Write a long random text into a file and give it with --token FILE.",
        )
    usual = ServerOptions()
    options = ServerOptions(
        host=host,
        port=port,
        trace=trace,
        app=AppOptions(token=secret),
        limits=Limits(
            max_pictures or usual.limits.pictures, max_work or usual.limits.megapixel_steps
        ),
        patience=usual.patience if silence is None else Patience(silence_s=silence),
        drain_s=usual.drain_s if drain is None else drain,
    )
    folders = (embeddings, upscalers, detectors)
    openings = [Opening(path, backend, preset, threads, vram, *folders) for path in bundles]
    log_to_stderr()
    run_server(openings, options)


def read_token(path: Path) -> str:
    """The token in a file. Raises UsageError for a file that is none or that others may read."""
    try:
        text = path.read_text("utf-8").strip()
        open_to_others = sys.platform != "win32" and path.stat().st_mode & (
            stat.S_IRGRP | stat.S_IROTH
        )
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The token cannot be read from {path}.",
            note=f"{error}.",
            hint="Give a text file with one line.",
        ) from error
    if len(text) < _LEAST_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(
            f"The token in {path} is none.",
            note=f"It has {len(text)} characters; it must be one word of {_LEAST_TOKEN} or more.",
            hint=f"openssl rand -hex 32 > {path}",
        )
    if open_to_others:
        raise UsageError(
            f"Others on this machine may read the token in {path}.", hint=f"chmod 600 {path}"
        )
    return text


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class JsonLines(logging.Formatter):
    """`event key=value …` messages, and any other, as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """A line."""
        fields = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def log_to_stderr() -> None:
    """Everything from INFO on, as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _check_packages() -> None:
    missing = [
        name for name in ("fastapi", "python_multipart", "uvicorn") if find_spec(name) is None
    ]
    if missing:
        raise MissingDependencyError(
            f"Serving needs {' and '.join(missing)}.", hint=install_hint("serve")
        )
