"""Which graph each network of a bundle gets, and in which precision."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import onnx

from sakuga.engine.manifest import AxisEntry, NetworkEntry, TensorEntry
from sakuga.export.bind import MODEL_FILE, weights_size_bytes
from sakuga.export.folded import folded
from sakuga.export.fused import fused
from sakuga.export.graph_files import graph_of
from sakuga.export.precision import Precision, in_precision
from sakuga.profiles.families import Family
from sakuga.profiles.networks import Network, Tensor, networks

Backend = Literal["onnx", "rtx", "tensorrt"]
EXACT_DECODER = "vae_decoder_fp32"


@dataclass(frozen=True, eq=False)
class NetworkGraph:
    """A network to bind: its graph in the precision it will compute in, not yet bound."""

    network: Network
    precision: Precision
    model: onnx.ModelProto

    @property
    def component(self) -> str:
        """The component of a checkpoint that holds its weights."""
        return "vae" if self.network.name.startswith("vae") else self.network.name

    @property
    def folder(self) -> str:
        """Its folder in a bundle."""
        return f"onnx/{self.network.name}"

    @property
    def size_bytes(self) -> int:
        """Bytes of its weights."""
        return weights_size_bytes(self.model)

    def entry(self) -> NetworkEntry:
        """What the manifest says of it."""
        return NetworkEntry(
            precision=self.precision,
            graph=f"{self.folder}/{MODEL_FILE}",
            inputs=tuple(_tensor(tensor, self.precision) for tensor in self.network.inputs),
            outputs=tuple(_tensor(tensor, self.precision) for tensor in self.network.outputs),
            axes={a.name: AxisEntry(a.minimum, a.maximum, a.step) for a in self.network.axes},
        )


def network_graphs(
    family: Family, backend: Backend, precision: Literal["fp32", "fp16"]
) -> list[NetworkGraph]:
    """Graphs of all networks of a family for a backend."""
    graphs = [
        _graph(family, network, _precision(network.name, backend, precision))
        for network in networks(family).values()
    ]
    if backend == "onnx":
        graphs = [_fused(graph) for graph in graphs]
        if precision == "fp32":  # the other is for GPUs, whose convolutions want even margins
            graphs = [_folded(graph) for graph in graphs]
    return graphs


def exact_decoder(family: Family, graphs: Sequence[NetworkGraph]) -> NetworkGraph | None:
    """The VAE's decoder in float32, where the one of `graphs` computes in less: it decodes again
    what came out as NaN."""
    usual = next(graph for graph in graphs if graph.network.name == "vae_decoder")
    if usual.precision == "float32":
        return None
    exact = _folded(_graph(family, usual.network, "float32"))
    return replace(exact, network=replace(exact.network, name=EXACT_DECODER))


def _graph(family: Family, network: Network, precision: Precision) -> NetworkGraph:
    model = in_precision(graph_of(family, network.name), network, precision)
    return NetworkGraph(network, precision, model)


def _fused(graph: NetworkGraph) -> NetworkGraph:
    return replace(graph, model=fused(graph.model)) if graph.network.name == "unet" else graph


def _folded(graph: NetworkGraph) -> NetworkGraph:
    return replace(graph, model=folded(graph.model, graph.network))


def _precision(network: str, backend: Backend, precision: Literal["fp32", "fp16"]) -> Precision:
    if precision == "fp32":
        return "float32"
    if network.startswith("vae"):
        # The stock SDXL VAE overflows float16; on a processor float32 costs nothing.
        return "float32" if backend == "onnx" else "mixed"
    return "float16"


def _tensor(tensor: Tensor, precision: Precision) -> TensorEntry:
    if tensor.dtype != "compute":
        return TensorEntry(tensor.name, tensor.dtype, tensor.dims)
    assert precision != "mixed", tensor.name  # a VAE's borders are float32
    return TensorEntry(tensor.name, precision, tensor.dims)
