"""A stand-in for plans: a network in torch, on our streams and on our buffers.

What stands on a GPU machine without TensorRT. On a GPU torch captures each binding in a CUDA graph
of its own at the second run, as `Calls` does with plans: only torch can give the captured work
memory that nothing else uses.
"""

import ctypes
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from gpu.torch_models import Models
from sakuga.engine.backend.cuda.driver import Stream
from sakuga.engine.backend.cuda.host_driver import HostStream
from sakuga.engine.backend.cuda.session import Arena, Binding, Tensor
from sakuga.export.trace import TracedText

Run = Callable[[], None]
_RECOMPILES = 64  # shapes that torch.compile may see before it gives up


class TorchSession:
    """A `DeviceSession`. `module` takes and gives the network's tensors in the order of its entry.

    `graphs` off launches torch's kernels one by one. `arena` is not used: torch has its own.
    """

    captures = False  # torch does

    def __init__(self, module: torch.nn.Module, device: str, graphs: bool = True) -> None:
        self._module, self._device, self._graphs = module, device, graphs
        self._pool = torch.cuda.graph_pool_handle() if device == "cuda" else None

    def bind(self, tensors: Mapping[str, Tensor], arena: Arena) -> Binding:
        """Views of the buffers."""
        views = {name: view(tensor, self._device) for name, tensor in tensors.items()}
        inputs = [views[name] for name, tensor in tensors.items() if not tensor.output]
        outputs = [views[name] for name, tensor in tensors.items() if tensor.output]

        def run() -> None:
            with torch.inference_mode():
                found = self._module(*inputs)
                given = found if isinstance(found, tuple) else (found,)
                for output, values in zip(outputs, given, strict=True):
                    output.copy_(values)

        return _GpuBinding(run, self._pool, self._graphs) if self._pool else _HostBinding(run)

    def close(self) -> None:
        """The module is the caller's."""


class _GpuBinding:
    def __init__(self, run: Run, pool: Any, graphs: bool) -> None:  # noqa: ANN401
        self._run, self._pool, self._graphs = run, pool, graphs
        self._runs, self._graph = 0, None

    def launch(self, stream: Stream) -> None:
        with on(stream, "cuda"):
            self._runs += 1
            if self._runs == 2 and self._graphs:
                self._graph = self._captured()
            if self._graph is None:
                self._run()
            else:
                self._graph.replay()

    def close(self) -> None:
        self._graph = None

    def _captured(self) -> Any:  # noqa: ANN401
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        mode = "thread_local"  # another thread may wait for pictures meanwhile
        with torch.cuda.graph(graph, self._pool, stream, capture_error_mode=mode):
            self._run()
        return graph


class _HostBinding:
    def __init__(self, run: Run) -> None:
        self._run = run

    def launch(self, stream: Stream) -> None:
        assert isinstance(stream, HostStream)
        stream.put(self._run)

    def close(self) -> None:
        pass


class _Array:
    """Device memory as other libraries read it: the CUDA array interface, version 3."""

    def __init__(self, tensor: Tensor) -> None:
        self.__cuda_array_interface__ = {
            "shape": tensor.shape,
            "typestr": tensor.dtype.str,
            "data": (tensor.address, False),
            "strides": None,
            "version": 3,
        }


def view(tensor: Tensor, device: str) -> torch.Tensor:
    """A torch tensor on borrowed memory."""
    if device == "cuda":
        return torch.as_tensor(_Array(tensor), device=device)
    size_bytes = int(np.prod(tensor.shape)) * tensor.dtype.itemsize
    memory = (ctypes.c_uint8 * size_bytes).from_address(tensor.address)
    array = np.frombuffer(memoryview(memory), tensor.dtype)
    return torch.from_numpy(array.reshape(tensor.shape))


@contextmanager
def on(stream: Stream, device: str) -> Iterator[None]:
    """Within the block torch puts its work on this stream."""
    if device != "cuda":
        yield
        return
    with torch.cuda.stream(torch.cuda.ExternalStream(stream.handle)):
        yield


class _UNet(torch.nn.Module):
    def __init__(self, unet: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.unet, self._dtype = unet, unet.dtype

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        text_embeds: torch.Tensor | None = None,
        time_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        added = None
        if text_embeds is not None:
            added = {"text_embeds": text_embeds, "time_ids": time_ids}
        out: torch.Tensor = self.unet(
            sample.to(self._dtype), timestep, encoder_hidden_states.to(self._dtype),
            added_cond_kwargs=added, return_dict=False,
        )[0]  # fmt: skip
        return out


class _Decoder(torch.nn.Module):
    def __init__(self, vae: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.vae, self._dtype = vae, vae.dtype

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        image: torch.Tensor = self.vae.decode(latent.to(self._dtype), return_dict=False)[0]
        return image


class _Text(torch.nn.Module):
    """The traced form keeps its mask in float32; autocast makes it one with float16 weights."""

    def __init__(self, traced: TracedText, device: str) -> None:
        super().__init__()
        self.traced, self._device = traced, device

    def forward(
        self, inputs_embeds: torch.Tensor, end_index: torch.Tensor, clip_skip: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        with torch.autocast(self._device, torch.float16, enabled=self._device != "cpu"):
            outputs: tuple[torch.Tensor, ...] = self.traced(inputs_embeds, end_index, clip_skip)
        return outputs


def torch_module(models: Models, network: str, device: str) -> torch.nn.Module:
    """The network as a module; it shares the weights of `models`."""
    if network == "unet":
        return _UNet(models.unet)
    if network == "vae_decoder":
        return _Decoder(models.vae)
    return _Text(TracedText(models.text[network]), device)


def compiled(module: Any) -> Any:  # noqa: ANN401 (a module, or a method of one)
    """By torch.compile in its default mode: the first shape as it is, further ones as dynamic."""
    torch._dynamo.config.recompile_limit = _RECOMPILES
    return torch.compile(module)
