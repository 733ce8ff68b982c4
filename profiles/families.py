"""Model families: the architecture of every component, as numbers and nothing else.

A family is what two checkpoints share when one graph serves both. Names of the fields are those
of the diffusers configs they stand for, shortened where one word is enough.
"""

from dataclasses import dataclass, replace
from typing import Literal

from sakuga.profiles.buckets import ANIMAGINE_BUCKETS, QUARTER_BUCKETS, Size, SizeRule

VOCABULARY = 49408  # CLIP byte-pair vocabulary
CHUNK = 77  # tokens a CLIP encoder reads at once: begin, 75, end
VAE_FACTOR = 8
LATENT_CHANNELS = 4
INPAINT_CHANNELS = 2 * LATENT_CHANNELS + 1  # a latent, a mask, the latent of what it leaves

_INPAINT = "-inpaint"


@dataclass(frozen=True)
class TextEncoder:
    """A CLIP text encoder. `projection` is the width of the pooled output, None where unused."""

    name: str
    hidden: int
    layers: int
    heads: int
    activation: Literal["quick_gelu", "gelu"]
    projection: int | None
    pad: Literal["end", "zero"]  # token after the first end-of-text: 49407 again, or id 0

    @property
    def intermediate(self) -> int:
        return 4 * self.hidden


@dataclass(frozen=True)
class UNet:
    """A UNet2DConditionModel. Tuples run from the finest level to the coarsest.

    `inputs`: channels it reads; those beyond a latent's tell an inpainting model the mask and the
    latent of what it leaves.
    """

    channels: tuple[int, ...]
    transformer_layers: tuple[int, ...]  # 0: a level without attention
    heads: tuple[int, ...]
    context: int  # width of encoder_hidden_states
    linear_projection: bool
    time_id_width: int | None = None  # sinusoid width of one of the six time ids (SDXL)
    resnets_per_level: int = 2
    groups: int = 32
    inputs: int = LATENT_CHANNELS


@dataclass(frozen=True)
class VAE:
    """An AutoencoderKL with factor 8 and four latent channels."""

    channels: tuple[int, ...]
    scaling_factor: float
    groups: int = 32
    resnets_per_level: int = 2


@dataclass(frozen=True)
class Family:
    """Everything that is the same for all checkpoints which share the family's graphs."""

    name: str
    kind: Literal["sdxl", "sd15"]
    text_encoders: tuple[TextEncoder, ...]
    unet: UNet
    vae: VAE
    sizes: SizeRule
    buckets: tuple[Size, ...]

    @property
    def base(self) -> str:
        """The family whose graphs and presets it has: its own, or that of the text-to-image model
        an inpainting model came from."""
        return self.name.removesuffix(_INPAINT)

    @property
    def inpaints(self) -> bool:
        """Whether its UNet is told a mask and what that leaves."""
        return self.unet.inputs == INPAINT_CHANNELS

    @property
    def pooled(self) -> int | None:
        """Width of the pooled text embedding the UNet takes, None for SD1.5."""
        return self.text_encoders[-1].projection if self.kind == "sdxl" else None


def _clip_l(hidden: int, layers: int, heads: int) -> TextEncoder:
    return TextEncoder("text_encoder", hidden, layers, heads, "quick_gelu", None, "end")


def _clip_g(hidden: int, layers: int, heads: int) -> TextEncoder:
    return TextEncoder("text_encoder_2", hidden, layers, heads, "gelu", hidden, "zero")


SDXL = Family(
    name="sdxl",
    kind="sdxl",
    text_encoders=(_clip_l(768, 12, 12), _clip_g(1280, 32, 20)),
    unet=UNet((320, 640, 1280), (0, 2, 10), (5, 10, 20), 2048, True, time_id_width=256),
    vae=VAE((128, 256, 512, 512), 0.13025),
    sizes=SizeRule(512, 2048, 32),
    buckets=ANIMAGINE_BUCKETS,
)

SD15 = Family(
    name="sd15",
    kind="sd15",
    text_encoders=(_clip_l(768, 12, 12),),
    unet=UNet((320, 640, 1280, 1280), (1, 1, 1, 0), (8, 8, 8, 8), 768, False),
    vae=VAE((128, 256, 512, 512), 0.18215),
    sizes=SizeRule(256, 1024, 8),
    buckets=(Size(512, 512), Size(512, 768), Size(768, 512), Size(512, 728), Size(728, 512)),
)

SDXL_TINY = Family(
    name="sdxl-tiny",
    kind="sdxl",
    text_encoders=(_clip_l(32, 3, 2), _clip_g(64, 4, 4)),
    unet=UNet((32, 64, 128), (0, 1, 2), (2, 4, 8), 96, True, time_id_width=32),
    vae=VAE((16, 32, 32, 32), 0.13025, groups=16),
    sizes=SizeRule(128, 512, 32),
    buckets=QUARTER_BUCKETS,
)

SD15_TINY = Family(
    name="sd15-tiny",
    kind="sd15",
    text_encoders=(_clip_l(32, 3, 2),),
    unet=UNet((32, 64, 64, 64), (1, 1, 1, 0), (4, 4, 4, 4), 32, False),
    vae=VAE((16, 32, 32, 32), 0.18215, groups=16),
    sizes=SizeRule(128, 512, 8),
    buckets=(Size(128, 128), Size(128, 192), Size(192, 128), Size(128, 184), Size(184, 128)),
)

# What the trained demo model is: small enough to ship, large enough to draw.
SDXL_DEMO = Family(
    name="sdxl-demo",
    kind="sdxl",
    text_encoders=(_clip_l(32, 3, 2), _clip_g(64, 4, 4)),
    # Groups of at least four channels, as in the full model: a norm over one forgets its level.
    unet=UNet((64, 96, 128), (0, 1, 2), (2, 3, 4), 96, True, 32, resnets_per_level=1, groups=8),
    vae=VAE((16, 32, 64, 64), 0.13025, groups=4, resnets_per_level=1),
    sizes=SizeRule(128, 512, 32),
    buckets=QUARTER_BUCKETS,
)


def inpainting(family: Family) -> Family:
    """The family of inpainting models made from this one's."""
    unet = replace(family.unet, inputs=INPAINT_CHANNELS)
    return replace(family, name=family.name + _INPAINT, unet=unet)


_BASES = (SDXL, SD15, SDXL_TINY, SD15_TINY)
FAMILIES = {
    family.name: family for family in (*_BASES, SDXL_DEMO, *(inpainting(each) for each in _BASES))
}
TRACED = {name: family for name, family in FAMILIES.items() if family.base == name}
