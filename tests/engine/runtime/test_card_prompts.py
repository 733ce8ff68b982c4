"""The prompts of the model cards, in all three tools, against their published rules in float32."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conditioning_rules import Conditioning as Wanted
from conditioning_rules import PublishedConditioning
from prompt_rules import pieces

from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle
from sakuga.engine.presets import known_presets
from sakuga.engine.runtime.defaults import preset_defaults
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.text.conditioning import Conditioning
from sakuga.export.reference_pipeline import reference
from sakuga.export.relative_error import relative_error
from sakuga.profiles.families import FAMILIES

BAR = 1e-5
TOOLS = ["a1111", "comfy", "diffusers"]

# What the cards write beside the example of the preset: widgets, forms of tags, a whole order.
_WOMAN = (
    "green hair, sweater, looking at viewer, upper body, beanie, outdoors, night, turtleneck, "
    "masterpiece, best quality, very aesthetic, absurdes"
)
_ORDER = (
    "by xxx, a girl named frieren from sousou no frieren series, elf, cowboy shot, impasto style, "
    "fantasy theme, in the forest, at day, gradient background, sitting on ground, is "
    "expressionless, white hair, twintails, green eyes, parted lip, wearing a white dress, frills, "
    "a cat, grass, sunshine, beautiful color, detailed, aesthetic, (best quality:1.3)"
)
_SKY = "colorful, autumn, cumulonimbus clouds, lighting, blue sky, falling leaves, garden"
CARDS = {
    "animagine-xl-3.1": [f"1girl, {_WOMAN}", f"1boy, male focus, {_WOMAN}"],
    "aidxl": [
        _ORDER,
        r"(by xxx:0.6), lucy \(cyberpunk\), (amazing quality:1.5)",
        r"ganyu \(genshin impact\), st. louis \(luxurious wheels\) \(azur lane\)",
    ],
    "baxl-v2": ["1girl, flat_coating clear_color highres absurdres best_quality"],
    "baxl-v3": [r"1girl, glowing, 3d, painting \(medium\), photorealistic, nsfw"],
    "anything-v3.1": [
        f"masterpiece, best quality, 1girl, brown hair, green eyes, {_SKY}",
        f"masterpiece, best quality, 1boy, medium hair, blonde hair, blue eyes, bishounen, {_SKY}",
    ],
    "anything-v3.2": [
        "1girl, white hair, golden eyes, beautiful eyes, detail, flower meadow, cumulonimbus "
        "clouds, lighting, detailed sky, garden"
    ],
}

Worst = Callable[[str, float], float]


@pytest.fixture(scope="module")
def published(sdxl_folder: Path, sd15_folder: Path) -> dict[str, PublishedConditioning]:
    folders = {"sdxl": sdxl_folder, "sd15": sd15_folder}
    return {kind: PublishedConditioning(reference(each).pipeline) for kind, each in folders.items()}


@pytest.fixture(scope="module")
def encoders(sdxl_bundle: Bundle, sd15_bundle: Bundle) -> dict[str, PromptEncoder]:
    return {
        kind: PromptEncoder(bundle, lambda name, b=bundle: OnnxSession(b.graph(name), threads=1))
        for kind, bundle in (("sdxl", sdxl_bundle), ("sd15", sd15_bundle))
    }


def compare(found: Conditioning, wanted: Wanted, worst: Callable[[float], float]) -> None:
    states, pooled = wanted
    assert worst(relative_error(found.states, states.numpy())) <= BAR
    assert (found.pooled is None) == (pooled is None)
    if found.pooled is not None and pooled is not None:
        assert worst(relative_error(found.pooled, pooled.numpy())) <= BAR


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("card", CARDS)
def test_the_conditioning_of_a_card_s_prompts(
    card: str,
    tool: str,
    published: dict[str, PublishedConditioning],
    encoders: dict[str, PromptEncoder],
    worst: Worst,
) -> None:
    preset = known_presets()[card]
    family = FAMILIES[preset.family]
    defaults = preset_defaults(Defaults(family.buckets[0]), preset)
    rules, ours = published[family.kind], encoders[family.kind]
    lengths = set()
    for prompt in (preset.example, *CARDS[card]):
        request = Request(prompt, preset.negative_prompt, compat=tool, seed=1)
        settings = resolve(request, family, defaults, "epsilon")
        assert tool == "diffusers" or set(preset.prefix.split(", ")) <= {
            "",
            *settings.prompt.split(", "),
        }
        (positive,), negative = ours.encode(settings)
        assert negative is not None
        for course, text in ((positive, settings.prompt), (negative, settings.negative_prompt)):
            found = course.conditionings[0]
            assert all(each is found for each in course.conditionings)
            compare(found, rules(text or "", tool), lambda value: worst(f"{card}, {tool}", value))
            lengths.add(found.chunks)
    assert lengths == ({1, 2} if card == "aidxl" and tool != "diffusers" else {1})


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("negative", [None, ""])
@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_a_negative_prompt_that_says_nothing(
    kind: str,
    negative: str | None,
    tool: str,
    published: dict[str, PublishedConditioning],
    encoders: dict[str, PromptEncoder],
    worst: Worst,
) -> None:
    """Zeros for SDXL in A1111, and in diffusers where none is given; else the empty prompt's."""
    family = FAMILIES[kind]
    request = Request("1girl", negative, compat=tool, seed=1)
    settings = resolve(request, family, Defaults(family.buckets[0]), "epsilon")
    _, course = encoders[kind].encode(settings)
    assert course is not None
    found = course.conditionings[0]
    if kind == "sdxl" and (tool == "a1111" or (tool == "diffusers" and negative is None)):
        assert not found.states.any() and found.pooled is not None and not found.pooled.any()
    else:
        compare(found, published[kind]("", tool), lambda value: worst(f"empty, {tool}", value))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_long_prompts_with_everything(
    kind: str,
    tool: str,
    published: dict[str, PublishedConditioning],
    encoders: dict[str, PromptEncoder],
    worst: Worst,
) -> None:
    """Commas to go back to, chunks begun by BREAK, weights across them, words of many tokens."""
    family = FAMILIES[kind]
    for prompt in (
        f"{_ORDER}, (looking at viewer:0.7), {_SKY}, [night], ((stars))",
        f"(red hair:1.2) BREAK {_SKY}, (a:0.5) BREAK [cat] BREAK",
        "(" + "supercalifragilistic " * 12 + ":1.1), " + "cat, " * 20,
        "".join(f"(tag {n}:{1 + n / 50:g}), " for n in range(30)),
    ):
        request = Request(prompt, "", compat=tool, seed=1)
        settings = resolve(request, family, Defaults(family.buckets[0]), "epsilon")
        (positive,), _ = encoders[kind].encode(settings)
        wanted = published[kind](prompt, tool)
        compare(positive.conditionings[0], wanted, lambda value: worst(f"long, {tool}", value))


def test_the_order_of_aidxl_has_85_tokens(published: dict[str, PublishedConditioning]) -> None:
    tokens = [token for piece in pieces(_ORDER) for token in published["sdxl"].tokens(piece)]
    assert len(tokens) == 85
    assert np.isclose(tokens[-1][1], 1.3)
