"""What each tool's rules do to the table of a picture."""

import math

import numpy as np
import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.compat import COMPATS, find_compat, sampling_table
from sakuga.engine.sampling.samplers import Prediction, SamplerOptions

SIGMA_MAX = 14.614641


def test_a1111_walks_fractional_timesteps_from_sigma_max() -> None:
    table = sampling_table(COMPATS["a1111"], "Euler a", 25)
    assert table.timestep[:3].tolist() == [999.0, 957.375, 915.75]
    assert table.init_scale == pytest.approx(SIGMA_MAX, rel=1e-7)
    assert table.c_in[0] == pytest.approx(1 / math.sqrt(SIGMA_MAX**2 + 1), rel=1e-7)


def test_comfy_walks_the_same_levels_on_whole_timesteps() -> None:
    a1111, comfy = (sampling_table(COMPATS[name], "Euler a", 25) for name in ("a1111", "comfy"))
    assert comfy.timestep[:3].tolist() == [999.0, 957.0, 916.0]
    assert np.array_equal(comfy.timestep, np.round(comfy.timestep))
    assert not np.signbit(comfy.timestep).any()
    assert np.array_equal(comfy.b, a1111.b) and np.array_equal(comfy.c_in, a1111.c_in)


def test_comfy_gives_the_first_latent_the_whole_variance_at_the_largest_level_only() -> None:
    full = sampling_table(COMPATS["comfy"], "Euler a", 28)
    assert full.init_scale == pytest.approx(math.sqrt(SIGMA_MAX**2 + 1), rel=1e-7)
    partial = sampling_table(COMPATS["comfy"], "Euler a", 28, schedule="leading")
    assert partial.init_scale == pytest.approx(10.72136, rel=1e-6)


@pytest.mark.parametrize(
    ("schedule", "steps", "init_scale"),
    [
        (None, 28, 10.7679),
        ("leading", 25, 11.71879),
        ("trailing", 28, SIGMA_MAX),
        ("linspace", 28, SIGMA_MAX),
    ],
)
def test_diffusers_first_noise(schedule: str | None, steps: int, init_scale: float) -> None:
    table = sampling_table(COMPATS["diffusers"], "Euler a", steps, schedule=schedule)
    assert table.init_scale == pytest.approx(init_scale, rel=1e-5)


def test_every_compat_is_found_by_its_name() -> None:
    assert [find_compat(name).name for name in COMPATS] == ["a1111", "comfy", "diffusers"]
    with pytest.raises(UsageError, match="a1111, comfy, diffusers"):
        find_compat("invoke")


@pytest.mark.parametrize("sampler", ["Euler", "Euler a"])
@pytest.mark.parametrize("name", list(COMPATS))
@pytest.mark.parametrize("steps", [1, 2, 28, 1000])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_tables_are_finite_and_reach_the_last_step(
    sampler: str, name: str, steps: int, prediction: Prediction
) -> None:
    table = sampling_table(COMPATS[name], sampler, steps, prediction)
    assert table.evaluations == steps
    for column in (table.a, table.b, table.c, table.c_in, table.timestep):
        assert column.shape == (steps,)
        assert np.isfinite(column).all()
    assert table.c[-1] == 0
    assert table.histories == 0


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_impossible_options(value: float) -> None:
    with pytest.raises(UsageError, match="eta cannot be"):
        sampling_table(COMPATS["a1111"], "Euler a", 28, options=SamplerOptions(eta=value))
    with pytest.raises(UsageError, match="s_noise cannot be"):
        sampling_table(COMPATS["a1111"], "Euler a", 28, options=SamplerOptions(s_noise=value))


def test_an_unknown_schedule_or_step_count_is_refused() -> None:
    with pytest.raises(UsageError, match="no schedule called"):
        sampling_table(COMPATS["a1111"], "Euler a", 28, schedule="nope")
    with pytest.raises(UsageError, match="0 steps"):
        sampling_table(COMPATS["a1111"], "Euler a", 0)
