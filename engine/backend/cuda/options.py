"""How a GPU is used."""

from dataclasses import dataclass

from sakuga.engine.backend.cuda.calls import Padding
from sakuga.profiles.buckets import Sizes


@dataclass(frozen=True)
class CudaOptions:
    """`rows` of the largest UNet call; `sizes` that can be rendered, None for all;
    `residency` in words; `vae_rows` pictures of one VAE call. `visitors`: networks loaded only
    while they are used. `turns`: steps and decoding never hold working memory at the same time.

    `padding` of calls, see `padded_rows`. With `full` no picture's bits depend on its neighbours:
    the UNet and the VAE have calls of one number of rows, text encoders get their rows one by one,
    and where that does not fit into memory, nothing else is tried.

    `graphs`, `overlap`: off switches of CUDA graphs and of decoding beside the steps, to show, as
    padding `none` does, what they are worth.
    """

    rows: int
    sizes: Sizes | None = None
    residency: str = ""
    vae_rows: int = 1
    visitors: frozenset[str] = frozenset()
    turns: bool = False
    padding: Padding = "captured"
    graphs: bool = True
    overlap: bool = True
