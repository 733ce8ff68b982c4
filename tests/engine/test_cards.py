"""The example of every model card, from its preset alone.

Resolved as it would be for the real model; rendered by the small model of its kind, at a small size
and in a few steps, because the real ones are gigabytes.
"""

from dataclasses import replace

import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.presets import known_presets
from sakuga.engine.runtime.defaults import preset_defaults
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.profiles.families import FAMILIES

CARDS = ["animagine-xl-3.1", "aidxl", "baxl-v2", "baxl-v3", "anything-v3.1", "anything-v3.2"]


@pytest.mark.parametrize("name", CARDS)
def test_an_example_runs_from_its_preset_alone(
    name: str, sdxl_bundle: Bundle, sd15_bundle: Bundle
) -> None:
    preset = known_presets()[name]
    family = FAMILIES[preset.family]
    defaults = preset_defaults(Defaults(family.buckets[0]), preset)
    settings = resolve(Request(preset.example, seed=1), family, defaults, "epsilon")
    assert (settings.size, settings.steps) == (preset.size, preset.steps)
    assert settings.guidance == preset.guidance and settings.notes == ()
    assert preset.example in settings.prompt
    assert all(tag in settings.prompt for tag in preset.prefix.split(", "))
    assert settings.negative_prompt == preset.negative_prompt
    small = sdxl_bundle if family.kind == "sdxl" else sd15_bundle
    request = Request(
        settings.prompt, settings.negative_prompt, 128, 160, 4, settings.guidance,
        preset.sampler, 1, schedule=preset.schedule,
    )  # fmt: skip
    with Engine.open(small.path, threads=1) as engine:
        picture = engine.render(request)
        assert picture.pixels.std() > 5
        again = engine.render(replace(request, prompt=f"{request.prompt}, 2girls"))
        assert not (again.pixels == picture.pixels).all()
    assert f"Sampler: {preset.sampler}" in picture.parameters
