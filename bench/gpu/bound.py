"""A network bound to random inputs, as `Calls` binds it for pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gpu.memory import memory
from gpu.networks import Chosen
from gpu.timing import Work
from sakuga.engine.backend.cuda.calls import Calls
from sakuga.engine.backend.cuda.driver import Driver, Stream
from sakuga.engine.backend.cuda.session import Arena, DeviceSession, Tensor
from sakuga.engine.backend.network import Networks, dtype_of, row_shape
from sakuga.engine.manifest import TensorEntry
from sakuga.profiles.buckets import Size

_TIMESTEP = 500.0


@contextmanager
def bound(
    driver: Driver, stream: Stream, chosen: Chosen, session: DeviceSession, network: str,
    size: Size, rows: int,
) -> Iterator[Work]:  # fmt: skip
    """One run of `rows` rows, to be put on the stream as often as wanted."""
    entry = Networks.of(chosen.bundle).entries[network]
    with memory(driver, stream) as held:

        def tensor_of(tensor: TensorEntry) -> Tensor:
            shape = (rows, *row_shape(tensor, size.latent()))
            dtype: np.dtype[Any] = dtype_of(tensor)
            if tensor.name in ("timestep", "time_ids"):
                values = np.full(shape, _TIMESTEP, dtype)
                return Tensor(int(held.holding(values)), shape, dtype)
            kind = np.float16 if dtype == np.float16 else np.float32
            address = int(held.normal(int(np.prod(shape)), kind))
            return Tensor(address, shape, dtype, output=tensor in entry.outputs)

        tensors = {t.name: tensor_of(t) for t in (*entry.inputs, *entry.outputs)}
        arena = Arena(driver, stream)
        calls = Calls(driver, arena, lambda stream: session, graphs=True)
        try:
            yield lambda: calls.launch((size, rows), lambda: tensors)
        finally:
            calls.forget()
            arena.release()
