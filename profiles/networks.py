"""The networks of a family and the tensors that cross their borders.

Everything that needs a shape reads it here: the dynamic axes of the exported graphs, the
optimisation profiles of plans, buffer sizes, the batcher's choice of bucket, tests and benches.
"""

from dataclasses import dataclass
from typing import Literal

from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, LATENT_CHANNELS, VAE_FACTOR, Family

# "compute": the tensor has the type its network computes in (the precision of the build).
DType = Literal["compute", "float32", "int64"]

TIME_IDS = 6  # original height and width, crop top and left, target height and width


@dataclass(frozen=True)
class Axis:
    """A dynamic axis: how many elements it may have, both ends included, in steps of `step`."""

    name: str
    minimum: int
    maximum: int
    step: int = 1


# Rows of one call. 63 is the largest bound torch.export accepts next to a sample of two rows.
ROWS = Axis("rows", 1, 63)
CONTEXT = Axis("context", CHUNK, 3 * CHUNK, CHUNK)


@dataclass(frozen=True)
class Tensor:
    """A tensor at a network's border. `dims`: an axis name for a dynamic axis, else its length."""

    name: str
    dtype: DType
    dims: tuple[str | int, ...]


@dataclass(frozen=True)
class Network:
    """One graph of a family: what goes in and what comes out."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    axes: tuple[Axis, ...]

    def axis(self, name: str) -> Axis:
        return next(axis for axis in self.axes if axis.name == name)


@dataclass(frozen=True)
class ShapeRange:
    """Shapes of one input: smallest, the one to tune for, largest."""

    minimum: tuple[int, ...]
    optimum: tuple[int, ...]
    maximum: tuple[int, ...]


def networks(family: Family) -> dict[str, Network]:
    """All networks of a family by name, in the order a picture passes them."""
    encoders = [text_encoder(family, index) for index in range(len(family.text_encoders))]
    return {
        net.name: net for net in (*encoders, unet(family), vae_decoder(family), vae_encoder(family))
    }


def text_encoder(family: Family, index: int) -> Network:
    """Chunks of 77 embedded tokens to hidden states.

    `clip_skip` counts layers from the end (1: the last one). `hidden` is that layer's output as
    it is (SDXL's habit), `hidden_normed` the same through the final norm (SD1.5's), `pooled` the
    projected end-of-text vector of the last layer.
    """
    config = family.text_encoders[index]
    states: tuple[str | int, ...] = ("rows", CHUNK, config.hidden)
    outputs = [Tensor("hidden", "float32", states), Tensor("hidden_normed", "float32", states)]
    if config.projection is not None:
        outputs.append(Tensor("pooled", "float32", ("rows", config.projection)))
    inputs = (
        Tensor("inputs_embeds", "float32", states),
        Tensor("end_index", "int64", ("rows",)),
        Tensor("clip_skip", "int64", (1,)),
    )
    return Network(config.name, inputs, tuple(outputs), (ROWS,))


def unet(family: Family) -> Network:
    """A latent, its timestep and its conditioning to the predicted noise; one row each."""
    latent: tuple[str | int, ...] = ("rows", LATENT_CHANNELS, "latent_height", "latent_width")
    seen = (latent[0], family.unet.inputs, *latent[2:])
    inputs = [
        Tensor("sample", "compute", seen),
        Tensor("timestep", "float32", ("rows",)),
        Tensor("encoder_hidden_states", "compute", ("rows", "context", family.unet.context)),
    ]
    if family.pooled is not None:
        inputs.append(Tensor("text_embeds", "float32", ("rows", family.pooled)))
        inputs.append(Tensor("time_ids", "float32", ("rows", TIME_IDS)))
    axes = (ROWS, CONTEXT, *_latent_axes(family))
    return Network("unet", tuple(inputs), (Tensor("noise_pred", "compute", latent),), axes)


def vae_decoder(family: Family) -> Network:
    """A latent, already divided by the scaling factor, to a picture in [-1, 1]."""
    latent = Tensor("latent", "float32", ("rows", LATENT_CHANNELS, "latent_height", "latent_width"))
    image = Tensor("image", "float32", ("rows", 3, "height", "width"))
    return Network("vae_decoder", (latent,), (image,), (ROWS, *_latent_axes(family)))


def vae_encoder(family: Family) -> Network:
    """A picture in [-1, 1] to mean and log-variance of its latent, not yet scaled."""
    image = Tensor("image", "float32", ("rows", 3, "height", "width"))
    dims: tuple[str | int, ...] = ("rows", LATENT_CHANNELS, "latent_height", "latent_width")
    moments = (Tensor("mean", "float32", dims), Tensor("logvar", "float32", dims))
    return Network("vae_encoder", (image,), moments, (ROWS, *_image_axes(family)))


def shape_ranges(
    network: Network, smallest: dict[str, int], usual: dict[str, int], largest: dict[str, int]
) -> dict[str, ShapeRange]:
    """Shapes of every input where the dynamic axes have the lengths given by name."""
    return {
        tensor.name: ShapeRange(
            shape_of(tensor, smallest), shape_of(tensor, usual), shape_of(tensor, largest)
        )
        for tensor in network.inputs
    }


def shape_of(tensor: Tensor, lengths: dict[str, int]) -> tuple[int, ...]:
    """The tensor's shape where its dynamic axes have these lengths."""
    return tuple(lengths[dim] if isinstance(dim, str) else dim for dim in tensor.dims)


def lengths(size: Size, rows: int, chunks: int = 1) -> dict[str, int]:
    """Lengths of all dynamic axes for `rows` pictures of one size."""
    latent_height, latent_width = size.latent(VAE_FACTOR)
    return {
        "rows": rows,
        "context": chunks * CHUNK,
        "latent_height": latent_height,
        "latent_width": latent_width,
        "height": size.height,
        "width": size.width,
    }


def _latent_axes(family: Family) -> tuple[Axis, Axis]:
    low, high = family.sizes.minimum // VAE_FACTOR, family.sizes.maximum // VAE_FACTOR
    step = family.sizes.step // VAE_FACTOR
    return Axis("latent_height", low, high, step), Axis("latent_width", low, high, step)


def _image_axes(family: Family) -> tuple[Axis, Axis]:
    rule = family.sizes
    return (
        Axis("height", rule.minimum, rule.maximum, rule.step),
        Axis("width", rule.minimum, rule.maximum, rule.step),
    )
