"""Seeds as people ask for them, and the draws of a picture from its first latent to its last."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.errors import UsageError
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.seeds import noise_plan
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.step_table import step_table
from sakuga.engine.sampling.noise.plan import NoisePlan
from sakuga.engine.sampling.noise.sources import RNGS
from sakuga.kernels.launch import GIVEN
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_TINY

ASKED = Request("1girl", steps=4, sampler="Euler a", seed=7)


def resolved(request: Request) -> Settings:
    return resolve(request, SDXL_TINY, Defaults(Size(128, 160)), "epsilon")


def draws(request: Request) -> list[int]:
    """The draw of every row, -1 where it is given."""
    settings = resolved(request)
    given = settings.noise.first((20, 16)) is not None
    rows: NDArray[np.void] = step_table(
        settings.table, [[1.0]] * settings.table.evaluations, settings.noise, given
    )
    return [-1 if draw == GIVEN else int(draw) for draw in rows["draw"]]


@pytest.mark.parametrize(
    ("compat", "rng"), [("a1111", "NV"), ("comfy", "ComfyUI"), ("diffusers", "CPU")]
)
def test_every_tool_has_its_source(compat: str, rng: str) -> None:
    assert resolved(replace(ASKED, compat=compat)).noise == NoisePlan(RNGS[rng], 7)
    assert resolved(replace(ASKED, compat=compat, rng="nv")).noise == NoisePlan(RNGS["NV"], 7)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, [0, 1, 2, 3, 0]),
        ({"ensd": 31337}, [0, 0, 1, 2, 0]),
        ({"rng": "CPU"}, [-1, -1, -1, -1, 0]),
        ({"rng": "CPU", "ensd": 1}, [-1, -1, -1, -1, 0]),
        ({"rng": "ComfyUI"}, [-1, 0, 1, 2, 0]),
        ({"variation_strength": 0.1}, [-1, 1, 2, 3, 0]),
        ({"variation_strength": 0.0, "variation_seed": 1}, [0, 1, 2, 3, 0]),
        ({"seed_resize": Size(256, 256)}, [-1, 1, 2, 3, 0]),
        ({"rng": "CPU", "sampler": "Euler"}, [-1, 0, 0, 0, 0]),
        ({"ensd": 31337, "sampler": "Euler"}, [0, 0, 0, 0, 0]),
    ],
    ids=str,
)
def test_where_each_row_s_noise_comes_from(changes: dict[str, Any], wanted: list[int]) -> None:
    assert draws(replace(ASKED, **changes)) == wanted


def test_a_delta_counts_where_steps_add_noise() -> None:
    assert resolved(replace(ASKED, ensd=31337)).noise.later_seed == 31344
    assert resolved(replace(ASKED, ensd=31337, sampler="Euler")).noise.ensd == 0


def test_pictures_of_one_request_count_up() -> None:
    assert [each.seed for each in ASKED.times(3)] == [7, 8, 9]
    varied = replace(ASKED, variation_seed=20, variation_strength=0.5).times(3)
    assert [(each.seed, each.variation_seed) for each in varied] == [(7, 20), (7, 21), (7, 22)]
    unvaried = replace(ASKED, variation_seed=20, variation_strength=0.0).times(2)
    assert [each.seed for each in unvaried] == [7, 8]
    with pytest.raises(UsageError, match="0 pictures"):
        ASKED.times(0)


@pytest.mark.parametrize("seed", [None, -1])
def test_random_seeds_are_chosen_once(seed: int | None) -> None:
    first, second = replace(ASKED, seed=seed).times(2)
    assert first.seed is not None and 0 <= first.seed < 2**32 and second.seed == first.seed + 1
    varied = replace(ASKED, seed=seed, variation_seed=seed, variation_strength=1).times(2)
    assert varied[0].seed == varied[1].seed != -1
    plan = noise_plan("NV", seed, seed, 0.5)
    assert 0 <= plan.seed < 2**32 and plan.variation_seed is not None
    assert 0 <= plan.variation_seed < 2**32


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 2**64}, "seed cannot be"),
        ({"variation_seed": 5}, "without a strength"),
        ({"variation_seed": -2, "variation_strength": 0.5}, "seed cannot be -2"),
        ({"variation_strength": 1.5}, "strength of a variation cannot be 1.5"),
        ({"variation_strength": float("nan")}, "cannot be nan"),
        ({"seed_resize": Size(0, 512)}, "drawn at 0x512"),
        ({"seed_resize": Size(512, 9000)}, "drawn at 512x9000"),
        ({"ensd": -8}, "delta of -8 cannot be added to the seed 7"),
        ({"seed": 2**64 - 1, "ensd": 1}, "delta of 1"),
        ({"rng": "GPU"}, "no noise source called 'GPU'"),
    ],
    ids=str,
)
def test_what_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        resolved(replace(ASKED, **changes))
    assert caught.value.hint
