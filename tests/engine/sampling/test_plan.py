"""What each tool's rules do to the table of a picture."""

import math
import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.choice import choose
from sakuga.engine.sampling.compat import COMPATS
from sakuga.engine.sampling.noise_schedule import stable_diffusion_schedule
from sakuga.engine.sampling.plan import SamplerOptions, Training, sampling_table
from sakuga.engine.sampling.samplers import SAMPLERS
from sakuga.engine.sampling.schedules import SCHEDULES
from sakuga.engine.sampling.table import SamplerTable
from sakuga.kernels.launch import HISTORIES

SIGMA_MAX = 14.614641
EPS, V, ZERO_SNR = Training(), Training("v_prediction"), Training("v_prediction", True)
PLAIN = SamplerOptions()


def table_of(
    compat: str,
    sampler: str,
    steps: int = 28,
    schedule: str | None = None,
    training: Training = EPS,
    options: SamplerOptions = PLAIN,
) -> SamplerTable:
    tool = COMPATS[compat]
    return sampling_table(tool, choose(tool, sampler, schedule), steps, training, options)


def test_a1111_walks_fractional_timesteps_from_sigma_max() -> None:
    table = table_of("a1111", "Euler a", 25)
    assert table.timestep[:3].tolist() == [999.0, 957.375, 915.75]
    assert table.init_scale == pytest.approx(SIGMA_MAX, rel=1e-7)
    assert table.c_in[0] == pytest.approx(1 / math.sqrt(SIGMA_MAX**2 + 1), rel=1e-7)


def test_comfy_walks_the_same_levels_on_whole_timesteps() -> None:
    a1111, comfy = (table_of(name, "Euler a", 25) for name in ("a1111", "comfy"))
    assert comfy.timestep[:3].tolist() == [999.0, 957.0, 916.0]
    assert np.array_equal(comfy.timestep, np.round(comfy.timestep))
    assert not np.signbit(comfy.timestep).any()
    assert np.array_equal(comfy.b, a1111.b) and np.array_equal(comfy.c_in, a1111.c_in)


@pytest.mark.parametrize("sampler", ["DPM2", "DPM++ 2S a", "Restart", "Heun"])
def test_comfy_s_timesteps_are_whole_between_the_levels_too(sampler: str) -> None:
    timestep = table_of("comfy", sampler, schedule="karras").timestep
    assert np.array_equal(timestep, np.round(timestep))
    between = table_of("a1111", sampler, schedule="karras").timestep
    assert not np.array_equal(between, np.round(between))


def test_comfy_gives_the_first_latent_the_whole_variance_at_the_largest_level_only() -> None:
    assert table_of("comfy", "Euler a").init_scale == pytest.approx(
        math.sqrt(SIGMA_MAX**2 + 1), rel=1e-7
    )
    partial = table_of("comfy", "Euler a", schedule="leading")
    assert partial.init_scale == pytest.approx(10.72136, rel=1e-6)


@pytest.mark.parametrize(
    ("sampler", "schedule", "steps", "init_scale"),
    [
        ("Euler a", None, 28, 10.7679),
        ("Euler a", "leading", 25, 11.71879),
        ("Euler a", "trailing", 28, SIGMA_MAX),
        ("Euler a", "linspace", 28, SIGMA_MAX),
        ("Euler", "karras", 28, 10.7679),
        ("DPM++ 2M", "karras", 28, math.sqrt(SIGMA_MAX**2 + 1)),
        ("DPM++ 2M", "linspace", 28, math.sqrt(SIGMA_MAX**2 + 1)),
        ("Euler", "normal", 28, SIGMA_MAX),
    ],
)
def test_diffusers_first_noise(
    sampler: str, schedule: str | None, steps: int, init_scale: float
) -> None:
    table = table_of("diffusers", sampler, steps, schedule)
    assert table.init_scale == pytest.approx(init_scale, rel=1e-5)


def test_who_leaves_out_the_penultimate_level() -> None:
    """Of 29 levels, so that n steps stay n."""
    lowest = {
        (compat, sampler): min(table_of(compat, sampler, schedule="normal").timestep)
        for compat in ("a1111", "comfy")
        for sampler in ("Euler", "DPM2", "DPM2 a", "DPM++ 3M SDE")
    }
    left_out = {key for key, timestep in lowest.items() if timestep > 30}
    assert left_out == {
        ("a1111", "DPM2"),
        ("a1111", "DPM2 a"),
        ("a1111", "DPM++ 3M SDE"),
        ("comfy", "DPM2"),
        ("comfy", "DPM2 a"),
    }


@pytest.mark.parametrize(
    ("sampler", "evaluations"),
    [
        *(("Euler a", 28), ("DPM++ 2M", 28), ("LMS", 28), ("DPM++ 3M SDE", 28), ("DDIM", 28)),
        *(("Heun", 55), ("DPM2", 55), ("DPM2 a", 55), ("DPM++ 2S a", 55), ("Restart", 55)),
        ("UniPC", 29),
    ],
)
def test_steps_are_as_people_count_them(sampler: str, evaluations: int) -> None:
    table = table_of("a1111", sampler)
    assert (table.steps, table.evaluations) == (28, evaluations)


def columns(table: SamplerTable) -> list[np.ndarray]:
    return [table.a, table.b, table.c, table.d, table.e, table.f, table.c_in, table.timestep]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("compat", COMPATS)
def test_tables_are_finite_and_fit_the_kernel(compat: str, sampler: str) -> None:
    for steps, training in product((2, 3, 28, 499, 998), (EPS, V, ZERO_SNR)):
        table = table_of(compat, sampler, steps, training=training)
        assert table.steps == steps
        assert table.histories <= HISTORIES
        for column in columns(table):
            assert len(column) == table.evaluations
            assert np.isfinite(column.astype(np.float32)).all()
        assert math.isfinite(np.float32(table.init_scale))
        assert (table.timestep >= 0).all() and (table.timestep <= 999).all()
        assert ((table.draw > 0) == (table.c != 0)).all()
        assert ((table.write >= 0) & (table.write < max(1, table.histories))).all()


@pytest.mark.parametrize("sampler", ["Euler", "Euler a"])
@pytest.mark.parametrize("compat", COMPATS)
@pytest.mark.parametrize("steps", [1, 1000])
def test_euler_makes_pictures_in_one_step_and_in_a_thousand(
    sampler: str, compat: str, steps: int
) -> None:
    table = table_of(compat, sampler, steps)
    assert table.evaluations == steps
    assert table.c[-1] == 0 and table.histories == 0
    assert all(np.isfinite(column).all() for column in columns(table))


@given(
    st.sampled_from(sorted(SAMPLERS)),
    st.sampled_from(sorted(SCHEDULES)),
    st.sampled_from(sorted(COMPATS)),
    st.integers(2, 60),  # diffusers' DDIM in one step hardly moves
)
def test_a_picture_that_is_known_comes_out(
    sampler: str, schedule: str, compat: str, steps: int
) -> None:
    """A network that knows x₀ = 0 and tells ε of it: every sampler scales the latent to the end."""
    tool = COMPATS[compat]
    if (compat, sampler, schedule) == ("diffusers", "ddim", "linspace"):
        return  # it steps back by 1000 / steps there, whatever lies between the timesteps
    try:
        choice = choose(tool, sampler, schedule)
    except UsageError:
        return
    table = sampling_table(tool, choice, steps, EPS)
    x, histories = table.init_scale, np.zeros(table.histories)
    for row in range(table.evaluations):
        sigma = math.sqrt(max(1 / table.c_in[row] ** 2 - 1, 1e-12))
        out = x / sigma
        new = table.a[row] * x + table.b[row] * out + float(table.d[row] @ histories)
        if table.e[row] or table.f[row]:
            histories[table.write[row]] = table.e[row] * x + table.f[row] * out
        x = new
    end = 0.04 if sampler in ("ddim", "unipc") else 1e-6  # these stop at the lowest trained σ
    assert abs(x) <= end


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_impossible_options(value: float) -> None:
    with pytest.raises(UsageError, match="eta cannot be"):
        table_of("a1111", "Euler a", options=SamplerOptions(eta=value))
    with pytest.raises(UsageError, match="s_noise cannot be"):
        table_of("a1111", "Euler a", options=SamplerOptions(s_noise=value))


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        ("Euler", SamplerOptions(eta=0.5)),
        ("DPM++ 2M", SamplerOptions(eta=1.0)),
        ("Heun", SamplerOptions(s_noise=1.1)),
        ("DDIM", SamplerOptions(s_noise=1.1)),
        ("Restart", SamplerOptions(eta=1.0)),
    ],
)
def test_options_that_mean_nothing_are_refused(sampler: str, options: SamplerOptions) -> None:
    with pytest.raises(UsageError, match=f"means nothing to {sampler.replace('+', '.')}"):
        table_of("a1111", sampler, options=options)


def test_eta_and_s_noise() -> None:
    plain, still = table_of("a1111", "Euler a"), table_of("a1111", "Euler a", options=eta(0.0))
    np.testing.assert_allclose(still.b, table_of("a1111", "Euler").b, rtol=1e-12)
    assert not still.draw.any() and not still.c.any()
    louder = table_of("a1111", "Euler a", options=SamplerOptions(s_noise=1.5))
    np.testing.assert_allclose(louder.c, 1.5 * plain.c)
    assert np.array_equal(louder.b, plain.b)
    restarted = table_of("a1111", "Restart", options=SamplerOptions(s_noise=1.5))
    np.testing.assert_allclose(restarted.c, 1.5 * table_of("a1111", "Restart").c)
    assert table_of("a1111", "DDIM", options=eta(1.0)).draw.tolist() == list(range(1, 29))


def eta(value: float) -> SamplerOptions:
    return SamplerOptions(eta=value)


def test_without_noise_the_sde_samplers_are_dpmpp_2m() -> None:
    still = table_of("a1111", "DPM++ 2M SDE Karras", options=eta(0.0))
    for mine, theirs in zip(columns(still), columns(table_of("a1111", "DPM++ 2M")), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M SDE", "DPM++ 3M SDE"])
def test_noise_draws_are_numbered_by_step_and_the_last_step_draws_none(sampler: str) -> None:
    assert table_of("a1111", sampler, 5).draw.tolist() == [1, 2, 3, 4, 0]
    assert table_of("a1111", sampler, 1).draw.tolist() == [0]


def test_draws_of_samplers_with_two_evaluations_a_step_follow_the_second() -> None:
    for sampler in ("DPM2 a", "DPM++ 2S a"):
        assert table_of("a1111", sampler, 4).draw.tolist() == [0, 1, 0, 2, 0, 3, 0]
    assert not table_of("a1111", "Heun", 4).draw.any()
    assert table_of("a1111", "Restart", 40).draw.max() == 2


def test_coefficients_carry_the_next_input_scale() -> None:
    table = table_of("a1111", "Heun", 2)
    scales = [table.coefficients(row).c_in for row in range(3)]
    assert scales == [table.c_in[1], table.c_in[2], 1.0]
    assert table.coefficients(0).f != 0 and table.coefficients(1).d == (1.0,)


def test_zero_terminal_snr_starts_from_pure_noise() -> None:
    for compat, sigma in (("a1111", 4518.76), ("comfy", 4518.76)):
        table = table_of(compat, "Euler", training=ZERO_SNR)
        assert table.init_scale == pytest.approx(sigma, rel=1e-5)
        assert table.timestep[0] == 999
    trailing = table_of("diffusers", "Euler", schedule="trailing", training=ZERO_SNR)
    assert trailing.init_scale == pytest.approx(4096, rel=1e-6)


def test_impossible_step_counts() -> None:
    for steps in (0, -3, 1001):
        with pytest.raises(UsageError, match=f"in {steps} steps"):
            table_of("a1111", "Euler a", steps)
    with pytest.raises(UsageError, match="DDIM makes no picture in 1 step"):
        table_of("a1111", "DDIM", 1)
    with pytest.raises(UsageError, match=r"DPM\+\+ 2M makes no picture in 1000 steps"):
        table_of("diffusers", "DPM++ 2M", 1000)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_table_costs_less_than_two_milliseconds(sampler: str) -> None:
    """The best of ten: this measures the code, not what else the machine does."""
    table_of("a1111", sampler)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        table_of("a1111", sampler)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 2e-3


def test_the_model_s_levels_are_shared() -> None:
    assert stable_diffusion_schedule() is stable_diffusion_schedule()
