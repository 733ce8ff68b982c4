"""Inputs to try networks on: random, seeded, of the ranges the networks see."""

import numpy as np

from sakuga.engine.backend.base import Array
from sakuga.engine.text.vocabulary import BEGIN, END
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, LATENT_CHANNELS, Family
from sakuga.profiles.networks import TIME_IDS

SEED = 0
TIMESTEPS = (999.0, 41.625)  # one for each row: pure noise, and a fraction near the end

Inputs = dict[str, Array]


def token_ids(rows: int) -> tuple[Array, Array]:
    """Random tokens, int64 [rows, 77], and the index of each row's end, int64 [rows]."""
    random = np.random.default_rng(SEED)
    ids = random.integers(0, BEGIN, (rows, CHUNK))
    ends = random.integers(2, CHUNK, rows)
    ids[:, 0] = BEGIN
    for row, end in enumerate(ends):
        ids[row, end:] = END
    return ids, ends


def text_inputs(table: Array, clip_skip: int, rows: int = 2) -> Inputs:
    """Inputs of a text encoder; `table` is its token embedding, [49408, hidden]."""
    ids, ends = token_ids(rows)
    return {
        "inputs_embeds": table[ids].astype(np.float32),
        "end_index": ends,
        "clip_skip": np.array([clip_skip]),
    }


def unet_inputs(family: Family, size: Size, chunks: int = 2) -> Inputs:
    """Two rows of one size, each at its own timestep."""
    rows = len(TIMESTEPS)
    inputs = {
        "sample": normal((rows, family.unet.inputs, *size.latent())),
        "timestep": np.array(TIMESTEPS, np.float32),
        "encoder_hidden_states": normal((rows, chunks * CHUNK, family.unet.context)),
    }
    if family.pooled is not None:
        ids = (size.height, size.width, 0, 0, size.height, size.width)
        assert len(ids) == TIME_IDS
        inputs["text_embeds"] = normal((rows, family.pooled))
        inputs["time_ids"] = np.tile(np.array(ids, np.float32), (rows, 1))
    return inputs


def decoder_inputs(family: Family, size: Size) -> Inputs:
    """One latent for the VAE decoder, divided by the scaling factor as a picture's is."""
    scale = np.float32(1 / family.vae.scaling_factor)
    return {"latent": normal((1, LATENT_CHANNELS, *size.latent())) * scale}


def encoder_inputs(size: Size) -> Inputs:
    """One picture for the VAE encoder."""
    return {"image": np.tanh(normal((1, 3, size.height, size.width)))}


def normal(shape: tuple[int, ...]) -> Array:
    """Standard normals, float32, the same every time."""
    return np.random.default_rng(SEED).standard_normal(shape, np.float32)
