"""Requests: defaults filled in, and everything wrong told before a network runs."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import SizeError, UsageError
from sakuga.engine.manifest import AxisEntry
from sakuga.engine.runtime.defaults import bundle_defaults, bundle_preset, preset_defaults
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.sampling.noise_schedule import stable_diffusion_schedule
from sakuga.engine.sampling.schedules import make_schedule
from sakuga.engine.text.clip_skip import Layer
from sakuga.profiles.buckets import Size, SizeRule
from sakuga.profiles.families import FAMILIES, SD15_TINY, SDXL, SDXL_TINY, Family
from sakuga.profiles.networks import networks
from sakuga.profiles.presets import all_presets

DEFAULTS = Defaults(size=Size(320, 224), steps=12, guidance=5.5, sampler="Euler", clip_skip=None)


def resolved(request: Request, family: Family = SDXL_TINY, **defaults: Any) -> Settings:  # noqa: ANN401
    return resolve(request, family, replace(DEFAULTS, **defaults), "epsilon")


def test_nothing_said_means_the_bundle_s_defaults() -> None:
    settings = resolved(Request("1girl"))
    assert settings.prompt == "1girl"
    assert settings.negative_prompt is None
    assert settings.size == Size(320, 224)
    assert settings.steps == settings.table.evaluations == 12
    assert settings.guidance == 5.5
    assert settings.sampler == "euler"
    assert settings.compat.name == "a1111"
    assert 0 <= settings.seed < 2**32 and settings.guided


def test_what_is_said_counts() -> None:
    request = Request(
        "1girl", "lowres", 256, 288, 7, 2.0, "Euler a", seed=2**64 - 1, compat="comfy", clip_skip=3
    )
    settings = resolved(request)
    assert settings.negative_prompt == "lowres"
    assert (settings.size, settings.steps, settings.guidance) == (Size(256, 288), 7, 2.0)
    assert (settings.sampler, settings.compat.name) == ("euler_a", "comfy")
    assert settings.seed == 2**64 - 1
    assert settings.layer == Layer(3, "hidden")


def test_a_sampler_may_carry_its_schedule() -> None:
    for request in (
        Request("", sampler="DPM++ 2M Karras"),
        Request("", sampler="dpmpp_2m", schedule="karras"),
        Request("", sampler="DPM++ 2M"),
        Request("", sampler="DPM++ 2M", schedule="Automatic"),
    ):
        settings = resolved(request)
        assert (settings.sampler, settings.schedule) == ("dpmpp_2m", "Karras")
    assert resolved(Request("")).schedule == "Automatic"
    assert resolved(Request("", compat="diffusers")).schedule == "Leading"
    assert resolved(Request("", schedule="simple")).schedule == "Simple"


def test_a_schedule_asked_for_beats_that_of_the_default_sampler() -> None:
    assert resolved(Request("", schedule="Simple"), sampler="Euler").schedule == "Simple"
    carried = resolved(Request(""), sampler="Euler Karras")
    assert (carried.sampler, carried.schedule) == ("euler", "Karras")
    assert resolved(Request("", schedule="Simple"), sampler="Euler Karras").schedule == "Simple"
    assert resolved(Request("", sampler="Euler"), sampler="Euler Karras").schedule == "Automatic"


def test_noise_that_is_not_the_sampler_s_own_is_kept_to_be_told() -> None:
    usual = resolved(Request("", sampler="Euler a", eta=1.0, s_noise=1.0))
    assert (usual.eta, usual.s_noise) == (None, None)
    other = resolved(Request("", sampler="DDIM", eta=1, s_noise=1.05))
    assert (other.eta, other.s_noise) == (1, 1.05)
    assert other.table.c.any()


def test_steps_are_counted_as_people_count() -> None:
    settings = resolved(Request("", sampler="Heun"))
    assert (settings.steps, settings.table.evaluations) == (12, 23)


def test_zero_terminal_snr_starts_from_pure_noise() -> None:
    settings = resolve(Request(""), SDXL_TINY, DEFAULTS, "v_prediction", zero_terminal_snr=True)
    assert settings.table.init_scale == pytest.approx(4518.76, rel=1e-5)


def test_one_side_may_be_given_alone() -> None:
    assert resolved(Request("", width=256)).size == Size(256, 224)


@pytest.mark.parametrize("preset", all_presets().values(), ids=all_presets())
def test_presets_give_their_settings(preset: Any, sdxl_bundle: Bundle) -> None:  # noqa: ANN401
    family = FAMILIES[preset.family]
    entry = replace(
        sdxl_bundle.manifest.networks["unet"],
        axes={
            axis.name: AxisEntry(axis.minimum, axis.maximum, axis.step)
            for axis in networks(family)["unet"].axes
        },
    )
    manifest = replace(
        sdxl_bundle.manifest, preset=preset.name, family=family.name, networks={"unet": entry}
    )
    bundle = replace(sdxl_bundle, manifest=manifest, family=family)
    assert bundle_preset(bundle) == preset
    defaults = bundle_defaults(bundle, preset)
    assert (defaults.sampler, defaults.schedule) == (preset.sampler, preset.schedule)
    # The card's example, with all but its words from the preset.
    request = Request(preset.example, sampler="Euler a", prefix="none")
    settings = resolve(request, family, defaults, "epsilon")
    assert settings.prompt == preset.example != ""
    assert (settings.negative_prompt or "") == preset.negative_prompt
    assert settings.size == preset.size
    assert settings.steps == preset.steps
    assert settings.guidance == preset.guidance
    assert settings.clip_skip == preset.clip_skip
    assert settings.notes == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("animagine-xl-3.1", "1girl, souryuu asuka langley, neon genesis evangelion, solo"),
        ("aidxl", "chun-li, amazing quality, (by yoneyama mai:0.9), (by chi4:0.8)"),
        ("anything-v3.1", "masterpiece, best quality, high quality, 1girl, solo, sitting"),
        ("anything-v3.2", "masterpiece, best quality, high quality, 1girl, solo, sitting"),
    ],
)
def test_examples_are_the_cards(name: str, words: str) -> None:
    assert all_presets()[name].example.startswith(words)


def test_sizes_are_those_of_the_bundle(sdxl_bundle: Bundle) -> None:
    unet = sdxl_bundle.manifest.networks["unet"]
    narrow = replace(unet, axes={**unet.axes, "latent_height": AxisEntry(32, 40, 8)})
    manifest = replace(sdxl_bundle.manifest, networks={"unet": narrow})
    defaults = bundle_defaults(replace(sdxl_bundle, manifest=manifest), None)
    assert defaults.sizes == SizeRule(256, 320, 64)
    with pytest.raises(SizeError, match=r"256x160 pixels(.|\n)*from 256 to 320(.|\n)*256x256"):
        resolve(Request("", width=256, height=160), SDXL_TINY, defaults, "epsilon")


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_diffusers_spaces_timesteps_as_the_checkpoint_says(spacing: str) -> None:
    defaults = replace(DEFAULTS, timestep_spacing=spacing)
    tables = {
        compat: resolve(Request("", compat=compat), SDXL_TINY, defaults, "epsilon").table
        for compat in ("diffusers", "a1111")
    }
    wanted = make_schedule(spacing, stable_diffusion_schedule(), DEFAULTS.steps).timesteps
    np.testing.assert_array_equal(tables["diffusers"].timestep, wanted)
    normal = make_schedule("normal", stable_diffusion_schedule(), DEFAULTS.steps).timesteps
    np.testing.assert_array_equal(tables["a1111"].timestep, normal)


def test_a_presets_clip_skip_counts_as_a1111_does() -> None:
    defaults = replace(DEFAULTS, clip_skip=1)
    for compat in ("a1111", "comfy", "diffusers"):
        settings = resolve(Request("", compat=compat), SDXL_TINY, defaults, "epsilon")
        assert settings.layer == Layer(2, "hidden")
    own = resolve(Request("", compat="comfy", clip_skip=1), SDXL_TINY, defaults, "epsilon")
    assert own.layer == Layer(1, "hidden")


def test_without_a_preset_the_first_bucket_is_usual(sdxl_bundle: Bundle) -> None:
    assert bundle_preset(sdxl_bundle) is None
    defaults = bundle_defaults(sdxl_bundle, None)
    assert defaults == Defaults(size=SDXL_TINY.buckets[0], sizes=SDXL_TINY.sizes)
    unknown = replace(sdxl_bundle, manifest=replace(sdxl_bundle.manifest, preset="forgotten"))
    with pytest.raises(UsageError, match="preset 'forgotten' of this bundle is not here"):
        bundle_preset(unknown)


@pytest.mark.parametrize(
    "width, height, nearest",
    [
        (250, 256, "256x256"),
        (256, 96, "256x128"),
        (1024, 1024, "512x512"),
        (300, 300, "288x288, 288x320, 320x288, 320x320"),
        (0, 256, "128x256"),
        (-64, 256, "128x256"),
    ],
)
def test_a_size_that_is_not_rendered_names_the_nearest(
    width: int, height: int, nearest: str
) -> None:
    with pytest.raises(SizeError, match=f"does not render {width}x{height}") as caught:
        resolved(Request("", width=width, height=height))
    assert caught.value.hint.startswith(f"Nearest: {nearest}")
    assert "multiples of 32 from 128 to 512" in caught.value.note
    assert caught.value.exit_code == 2


@given(st.integers(-10, 3000), st.integers(-10, 3000))
def test_every_size_named_as_near_is_rendered(width: int, height: int) -> None:
    try:
        resolve(Request("", width=width, height=height), SDXL, DEFAULTS, "epsilon")
    except SizeError as error:
        for text in error.hint.removeprefix("Nearest: ").rstrip(".").split(", "):
            near_width, near_height = map(int, text.split("x"))
            near = Request("", width=near_width, height=near_height)
            assert resolve(near, SDXL, DEFAULTS, "epsilon").size == Size(near_width, near_height)


def test_sd15_renders_multiples_of_eight() -> None:
    assert resolved(Request("", width=184, height=136), SD15_TINY).size.latent() == (17, 23)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"steps": 0}, "0 steps"),
        ({"steps": -3}, "-3 steps"),
        ({"steps": 1001}, "1001 steps"),
        ({"guidance": math.nan}, "Guidance cannot be nan"),
        ({"guidance": math.inf}, "Guidance cannot be inf"),
        ({"guidance": -0.5}, "Guidance cannot be -0.5"),
        ({"sampler": "Eulr a"}, "no sampler called 'Eulr a'"),
        ({"sampler": ""}, "no sampler called ''"),
        ({"schedule": "karas"}, "no schedule called 'karas'"),
        ({"sampler": "Euler Karras", "schedule": "Simple"}, "contradict each other"),
        ({"sampler": "DDIM", "schedule": "Karras"}, "DDIM does not follow"),
        ({"sampler": "Euler", "eta": 0.5}, "eta means nothing to Euler"),
        ({"sampler": "Euler a", "eta": -1.0}, "eta cannot be -1.0"),
        ({"compat": "forge"}, "no compat mode called 'forge'"),
        ({"seed": -2}, "seed cannot be -2"),
        ({"seed": 2**64}, "seed cannot be 18446744073709551616"),
        ({"clip_skip": 0}, "Clip skip 0"),
        ({"clip_skip": 99}, "Clip skip 99"),
        ({"prefix": "masterpiece"}, "prefix cannot be 'masterpiece'"),
    ],
)
def test_what_is_wrong_is_told(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        resolved(Request("1girl", **wrong))
    assert caught.value.hint or "Known samplers" in caught.value.note


def test_the_sampler_meant_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        resolved(Request("", sampler="Eulr a"))
    assert "Euler a" in caught.value.hint


@pytest.mark.parametrize(
    "compat, guidance, guided",
    [
        ("a1111", 1.0, False),
        ("a1111", 0.5, True),
        ("a1111", 0.0, True),
        ("comfy", 1.0, False),
        ("comfy", 7.0, True),
        ("diffusers", 1.0, False),
        ("diffusers", 0.5, False),
        ("diffusers", 1.5, True),
    ],
)
def test_when_the_negative_prompt_takes_part(compat: str, guidance: float, guided: bool) -> None:
    assert resolved(Request("", compat=compat, guidance=guidance)).guided is guided


def test_a_preset_s_clip_skip_counts_as_a1111_counts() -> None:
    usual = resolved(Request(""), SD15_TINY, clip_skip=2)
    assert usual.layer == usual.negative_layer == Layer(2, "hidden_normed")
    counted = resolved(Request("", compat="diffusers"), SD15_TINY, clip_skip=2)
    assert counted.clip_skip is None and counted.layer == Layer(1, "hidden_normed")


def test_diffusers_skips_layers_for_the_prompt_alone() -> None:
    settings = resolved(Request("", compat="diffusers", clip_skip=1))
    assert settings.layer == Layer(3, "hidden")
    assert settings.negative_layer == Layer(2, "hidden")
    settings = resolved(Request("", compat="diffusers", clip_skip=1), SD15_TINY)
    assert settings.layer == Layer(2, "hidden_normed")
    assert settings.negative_layer == Layer(1, "hidden_normed")


def test_a_wrong_schedule_is_the_request_s_own_fault() -> None:
    preset = all_presets()["animagine-xl-3.1"]
    defaults = preset_defaults(Defaults(SDXL.buckets[0]), preset)
    with pytest.raises(UsageError) as caught:
        resolve(Request("", schedule="Beta"), SDXL, defaults, "epsilon")
    assert "preset" not in str(caught.value)
