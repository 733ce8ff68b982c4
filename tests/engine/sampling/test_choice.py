"""Which schedule a tool takes for a sampler, and the name it goes by.

One rule departs from a summary of A1111's "Automatic" that is going round: there DPM++ 2M SDE has
Karras. The list in `modules/sd_samplers_kdiffusion.py` (A1111 1.9 on, Forge) says exponential.
"""

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.choice import OWN, choose
from sakuga.engine.sampling.compat import COMPATS
from sakuga.engine.sampling.samplers import SAMPLERS


@pytest.mark.parametrize(
    ("sampler", "schedule", "label"),
    [
        ("Euler a", "normal", "Automatic"),
        ("Euler", "normal", "Automatic"),
        ("Heun", "normal", "Automatic"),
        ("LMS", "normal", "Automatic"),
        ("DPM++ 2M", "karras", "Karras"),
        ("DPM++ 2M SDE", "exponential", "Exponential"),
        ("DPM++ 2M SDE Heun", "exponential", "Exponential"),
        ("DPM++ 3M SDE", "exponential", "Exponential"),
        ("DPM++ 2S a", "karras", "Karras"),
        ("DPM2", "karras", "Karras"),
        ("DPM2 a", "karras", "Karras"),
        ("Restart", "karras", "Karras"),
        ("DDIM", OWN, "Automatic"),
        ("UniPC", OWN, "Automatic"),
    ],
)
def test_automatic_in_a1111(sampler: str, schedule: str, label: str) -> None:
    for asked in (None, "Automatic"):
        choice = choose(COMPATS["a1111"], sampler, asked)
        assert (choice.schedule, choice.label) == (schedule, label)


def test_the_other_tools_have_one_schedule_for_all_samplers() -> None:
    for sampler in SAMPLERS:
        assert choose(COMPATS["comfy"], sampler).label == "Normal"
        assert choose(COMPATS["diffusers"], sampler, spacing="trailing").label == "Trailing"


def test_what_is_asked_for_is_taken_and_named() -> None:
    a1111 = COMPATS["a1111"]
    assert choose(a1111, "Euler a Karras").label == "Karras"
    assert choose(a1111, "Euler a", "sgm uniform").label == "SGM Uniform"
    assert choose(a1111, "Euler a", "Uniform").label == "Normal"
    assert choose(a1111, "DPM++ 2M Karras", "karras").label == "Karras"
    spaced = choose(COMPATS["diffusers"], "Euler", "linspace", spacing="leading")
    assert (spaced.spacing, spaced.label) == ("linspace", "Linspace")


def test_names_that_contradict_each_other() -> None:
    with pytest.raises(UsageError, match=r"'DPM\+\+ 2M Karras' and .* 'Exponential'"):
        choose(COMPATS["a1111"], "DPM++ 2M Karras", "Exponential")


@pytest.mark.parametrize(
    ("compat", "sampler", "schedule"),
    [
        ("a1111", "DDIM", "Karras"),
        ("a1111", "UniPC", "leading"),
        ("a1111", "DDIM Karras", None),
        ("diffusers", "DDIM", "Karras"),
    ],
)
def test_a_schedule_that_a_sampler_does_not_follow(
    compat: str, sampler: str, schedule: str | None
) -> None:
    with pytest.raises(UsageError, match="does not follow the schedule") as caught:
        choose(COMPATS[compat], sampler, schedule)
    assert caught.value.note and caught.value.hint
    assert choose(COMPATS["diffusers"], "DDIM", "trailing").label == "Trailing"
