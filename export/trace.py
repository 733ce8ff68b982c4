"""`python -m sakuga.export.trace`: the weight-free ONNX graphs of every family.

For maintainers; needs the `verify` extra. Modules are made on the meta device, so a graph of
2.6 billion parameters is traced in the memory of its code. `sakuga build` needs none of this: it
binds a checkpoint to the graphs that ship in `export/graphs`.
"""

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from sakuga.export.graph_files import GRAPHS, write_graph
from sakuga.export.reference import TextModule, unet_module, vae_module
from sakuga.export.simplify import simplified
from sakuga.profiles.families import TRACED, VAE_FACTOR, Family
from sakuga.profiles.networks import CONTEXT, Axis, Network, Tensor, networks, shape_of

OPSET = 18
# Odd sides, so that nothing in the graph relies on a latent that halves evenly.
SAMPLE = {
    "rows": 2,
    "context": CONTEXT.minimum * 2,
    "latent_height": 17,
    "latent_width": 23,
    "height": 136,
    "width": 184,
}
PINNED = ("torch", "diffusers", "transformers", "onnx", "onnxscript", "onnx-ir")


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    heads: int,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Attention as TensorRT fuses it: scaled query, MatMul, Softmax, MatMul. [B, T, heads·d]."""
    width = query.shape[-1] // heads
    q = torch.unflatten(query, -1, (heads, width)).permute(0, 2, 1, 3) * width**-0.5
    k = torch.unflatten(key, -1, (heads, width)).permute(0, 2, 3, 1)
    v = torch.unflatten(value, -1, (heads, width)).permute(0, 2, 1, 3)
    scores = q @ k
    if mask is not None:
        scores = scores + mask
    out: torch.Tensor = torch.softmax(scores, dim=-1) @ v
    return out.permute(0, 2, 1, 3).flatten(2)


class TracedAttention:
    """The attention processor put into diffusers' modules before they are traced."""

    def __call__(
        self,
        attn: Any,  # noqa: ANN401 (diffusers' Attention, half of whose parts may be None)
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        assert attention_mask is None
        residual, shape = hidden_states, hidden_states.shape
        if len(shape) == 4:  # the VAE attends over pixels
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        out: torch.Tensor = attn.to_out[0](attend(query, key, value, attn.heads, None))
        if len(shape) == 4:
            out = out.transpose(1, 2).reshape(shape)
        return out + residual if attn.residual_connection else out


class TracedText(torch.nn.Module):
    """A text encoder from embedded tokens; outputs as `profiles.networks.text_encoder` says."""

    def __init__(self, module: TextModule) -> None:
        super().__init__()
        self.text_model: Any = module.text_model
        self.text_projection = module.text_projection

    def forward(
        self, inputs_embeds: torch.Tensor, end_index: torch.Tensor, clip_skip: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        model, length = self.text_model, inputs_embeds.shape[1]
        mask = torch.full((length, length), float("-inf"), device=inputs_embeds.device).triu(1)
        hidden = inputs_embeds + model.embeddings.position_embedding.weight
        states = []
        for layer in model.encoder.layers:
            attn, normed = layer.self_attn, layer.layer_norm1(hidden)
            q, k, v = attn.q_proj(normed), attn.k_proj(normed), attn.v_proj(normed)
            hidden = hidden + attn.out_proj(attend(q, k, v, attn.num_heads, mask))
            hidden = hidden + layer.mlp(layer.layer_norm2(hidden))
            states.append(hidden)
        chosen = torch.stack(states).index_select(0, len(states) - clip_skip).squeeze(0)
        outputs = (chosen, model.final_layer_norm(chosen))
        if self.text_projection is None:
            return outputs
        width = hidden.shape[-1]
        end = hidden.gather(1, end_index[:, None, None].expand(-1, 1, width)).squeeze(1)
        return (*outputs, self.text_projection(model.final_layer_norm(end)))


class TracedUNet(torch.nn.Module):
    """A UNet with per-row timesteps and flat conditioning inputs."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        self.unet = unet_module(family)
        self.unet.set_attn_processor(TracedAttention())
        # diffusers follows the sizes of the skip connections, instead of doubling, where a side
        # is no multiple of 2^num_upsamplers; with this no side is, and every size comes out right.
        self.unet.num_upsamplers = 16

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
            sample, timestep, encoder_hidden_states, added_cond_kwargs=added, return_dict=False
        )[0]
        return out


class TracedDecoder(torch.nn.Module):
    """VAE decoder: latent to picture."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        vae = vae_module(family)
        vae.set_attn_processor(TracedAttention())
        self.decoder, self.post_quant_conv = vae.decoder, vae.post_quant_conv

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        image: torch.Tensor = self.decoder(self.post_quant_conv(latent))
        return image


class TracedEncoder(torch.nn.Module):
    """VAE encoder: picture to mean and log-variance."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        vae = vae_module(family)
        vae.set_attn_processor(TracedAttention())
        self.encoder, self.quant_conv = vae.encoder, vae.quant_conv

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, logvar = self.quant_conv(self.encoder(image)).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)


def traced_module(family: Family, network: str) -> torch.nn.Module:
    """The module whose forward is the network, parameters named as in `profiles.weights`."""
    if network == "unet":
        return TracedUNet(family)
    if network == "vae_decoder":
        return TracedDecoder(family)
    if network == "vae_encoder":
        return TracedEncoder(family)
    config = next(encoder for encoder in family.text_encoders if encoder.name == network)
    return TracedText(TextModule(config))


def trace(family: Family, network: Network) -> Any:  # noqa: ANN401 (onnx.ModelProto, untyped here)
    """The weight-free ONNX graph of one network, simplified, every weight an empty initializer."""
    with torch.device("meta"):
        module = traced_module(family, network.name).eval()
        example = tuple(_example(tensor) for tensor in network.inputs)
    dims = {axis.name: _dynamic(axis) for axis in network.axes}
    shapes = tuple(
        {i: dims[dim] for i, dim in enumerate(tensor.dims) if isinstance(dim, str)}
        for tensor in network.inputs
    )
    with torch.no_grad():
        program = torch.export.export(module, example, dynamic_shapes=shapes, strict=False)
    exported = torch.onnx.export(
        program,
        dynamo=True,
        optimize=False,
        opset_version=OPSET,
        input_names=[tensor.name for tensor in network.inputs],
        output_names=[tensor.name for tensor in network.outputs],
        verbose=False,
    )
    assert exported is not None
    return simplified(exported.model, network)


def _dynamic(axis: Axis) -> Any:  # noqa: ANN401 (torch's derived dims have no public type)
    """The axis for torch.export. Below 10 it fails to prove that no level's side is 0 or 1."""
    if axis.name == "rows":
        return Dim("rows", min=1, max=axis.maximum)
    if axis.name in ("height", "width"):
        return VAE_FACTOR * Dim(f"latent_{axis.name}", min=16, max=axis.maximum // VAE_FACTOR)
    return Dim(axis.name, min=16, max=axis.maximum)


def _example(tensor: Tensor) -> torch.Tensor:
    dtype = torch.int64 if tensor.dtype == "int64" else torch.float32
    return torch.zeros(shape_of(tensor, SAMPLE), dtype=dtype)


@dataclass(frozen=True)
class Traced:
    """What one trace cost."""

    family: str
    network: str
    seconds: float
    nodes: int
    compressed_bytes: int


def trace_all(families: Mapping[str, Family], folder: Path) -> list[Traced]:
    """Trace every network of the families into `folder`; equal networks are traced once."""
    done: dict[object, Any] = {}
    report = []
    for family in families.values():
        for network in networks(family).values():
            start = time.perf_counter()
            key = _architecture(family, network)
            if key not in done:
                done[key] = trace(family, network)
            size = write_graph(done[key], folder, family.name, network.name)
            nodes = len(done[key].graph.node)
            report.append(
                Traced(family.name, network.name, time.perf_counter() - start, nodes, size)
            )
            print(json.dumps(report[-1].__dict__), flush=True)
    pins = {package: version(package) for package in PINNED}
    (folder / "versions.json").write_text(json.dumps(pins, indent=2) + "\n")
    return report


def _architecture(family: Family, network: Network) -> object:
    if network.name.startswith("text_encoder"):
        return next(e for e in family.text_encoders if e.name == network.name)
    if network.name == "unet":
        return family.unet, family.pooled
    vae = family.vae
    return network.name, vae.channels, vae.groups, vae.resnets_per_level


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m sakuga.export.trace")
    parser.add_argument("--family", choices=sorted(TRACED), action="append")
    parser.add_argument("--out", type=Path, default=GRAPHS)
    args = parser.parse_args()
    chosen = {name: TRACED[name] for name in args.family or TRACED}
    report = trace_all(chosen, args.out)
    seconds = sum(traced.seconds for traced in report)
    size = sum(traced.compressed_bytes for traced in report)
    print(f"{len(report)} graphs, {size:,} bytes, {seconds:.0f} s")


if __name__ == "__main__":
    main()
