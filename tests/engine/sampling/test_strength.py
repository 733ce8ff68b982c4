"""How many evaluations a strength gives by each tool's rule, and where they begin: exact."""

import math

import numpy as np
import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.choice import choose
from sakuga.engine.sampling.compat import find_compat
from sakuga.engine.sampling.masking import holds
from sakuga.engine.sampling.plan import sampling_table
from sakuga.engine.sampling.strength import Strength, share_of
from sakuga.engine.sampling.table import SamplerTable


def table(
    tool: str, sampler: str, steps: int, strength: Strength | None, schedule: str | None = None
) -> SamplerTable:
    compat = find_compat(tool)
    return sampling_table(compat, choose(compat, sampler, schedule), steps, strength=strength)


# By hand from the tools' sources. A1111: t_enc = int(min(d, 0.999)·n), and one more evaluation;
# given steps: all of them. ComfyUI: all. diffusers: int(n·d).
EVALUATIONS = [
    ("a1111", "euler", 20, 0.0, "shared", 1),
    ("a1111", "euler", 20, 0.05, "shared", 2),
    ("a1111", "euler", 20, 0.4, "shared", 9),
    ("a1111", "euler", 20, 0.75, "shared", 16),
    ("a1111", "euler", 28, 0.55, "shared", 16),
    ("a1111", "euler", 20, 1.0, "shared", 20),
    ("a1111", "euler", 1, 0.5, "shared", 1),
    ("a1111", "euler", 20, 0.4, "given", 20),
    ("a1111", "euler", 7, 0.3, "given", 7),
    ("a1111", "euler", 20, 1.0, "given", 20),
    ("a1111", "dpm2", 20, 0.4, "shared", 17),  # twice each step, the last once
    ("a1111", "ddim", 20, 0.75, "shared", 14),  # t_enc levels have one step less
    ("a1111", "unipc", 20, 0.75, "shared", 15),
    ("comfy", "euler", 20, 0.4, "shared", 20),
    ("comfy", "euler", 20, 1.0, "shared", 20),
    ("comfy", "euler", 3, 0.07, "given", 3),
    ("diffusers", "euler", 20, 0.4, "shared", 8),
    ("diffusers", "euler", 28, 0.55, "shared", 15),
    ("diffusers", "euler", 50, 0.3, "given", 15),
    ("diffusers", "euler", 20, 1.0, "shared", 20),
    ("diffusers", "ddim", 20, 0.4, "shared", 8),
]


@pytest.mark.parametrize(("tool", "sampler", "steps", "value", "given", "wanted"), EVALUATIONS)
def test_evaluations(
    tool: str, sampler: str, steps: int, value: float, given: str, wanted: int
) -> None:
    strength = Strength(value, "given" if given == "given" else "shared")
    found = table(tool, sampler, steps, strength)
    assert found.evaluations == wanted
    assert found.steps == steps


def test_the_levels_are_the_end_of_the_longer_schedule() -> None:
    whole = table("a1111", "euler", 20, None)
    part = table("a1111", "euler", 20, Strength(0.4))
    np.testing.assert_array_equal(part.sigma, whole.sigma[-9:])
    np.testing.assert_array_equal(part.timestep, whole.timestep[-9:])
    assert (part.init_scale, part.picture) == (part.sigma[0], 1.0)
    given = table("a1111", "euler", 20, Strength(0.4, "given"))
    np.testing.assert_array_equal(given.sigma, table("a1111", "euler", 50, None).sigma[-20:])
    comfy = table("comfy", "euler", 20, Strength(0.4))
    np.testing.assert_array_equal(comfy.sigma, table("comfy", "euler", 50, None).sigma[-20:])


def test_karras_levels_are_those_of_all_steps() -> None:
    whole = table("a1111", "dpmpp_2m", 30, None, "karras")
    part = table("a1111", "dpmpp_2m", 30, Strength(0.5), "karras")
    np.testing.assert_array_equal(part.sigma, whole.sigma[-16:])


def test_a1111_s_ddim_takes_a_latent_of_one_level_for_one_of_another() -> None:
    whole = table("a1111", "ddim", 20, None)
    part = table("a1111", "ddim", 20, Strength(0.75))
    noised = whole.sigma[-15]  # it has one level more than steps
    assert part.sigma[0] == whole.sigma[-14]
    assert math.isclose(part.init_scale / part.picture, noised)
    assert math.isclose(part.picture, math.sqrt((1 + part.sigma[0] ** 2) / (1 + noised**2)))


def test_comfy_and_diffusers_begin_from_noise_as_they_do_without_a_picture() -> None:
    for tool in ("comfy", "diffusers"):
        masked = tool == "diffusers"
        whole = table(tool, "euler", 20, None)
        found = table(tool, "euler", 20, Strength(1.0, masked=masked))
        assert found.init_scale == whole.init_scale
        assert found.picture == (0.0 if masked else 1.0)


@pytest.mark.parametrize(
    ("tool", "strength", "words"),
    [
        ("comfy", Strength(0.0), "leaves nothing to do"),
        ("diffusers", Strength(0.04), "leaves nothing to do"),
        ("a1111", Strength(0.0, "given"), "leaves nothing to do"),
        ("a1111", Strength(0.01, "given"), "end of 2000 steps"),
    ],
)
def test_strengths_that_cannot_be(tool: str, strength: Strength, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        table(tool, "euler", 20, strength)


def test_a_strength_lies_between_nothing_and_all() -> None:
    for value in (-0.1, 1.1, math.nan):
        with pytest.raises(UsageError):
            Strength(value)


def test_a1111_s_ddim_needs_two_levels() -> None:
    with pytest.raises(UsageError, match="makes no picture"):
        table("a1111", "ddim", 20, Strength(0.05))


def test_shares_are_exact_fractions() -> None:
    assert share_of("a1111", Strength(0.29), 100) == (100, 29)  # 0.29 · 100 is 28.999… there
    assert share_of("diffusers", Strength(0.3), 10) == (10, 3)


@pytest.mark.parametrize("tool", ["a1111", "comfy", "diffusers"])
def test_what_lies_outside_a_mask_ends_as_it_was(tool: str) -> None:
    """The last row keeps the picture, or the prediction does already."""
    compat = find_compat(tool)
    found = table(tool, "euler", 12, Strength(0.6))
    columns = holds(found, "epsilon", compat.mask)
    last = columns.kept[-1].tolist()
    assert last == ([0.0, 0.0] if tool == "comfy" else [1.0, 0.0])
    assert len(columns.p) == found.evaluations + 1
    if tool == "diffusers":
        np.testing.assert_array_equal(columns.kept[1:-1, 1], found.sigma[1:])
    else:
        np.testing.assert_allclose(columns.p[1:] * found.sigma, -1)


def test_v_prediction_denoises_to_the_picture_too() -> None:
    compat = find_compat("a1111")
    found = sampling_table(compat, choose(compat, "euler"), 12, strength=Strength(0.6))
    columns = holds(found, "v_prediction", "denoised")
    sigma = found.sigma
    c_skip, c_out = 1 / (sigma**2 + 1), -sigma / np.sqrt(sigma**2 + 1)
    np.testing.assert_allclose(c_out * columns.p[1:], 1)
    np.testing.assert_allclose(c_skip + c_out * columns.q[1:], 0, atol=1e-12)
