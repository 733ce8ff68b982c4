"""Samplers by name."""

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.samplers import SAMPLERS, find_sampler, sampler_name
from sakuga.engine.sampling.schedules import SCHEDULES


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        *((text, "euler_a") for text in ("Euler a", "euler_a", "Euler A", "EULER ANCESTRAL")),
        *((text, "euler_a") for text in ("k_euler_a", "euler-ancestral", "k_euler_ancestral")),
        ("EulerAncestralDiscreteScheduler", "euler_a"),
        *((text, "euler") for text in ("Euler", "euler", "k_euler", "EulerDiscreteScheduler")),
        *((text, "dpmpp_2m") for text in ("DPM++ 2M", "dpmpp_2m", "dpm++ 2m", "k_dpmpp_2m")),
        ("DPMSolverMultistepScheduler", "dpmpp_2m"),
        *((text, "dpmpp_2m_sde") for text in ("DPM++ 2M SDE", "dpmpp_2m_sde")),
        *((text, "dpm2_a") for text in ("DPM2 a", "dpm_2_ancestral", "k_dpm_2_a")),
        *((text, "dpmpp_2s_a") for text in ("DPM++ 2S a", "dpmpp_2s_ancestral")),
        *((text, "unipc") for text in ("UniPC", "uni_pc", "UniPCMultistepScheduler")),
    ],
)
def test_spellings(spelling: str, name: str) -> None:
    assert find_sampler(spelling) == (name, None)


@pytest.mark.parametrize(
    ("spelling", "sampler", "schedule"),
    [
        ("DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("DPM++ 2M SDE Karras", "dpmpp_2m_sde", "karras"),
        ("dpmpp_2m_sde_exponential", "dpmpp_2m_sde", "exponential"),
        ("DPM2 a Karras", "dpm2_a", "karras"),
        ("LMS Karras", "lms", "karras"),
        ("Euler SGMUniform", "euler", "sgm_uniform"),
        ("Euler a Uniform", "euler_a", "normal"),
    ],
)
def test_a_name_may_carry_the_schedule(spelling: str, sampler: str, schedule: str) -> None:
    assert find_sampler(spelling) == (sampler, schedule)
    assert sampler_name(spelling) == sampler


def test_no_two_samplers_share_a_spelling_nor_a_sampler_with_a_schedule() -> None:
    for name, sampler in SAMPLERS.items():
        for text in (name, sampler.label, *sampler.spellings):
            assert find_sampler(text) == (name, None)
            for key, schedule in SCHEDULES.items():
                assert find_sampler(f"{text} {schedule.label}") == (name, key)


def test_an_unknown_sampler_names_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        sampler_name("eulr a")
    assert "Euler a, Euler" in caught.value.note
    assert caught.value.hint == "Did you mean 'Euler a'?"
    for nothing in ("", "Karras"):
        with pytest.raises(UsageError) as caught:
            sampler_name(nothing)
        assert caught.value.hint == ""


@pytest.mark.parametrize("name", ["DPM++ SDE", "DPM++ SDE Karras", "dpmpp_sde_gpu", "LCM", "plms"])
def test_what_only_other_tools_have_gets_no_wrong_suggestion(name: str) -> None:
    with pytest.raises(UsageError, match="of other tools is not here") as caught:
        find_sampler(name)
    assert "Did you mean" not in str(caught.value)
