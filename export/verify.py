"""`sakuga build --verify`: every network of a bundle against diffusers in float32.

Needs the `verify` extra. The reference is the library's own forward pass, not the modules the
graphs were traced from, with the checkpoint's weights read a second time. They are read through
the same name tables, so this proves the graphs and their binding, not the tables; those are tested
against the converters of diffusers.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sakuga.engine.backend.base import Array
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.errors import BuildError
from sakuga.engine.manifest import Manifest
from sakuga.export.assemble import TOKEN_EMBEDDING, Progress
from sakuga.export.bind import Adapt
from sakuga.export.checkpoint.layouts import Checkpoint
from sakuga.export.reference import TextModule, unet_module, vae_module
from sakuga.export.relative_error import relative_error
from sakuga.export.samples import (
    Inputs,
    decoder_inputs,
    encoder_inputs,
    text_inputs,
    token_ids,
    unet_inputs,
)
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import Family, TextEncoder

ROWS = 2
# Largest relative error of a network that computes in each type. Rounding to float16 alone gave
# 1e-3 on small models and 6e-2 on the synthetic full-size UNet, where torch's own float16 was off
# by 11e-2; a network that is wrong is off by about 1.
BARS: Mapping[str, float] = {"float32": 1e-4, "float16": 0.2, "mixed": 0.02}

Case = tuple[Inputs, dict[str, Array]]  # what goes into a network, what should come out


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a checkpoint as the build was given them: read, and adapted."""

    checkpoint: Checkpoint
    adapt: Adapt

    @property
    def family(self) -> Family:
        """The checkpoint's family."""
        return self.checkpoint.family

    def read(self, component: str, name: str) -> Array:
        """One tensor in float32."""
        values = self.checkpoint.components[component].read(name)
        return self.adapt(f"{component}/{name}", values).astype(np.float32)


def verify(
    weights: Weights, folder: Path, manifest: Manifest, progress: Progress
) -> dict[str, float]:
    """Largest relative error of each network, max|a − b| / max|b| over all outputs and sizes.

    Small families are compared at every bucket, full-size ones at their smallest square. Raises
    BuildError for a network above the bar of its type.
    """
    errors: dict[str, float] = {}
    total = len(manifest.networks)
    for name, entry in manifest.networks.items():
        cases = list(_CASES[name](weights))  # the reference is gone before the session comes
        session = OnnxSession(folder / entry.graph)
        errors[name] = max(_error(session, case) for case in cases)
        _judge(name, errors[name], entry.precision)
        progress("verify", len(errors), total)
    return errors


def sizes_to_verify(family: Family) -> tuple[Size, ...]:
    """All buckets of a small family; of a full one the smallest square, for memory's sake."""
    if family.unet.channels[0] < 320:
        return family.buckets
    return (Size(family.sizes.minimum, family.sizes.minimum),)


def load_weights(
    module: torch.nn.Module, weights: Weights, component: str, prefix: str = ""
) -> None:
    """Put a component's tensors into a module in float32; `prefix` is one the checkpoint adds."""
    for name, target in module.state_dict().items():
        if not name.endswith("position_ids"):
            target.copy_(torch.from_numpy(weights.read(component, prefix + name)))


def text_cases(weights: Weights, config: TextEncoder) -> Iterator[Case]:
    """Every clip skip of a text encoder, on random tokens."""
    module = TextModule(config)
    load_weights(module.text_model, weights, config.name, "text_model.")
    if module.text_projection is not None:
        load_weights(module.text_projection, weights, config.name, "text_projection.")
    ids, _ = token_ids(ROWS)
    table = weights.read(config.name, TOKEN_EMBEDDING)
    with torch.inference_mode():
        out = module.text_model(input_ids=torch.from_numpy(ids), output_hidden_states=True)
        for skip in range(1, config.layers + 1):
            hidden = out.hidden_states[-skip]
            wanted: dict[str, Array] = {
                "hidden": hidden.numpy(),
                "hidden_normed": module.text_model.final_layer_norm(hidden).numpy(),
            }
            if module.text_projection is not None:
                wanted["pooled"] = module.text_projection(out.pooler_output).numpy()
            yield text_inputs(table, skip, ROWS), wanted


def unet_cases(weights: Weights) -> Iterator[Case]:
    """The UNet at the sizes to verify, each row at its own timestep."""
    family = weights.family
    module = unet_module(family)
    load_weights(module, weights, "unet")
    for size in sizes_to_verify(family):
        inputs = unet_inputs(family, size)
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        added = {name: tensors[name] for name in ("text_embeds", "time_ids") if name in tensors}
        with torch.inference_mode():
            wanted = module(
                tensors["sample"],
                tensors["timestep"],
                tensors["encoder_hidden_states"],
                added_cond_kwargs=added or None,
            ).sample
        yield inputs, {"noise_pred": wanted.numpy()}


def decoder_cases(weights: Weights) -> Iterator[Case]:
    """The VAE decoder at the sizes to verify."""
    module = vae_module(weights.family)
    load_weights(module, weights, "vae")
    for size in sizes_to_verify(weights.family):
        inputs = decoder_inputs(weights.family, size)
        with torch.inference_mode():
            image = module.decode(torch.from_numpy(inputs["latent"])).sample
        yield inputs, {"image": image.numpy()}


def encoder_cases(weights: Weights) -> Iterator[Case]:
    """The VAE encoder at the sizes to verify."""
    module = vae_module(weights.family)
    load_weights(module, weights, "vae")
    for size in sizes_to_verify(weights.family):
        inputs = encoder_inputs(size)
        with torch.inference_mode():
            found = module.encode(torch.from_numpy(inputs["image"])).latent_dist
        yield inputs, {"mean": found.mean.numpy(), "logvar": found.logvar.numpy()}


def _error(session: OnnxSession, case: Case) -> float:
    inputs, wanted = case
    outputs = session.run(session.in_types(inputs))
    return max(relative_error(outputs[name], array) for name, array in wanted.items())


def _judge(network: str, error: float, precision: str) -> None:
    if not error <= BARS[precision]:
        raise BuildError(
            f"The network {network} is not what diffusers computes.",
            note=f"Its relative error is {error:.1e}, the bar for {precision} is "
            f"{BARS[precision]:g}.",
            hint=_HINTS[precision],
        )


_HINTS = {
    "float32": "Keep the checkpoint and report this; a build without --verify is not checked.",
    "float16": "Build with --precision fp32.",
    "mixed": "Build with --precision fp32.",
}

_CASES: dict[str, Callable[[Weights], Iterator[Case]]] = {
    "text_encoder": lambda weights: text_cases(weights, weights.family.text_encoders[0]),
    "text_encoder_2": lambda weights: text_cases(weights, weights.family.text_encoders[1]),
    "unet": unet_cases,
    "vae_decoder": decoder_cases,
    "vae_encoder": encoder_cases,
}
