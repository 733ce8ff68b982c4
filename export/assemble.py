"""Write the files of a bundle: graph graphs, token embeddings, the tokenizer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from sakuga.engine.bundle import EMBEDDINGS
from sakuga.engine.digests import file_sha256
from sakuga.engine.manifest import (
    SCHEMA,
    CheckpointEntry,
    FileEntry,
    LoraEntry,
    Manifest,
    VaeEntry,
)
from sakuga.engine.presets import choose_preset, recognise
from sakuga.engine.text.bundled_embeddings import tensor_name
from sakuga.engine.text.tokenizer import write_tokenizer
from sakuga.engine.version import VERSION
from sakuga.export.adapters.bundled import BundledVectors
from sakuga.export.bind import Adapt, bind, cast
from sakuga.export.checkpoint.layouts import Checkpoint
from sakuga.export.checkpoint.safetensors_writer import PlannedTensor, write_safetensors
from sakuga.export.checkpoint.sources import Array
from sakuga.export.graph_files import graph_versions
from sakuga.export.network_graph import NetworkGraph, exact_decoder
from sakuga.export.precision import NUMPY_TYPES, Precision
from sakuga.profiles.preset import Preset

# (what is being written, bytes done, bytes in all)
Progress = Callable[[str, int, int], None]

TOKENIZER = "text/tokenizer.json"
TOKEN_EMBEDDING = "text_model.embeddings.token_embedding.weight"


@dataclass(frozen=True, eq=False)
class Assembly:
    """What goes into one bundle, and where. `preset`: the name of the one that was chosen.

    `loras`: what the adapter of `assemble` merges; `bundled`: the textual inversions they bring.
    """

    checkpoint: Checkpoint
    graphs: list[NetworkGraph]
    folder: Path
    preset: str | None = None
    loras: tuple[LoraEntry, ...] = ()
    bundled: BundledVectors = field(default_factory=dict)

    @cached_property
    def exact_decoder(self) -> NetworkGraph | None:
        """A second decoder of the VAE, in float32, where the first is not."""
        return exact_decoder(self.checkpoint.family, self.graphs)

    @property
    def all_graphs(self) -> list[NetworkGraph]:
        """Everything to bind."""
        return [*self.graphs, *([self.exact_decoder] if self.exact_decoder else [])]

    @cached_property
    def sha256(self) -> str:
        """The checkpoint's, in hex; it is read in full once."""
        return self.checkpoint.sha256()

    @property
    def size_bytes(self) -> int:
        """About how many bytes the bundle will take."""
        embeddings = sum(
            int(np.prod(self.checkpoint.components[name].shape(TOKEN_EMBEDDING)))
            * NUMPY_TYPES[precision].itemsize
            for name, precision in self.encoders.items()
        )
        return embeddings + sum(graph.size_bytes for graph in self.all_graphs) + (1 << 24)

    @property
    def encoders(self) -> dict[str, Precision]:
        """Precision of each text encoder by name."""
        return {
            graph.network.name: graph.precision
            for graph in self.graphs
            if graph.component.startswith("text_encoder")
        }


def unchanged(name: str, values: Array) -> Array:
    """The adapter of a build that changes no tensor."""
    return values


def assemble(assembly: Assembly, progress: Progress, adapt: Adapt = unchanged) -> Manifest:
    """Write every file but the manifest, and return what the manifest says.

    `adapt` sees each tensor once, as `component/name`, and may change its values.
    """
    preset = _preset(assembly)  # what is wrong with it is told before anything is written
    files: dict[str, FileEntry] = {}
    (assembly.folder / "text").mkdir(parents=True)
    write_tokenizer(assembly.folder / TOKENIZER)
    for name, precision in assembly.encoders.items():
        _write_embedding(assembly, name, precision, adapt)
    _write_bundled(assembly)
    own = [EMBEDDINGS] if assembly.bundled else []
    for file in (TOKENIZER, *_embeddings(assembly).values(), *own):
        path = assembly.folder / file
        files[file] = FileEntry(path.stat().st_size, file_sha256(path))
    for graph in assembly.all_graphs:
        files |= _write_network(assembly, graph, progress, adapt)
    return _manifest(assembly, preset, files)


def _preset(assembly: Assembly) -> Preset | None:
    """The preset asked for, else the one that knows the checkpoint's hash."""
    name = recognise(assembly.sha256[:10]) if assembly.preset is None else assembly.preset
    return None if name is None else choose_preset(name, assembly.checkpoint.family.base)


def _write_embedding(assembly: Assembly, encoder: str, precision: Precision, adapt: Adapt) -> None:
    name, tensors = f"{encoder}/{TOKEN_EMBEDDING}", assembly.checkpoint.components[encoder]
    values = adapt(name, tensors.read(TOKEN_EMBEDDING))
    assert values.shape == tensors.shape(TOKEN_EMBEDDING), (name, values.shape)
    table = np.ascontiguousarray(cast(name, values, NUMPY_TYPES[precision]))
    # numpy.save would do, but its error on a full disk says neither "full" nor where.
    with (assembly.folder / _embeddings(assembly)[encoder]).open("xb") as file:
        npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(table))
        file.write(table.reshape(-1).view(np.uint8).data)


def _write_bundled(assembly: Assembly) -> None:
    planned = {
        tensor_name(encoder, name): _planned(vectors)
        for name, by_encoder in assembly.bundled.items()
        for encoder, vectors in by_encoder.items()
    }
    if planned:
        write_safetensors(assembly.folder / EMBEDDINGS, planned, {})


def _planned(vectors: Array) -> PlannedTensor:
    return PlannedTensor("F32", vectors.shape, lambda: vectors)


def _embeddings(assembly: Assembly) -> dict[str, str]:
    return {encoder: f"text/{encoder}.npy" for encoder in assembly.encoders}


def _write_network(
    assembly: Assembly, graph: NetworkGraph, progress: Progress, adapt: Adapt
) -> dict[str, FileEntry]:
    name, total, done = graph.network.name, graph.size_bytes, 0

    def advance(written: int) -> None:
        nonlocal done
        done += written
        progress(name, done, total)

    def adapted(tensor: str, values: Array) -> Array:
        return adapt(f"{graph.component}/{tensor}", values)

    tensors = assembly.checkpoint.components[graph.component]
    bound = bind(graph.model, tensors, assembly.folder / graph.folder, adapted, advance)
    return {
        f"{graph.folder}/{file}": FileEntry(bound.size_bytes[file], digest)
        for file, digest in bound.sha256.items()
    }


def _manifest(assembly: Assembly, preset: Preset | None, files: dict[str, FileEntry]) -> Manifest:
    checkpoint, vae = assembly.checkpoint, assembly.checkpoint.vae_file
    return Manifest(
        schema=SCHEMA,
        sakuga=VERSION,
        family=checkpoint.family.name,
        prediction=checkpoint.prediction,
        zero_terminal_snr=checkpoint.zero_terminal_snr,
        zero_absent_negative=checkpoint.sampling.zero_absent_negative,
        timestep_spacing=checkpoint.sampling.timestep_spacing,
        checkpoint=CheckpointEntry(
            name=checkpoint.path.stem,
            layout=checkpoint.layout,
            sha256=assembly.sha256,
            unknown=checkpoint.unknown,
            overrides=checkpoint.overrides.spoken(),
        ),
        loras=assembly.loras,
        vae=VaeEntry(vae.path.name, vae.sha256()) if vae else None,
        preset=preset.name if preset else None,
        licence=preset.licence.name if preset else None,
        exporter=graph_versions(),
        tokenizer=TOKENIZER,
        token_embeddings=_embeddings(assembly),
        networks={graph.network.name: graph.entry() for graph in assembly.graphs},
        exact_decoder=assembly.exact_decoder.entry().graph if assembly.exact_decoder else None,
        plans={},
        verification={},
        files=files,
    )
