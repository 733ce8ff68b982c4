"""On a machine of the cluster: its bundle, an engine, and whether that is like all the others."""

import socket
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from sakuga.engine.backend.choose import choose_device
from sakuga.engine.bundle import Bundle, open_bundle, read_manifest
from sakuga.engine.engine import Engine
from sakuga.engine.errors import BundleError, BundleFormatError, SakugaError, UsageError
from sakuga.engine.jobs.cluster.bundle_copy import placed_bundle
from sakuga.engine.jobs.cluster.connection import ray_library
from sakuga.engine.jobs.cluster.elsewhere import DeviceElsewhere
from sakuga.engine.jobs.cluster.order import Order, alike_here
from sakuga.engine.jobs.cluster.outcome import Broken
from sakuga.engine.manifest import parse_manifest
from sakuga.engine.platform import cache_folder

_PIECE_BYTES = 1 << 24
_PIECES_AHEAD = 4  # on their way at once, so that neither disk nor network waits


def open_here(order: Order) -> Engine:
    """The engine of an order. Raises what `Engine.open` raises, and UsageError where it would
    render something else than the others do."""
    bundle, options = bundle_here(order), order.options
    engine = Engine.open(
        bundle.path,
        backend=options.backend,
        preset=options.preset,
        threads=options.threads,
        vram_bytes=options.vram_bytes,
        embeddings=options.embeddings,
        upscalers=options.upscalers,
        detectors=options.detectors,
    )
    if engine.backend != order.computes:
        engine.close()
        raise UsageError(
            "The machines of the Ray cluster do not all compute alike.",
            note=f"This one has {engine.backend}, the first one asked {order.computes}; a picture "
            "would depend on which of them makes it.",
            hint="Start Ray on machines that are alike, or render a share on each kind: --shard.",
        )
    return engine


def survey(order: Order) -> DeviceElsewhere | Broken:
    """The device that an engine would have here; no network is loaded to find out."""
    try:
        options = order.options
        bundle = bundle_here(order)
        device = choose_device(bundle, options.backend, options.threads, options.vram_bytes)()
        try:
            return DeviceElsewhere.like(device)
        finally:
            device.close()
    except SakugaError as error:
        return Broken(socket.gethostname(), error)


def bundle_here(order: Order) -> Bundle:
    """The bundle as this machine sees it, copied here first where it does not.

    Raises UsageError where something else decides over pictures than where they were ordered.
    """
    bundle = open_bundle(_path_here(order))
    differences = order.alike.differences(alike_here(bundle, order.options))
    if differences:
        raise UsageError(
            "A machine of the Ray cluster would render other pictures than this one.",
            note=f"{'; '.join(differences)}.",
            hint="Install the same Sakuga, presets, embeddings, upscalers and detectors on every "
            "machine, the latter three under the same paths.",
        )
    return bundle


def _path_here(order: Order) -> Path:
    try:
        if read_manifest(order.bundle) == parse_manifest(order.manifest):
            return order.bundle
    except BundleFormatError:
        pass  # not seen from here, or another one
    try:
        folder = cache_folder() / "bundles"
    except OSError as error:
        raise BundleError(
            "The bundle is not seen from here, and there is no place for a copy.",
            note=f"{error}.",
            hint=f"Put the bundle on every machine as {order.bundle}, or give the user of Ray's "
            "processes a cache folder: XDG_CACHE_HOME.",
        ) from error
    manifest = parse_manifest(order.manifest)

    def pieces(name: str) -> Iterator[bytes]:
        return _pieces(order, name, manifest.files[name].size_bytes)

    return placed_bundle(folder, order.bundle.stem, order.manifest, pieces)


def _pieces(order: Order, name: str, size_bytes: int) -> Iterator[bytes]:
    """A file of the bundle through Ray's object store, a few pieces at a time."""
    ray = ray_library()
    there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(order.node, soft=False)
    read = ray.remote(read_piece).options(num_cpus=0, scheduling_strategy=there)
    asked = deque[object]()
    for start in range(0, size_bytes, _PIECE_BYTES):
        asked.append(read.remote(order.bundle / name, start, _PIECE_BYTES))
        if len(asked) > _PIECES_AHEAD:
            yield ray.get(asked.popleft())
    while asked:
        yield ray.get(asked.popleft())


def read_there(order: Order) -> Callable[[Path], bytes]:
    """A function that reads a whole file on the machine the order came from, through Ray's object
    store: this machine may have none of that name, or another. It raises OSError."""
    ray = ray_library()
    there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(order.node, soft=False)
    read = ray.remote(read_piece).options(num_cpus=0, scheduling_strategy=there)

    def read_file(path: Path) -> bytes:
        try:
            data: bytes = ray.get(read.remote(path, 0, -1))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, OSError):
                raise error.cause from error
            raise
        return data

    return read_file


def read_piece(path: Path, start: int, size_bytes: int) -> bytes:
    """A part of a file, which may end before; with -1 all that follows."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size_bytes)
