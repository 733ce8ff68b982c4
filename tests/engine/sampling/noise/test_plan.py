"""Which numbers a picture is made of, against generators as the tools use them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.noise.plan import NoisePlan
from sakuga.engine.sampling.noise.sources import RNGS, find_rng
from sakuga.engine.sampling.noise.torch_cpu import TorchDraws, TorchGenerator
from sakuga.engine.sampling.noise.variation import centred, slerp
from sakuga.kernels.philox import normals
from sakuga.profiles.buckets import Size

LATENT = (20, 16)
SHAPE = (4, *LATENT)
F32 = NDArray[np.float32]


def nv(seed: int, latent: tuple[int, int] = LATENT) -> F32:
    return normals(seed, 0, 4 * latent[0] * latent[1]).reshape(4, *latent)


def cpu(seed: int, latent: tuple[int, int] = LATENT) -> F32:
    return TorchGenerator(seed).normals(4 * latent[0] * latent[1]).reshape(4, *latent)


def test_plain_nv_is_the_devices_own() -> None:
    assert NoisePlan(RNGS["NV"], 5).first(LATENT) is None
    same = NoisePlan(RNGS["NV"], 5, drawn_at=Size(128 + 7, 160))
    assert same.first(LATENT) is None  # A1111 cuts the rest of an eighth off too


@pytest.mark.parametrize("rng", ["CPU", "ComfyUI"])
def test_the_first_latent_is_torch_s(rng: str) -> None:
    first = NoisePlan(RNGS[rng], 5).first(LATENT)
    assert first is not None
    wanted = torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(5))
    assert np.allclose(first, wanted[0].numpy(), rtol=0, atol=4e-6)


@pytest.mark.parametrize(("rng", "draw"), [("NV", nv), ("CPU", cpu)])
def test_variation_and_size_of_a_seed(rng: str, draw: Callable[..., F32]) -> None:
    varied = NoisePlan(RNGS[rng], 5, 6, 0.25).first(LATENT)
    assert varied is not None and np.array_equal(varied, slerp(0.25, draw(5), draw(6)))
    # Both at once: the variation is of the noise at the seed's own size.
    both = NoisePlan(RNGS[rng], 5, 6, 0.25, Size(96, 240)).first(LATENT)
    inner = slerp(0.25, draw(5, (30, 12)), draw(6, (30, 12)))
    assert both is not None and np.array_equal(both, centred(inner, draw(5)))


def test_a_generator_of_the_steps_own_begins_at_zero() -> None:
    """A1111 seeds anew for an ENSD; ComfyUI's steps have a generator of their own."""
    assert NoisePlan(RNGS["NV"], 5).skipped == NoisePlan(RNGS["CPU"], 5).skipped == 0
    with_ensd = NoisePlan(RNGS["NV"], 5, ensd=31337)
    assert (with_ensd.later_seed, with_ensd.skipped) == (31342, 1)
    comfy = NoisePlan(RNGS["ComfyUI"], 5)
    assert (comfy.later_seed, comfy.skipped) == (5, 1)


def test_cpu_draws_go_on_in_one_generator() -> None:
    generator = torch.Generator().manual_seed(5)
    wanted = [torch.randn(SHAPE, generator=generator).numpy() for _ in range(3)]
    draws = TorchDraws(5, int(np.prod(SHAPE)))
    for number in range(3):
        found = draws.draw(number).reshape(SHAPE)
        assert np.allclose(found, wanted[number], rtol=0, atol=4e-6)


def test_names() -> None:
    assert find_rng("nv") is RNGS["NV"] and find_rng("comfyui") is RNGS["ComfyUI"]
    with pytest.raises(UsageError, match="no noise source called 'TPU'") as caught:
        find_rng("TPU")
    assert "NV, CPU, ComfyUI" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        find_rng("GPU")
    assert "those of NV" in caught.value.note
