"""Every network on ONNX Runtime against the unmodified diffusers and transformers in float32.

The bundles are built from a single file, the references load the diffusers folder of the same
weights, so names and layouts are proved on the way. The bar of the project is 1e-4.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle
from sakuga.engine.text.chunks import frame
from sakuga.engine.text.conditioning import gather, time_ids
from sakuga.engine.text.segments import Token
from sakuga.engine.text.vocabulary import BEGIN, END
from sakuga.profiles.buckets import QUARTER_BUCKETS, Size
from sakuga.profiles.families import CHUNK, SD15_TINY, SDXL_TINY, Family, TextEncoder

BAR = 1e-4
ROWS = (1, 2, 3, 5)
ODD_LATENTS = ((16, 25), (19, 23), (20, 24), (17, 17), (25, 16), (64, 21), (16, 64), (31, 45))

Array = NDArray[Any]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def relative_error(found: Array, expected: Array) -> float:
    assert found.shape == expected.shape
    assert np.isfinite(expected).all()
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def random(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


class UNets:
    """A bundle's UNet and the same weights in diffusers."""

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        self.family = bundle.family
        self.session = OnnxSession(bundle.graph("unet"), threads=1)
        self.module: Any = UNet2DConditionModel.from_pretrained(folder / "unet").eval()

    def inputs(self, latent: tuple[int, int], rows: int, context: int) -> dict[str, Array]:
        size = Size(8 * latent[1], 8 * latent[0])
        inputs = {
            "sample": random(1, rows, 4, *latent),
            "timestep": np.linspace(981.4, 0.25, rows, dtype=np.float32),
            "encoder_hidden_states": random(2, rows, context, self.family.unet.context),
        }
        if self.family.pooled is not None:
            ids = [time_ids(size, crop_top=row) for row in range(rows)]
            inputs |= {
                "text_embeds": random(3, rows, self.family.pooled),
                "time_ids": np.stack(ids),
            }
        return inputs

    def error(self, latent: tuple[int, int], rows: int, context: int) -> float:
        inputs = self.inputs(latent, rows, context)
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        first = [tensors.pop(name) for name in ("sample", "timestep", "encoder_hidden_states")]
        with torch.no_grad():
            expected = self.module(*first, added_cond_kwargs=tensors or None).sample.numpy()
        return relative_error(self.session.run(inputs)["noise_pred"], expected)


@pytest.fixture(scope="module")
def sdxl_unets(sdxl_bundle: Bundle, sdxl_folder: Path) -> UNets:
    return UNets(sdxl_bundle, sdxl_folder)


@pytest.fixture(scope="module")
def sd15_unets(sd15_bundle: Bundle, sd15_folder: Path) -> UNets:
    return UNets(sd15_bundle, sd15_folder)


@pytest.mark.parametrize("bucket", QUARTER_BUCKETS, ids=str)
def test_sdxl_unet_agrees_in_every_bucket(sdxl_unets: UNets, bucket: Size) -> None:
    assert sdxl_unets.error(bucket.latent(), rows=2, context=CHUNK) <= BAR


@pytest.mark.parametrize("latent", [(16, 16), (64, 16), (20, 64), (28, 36)])
def test_sdxl_unet_agrees_at_other_sizes(sdxl_unets: UNets, latent: tuple[int, int]) -> None:
    assert sdxl_unets.error(latent, rows=1, context=CHUNK) <= BAR


@pytest.mark.parametrize("chunks", [1, 2, 3])
@pytest.mark.parametrize("rows", ROWS)
def test_sdxl_unet_agrees_for_any_rows_and_context(
    sdxl_unets: UNets, rows: int, chunks: int
) -> None:
    assert sdxl_unets.error((16, 20), rows, context=chunks * CHUNK) <= BAR


@pytest.mark.parametrize("latent", ODD_LATENTS)
def test_sd15_unet_agrees_at_odd_latents(sd15_unets: UNets, latent: tuple[int, int]) -> None:
    assert sd15_unets.error(latent, rows=2, context=CHUNK) <= BAR


@pytest.mark.parametrize("rows, chunks", [(1, 3), (3, 2), (5, 1)])
def test_sd15_unet_agrees_for_any_rows_and_context(
    sd15_unets: UNets, rows: int, chunks: int
) -> None:
    assert sd15_unets.error((16, 16), rows, context=chunks * CHUNK) <= BAR


def test_the_unet_hears_timestep_prompt_and_size(sdxl_unets: UNets) -> None:
    """Without this, parity could hold between two networks that ignore their inputs."""
    inputs = sdxl_unets.inputs((16, 16), 1, CHUNK)
    usual = sdxl_unets.session.run(inputs)["noise_pred"]
    for name in inputs:
        changed = inputs | {name: inputs[name] * np.float32(0.5)}
        found = sdxl_unets.session.run(changed)["noise_pred"]
        assert relative_error(found, usual) > 100 * BAR, name


class Autoencoders:
    """A bundle's VAE and the same weights in diffusers."""

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        self.decoder = OnnxSession(bundle.graph("vae_decoder"), threads=1)
        self.encoder = OnnxSession(bundle.graph("vae_encoder"), threads=1)
        self.module: Any = AutoencoderKL.from_pretrained(folder / "vae").eval()

    def decoder_error(self, latent: tuple[int, int], rows: int) -> float:
        array = random(4, rows, 4, *latent)
        with torch.no_grad():
            expected = self.module.decode(torch.from_numpy(array)).sample.numpy()
        return relative_error(self.decoder.run({"latent": array})["image"], expected)

    def encoder_errors(self, latent: tuple[int, int], rows: int) -> tuple[float, float]:
        image = np.clip(random(5, rows, 3, 8 * latent[0], 8 * latent[1]), -1, 1)
        with torch.no_grad():
            moments = self.module.encode(torch.from_numpy(image)).latent_dist
        found = self.encoder.run({"image": image})
        return (
            relative_error(found["mean"], moments.mean.numpy()),
            relative_error(found["logvar"], moments.logvar.numpy()),
        )


@pytest.fixture(scope="module")
def sdxl_vaes(sdxl_bundle: Bundle, sdxl_folder: Path) -> Autoencoders:
    return Autoencoders(sdxl_bundle, sdxl_folder)


@pytest.fixture(scope="module")
def sd15_vaes(sd15_bundle: Bundle, sd15_folder: Path) -> Autoencoders:
    return Autoencoders(sd15_bundle, sd15_folder)


@pytest.mark.parametrize("bucket", QUARTER_BUCKETS, ids=str)
def test_sdxl_vae_agrees_in_every_bucket(sdxl_vaes: Autoencoders, bucket: Size) -> None:
    assert sdxl_vaes.decoder_error(bucket.latent(), rows=1) <= BAR
    assert max(sdxl_vaes.encoder_errors(bucket.latent(), rows=1)) <= BAR


@pytest.mark.parametrize("latent", ODD_LATENTS)
def test_sd15_vae_agrees_at_odd_latents(sd15_vaes: Autoencoders, latent: tuple[int, int]) -> None:
    assert sd15_vaes.decoder_error(latent, rows=1) <= BAR
    assert max(sd15_vaes.encoder_errors(latent, rows=1)) <= BAR


@pytest.mark.parametrize("rows", ROWS[1:])
def test_vae_agrees_for_any_rows(sdxl_vaes: Autoencoders, rows: int) -> None:
    assert sdxl_vaes.decoder_error((16, 16), rows) <= BAR
    assert max(sdxl_vaes.encoder_errors((16, 16), rows)) <= BAR


ENCODERS = [
    pytest.param(family, config, id=f"{family.name}-{config.name}")
    for family in (SDXL_TINY, SD15_TINY)
    for config in family.text_encoders
]


@pytest.mark.parametrize("family, config", ENCODERS)
def test_text_encoders_agree_at_every_layer(
    family: Family, config: TextEncoder, request: pytest.FixtureRequest
) -> None:
    bundle: Bundle = request.getfixturevalue(f"{family.kind}_bundle")
    folder: Path = request.getfixturevalue(f"{family.kind}_folder")
    pooled = config.projection is not None
    kind = CLIPTextModelWithProjection if pooled else CLIPTextModel
    module: Any = kind.from_pretrained(folder / config.name).eval()
    session = OnnxSession(bundle.graph(config.name), threads=1)
    table = np.load(bundle.token_embedding(config.name), mmap_mode="r")
    final_norm = (module.text_model if pooled else module).final_layer_norm
    for rows in ROWS:
        ids = _token_rows(rows, config)
        with torch.no_grad():
            expected = module(torch.from_numpy(ids), output_hidden_states=True)
        for clip_skip in range(1, config.layers + 1):
            found = session.run(
                {
                    "inputs_embeds": gather(table, ids),
                    "end_index": np.argmax(ids == END, axis=1),
                    "clip_skip": np.array([clip_skip]),
                }
            )
            state = expected.hidden_states[-clip_skip]
            assert relative_error(found["hidden"], state.numpy()) <= BAR
            with torch.no_grad():
                normed = final_norm(state).numpy()
            assert relative_error(found["hidden_normed"], normed) <= BAR
            if pooled:
                assert relative_error(found["pooled"], expected.text_embeds.numpy()) <= BAR


def _token_rows(rows: int, config: TextEncoder) -> NDArray[np.int64]:
    """Prompts of several lengths: empty, full, and between."""
    generator = np.random.default_rng(rows)
    lengths = [0, 75, 7, 30, 74][-rows:]
    pieces = [
        tuple(Token(token) for token in generator.integers(0, BEGIN, length).tolist())
        for length in lengths
    ]
    framed = [frame(piece, config.pad, "diffusers") for piece in pieces]
    return np.array([[token.id for token in row] for row in framed], np.int64)
