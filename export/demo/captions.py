"""The words for a scene, as Danbooru tags; the vocabulary the demo model knows."""

from collections.abc import Sequence

import numpy as np

from sakuga.export.demo.palette import CLOTHES, EYES, HAIR, PLAIN_BACKGROUNDS
from sakuga.export.demo.scene import (
    ACCESSORIES,
    BOYS_STYLES,
    EXPRESSIONS,
    GARMENTS,
    HAIR_STYLES,
    PLACES,
    Scene,
)

BEST_TAGS = ("masterpiece", "best quality", "very aesthetic", "absurdres")
WORST_TAGS = ("worst quality", "low quality", "lowres", "jpeg artifacts", "displeasing")
# What stands beside those tags in the negative prompts of the cards. Only captions of bad pictures
# hold these words, so they come to mean a little of what those mean.
COMPANIONS = (
    "nsfw", "text", "error", "fewer", "extra", "missing", "watermark", "unfinished", "oldest",
    "early", "chromatic aberration", "signature", "extra digits", "artistic error", "username",
    "scan", "bad anatomy", "bad hands", "(bad)", "[abstract]", "blurry",
)  # fmt: skip

# Every attribute and its values; the index of a value counts from 1, 0 says that no tag names it.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "person": ("1girl", "1boy"),
    "hair": tuple(HAIR),
    "style": tuple(dict.fromkeys((*HAIR_STYLES, *BOYS_STYLES))),
    "eyes": tuple(EYES),
    "expression": EXPRESSIONS,
    "garment": GARMENTS,
    "cloth": tuple(CLOTHES),
    **{name: (name,) for name in ACCESSORIES},
    "framing": ("upper body", "portrait"),
    "place": PLACES,
    "backdrop": tuple(PLAIN_BACKGROUNDS),
    "quality": ("best", "worst"),
}
_DROPPED = 0.15  # of tags are left out, so that what is not asked for varies

Tag = tuple[str, dict[str, str]]  # the words, and what they say


def caption(scene: Scene, generator: np.random.Generator) -> list[Tag]:
    """Tags of a scene in random order, some left out, each with the attributes it names."""
    kept = [tag for tag in _tags(scene, generator) if generator.random() > _DROPPED]
    quality = _quality(scene, generator)
    order = generator.permutation(len(kept))
    shuffled = [kept[i] for i in order]
    if generator.random() < 0.5:
        shuffled.sort(key=lambda tag: "person" not in tag[1])
    return [*quality, *shuffled] if generator.random() < 0.4 else [*shuffled, *quality]


def said(tags: Sequence[Tag]) -> dict[str, int]:
    """Index of the named value of every attribute, 0 where nothing is said."""
    named = {key: value for _, attributes in tags for key, value in attributes.items()}
    return {
        key: values.index(named[key]) + 1 if key in named else 0
        for key, values in ATTRIBUTES.items()
    }


def words(tags: Sequence[Tag]) -> str:
    """The caption as a prompt."""
    return ", ".join(text for text, _ in tags)


def prompt(scene: Scene) -> str:
    """All a picture's own tags in the order of Animagine's card: what a careful user would ask."""
    tags = [text for text, _ in _tags(scene, None)]
    return ", ".join([*tags, *BEST_TAGS])


def vocabulary() -> tuple[str, ...]:
    """Every phrase a caption may hold."""
    values = [value for key, values in ATTRIBUTES.items() for value in values if key != "quality"]
    garments = [f"{cloth} {garment}" for cloth in CLOTHES for garment in GARMENTS]
    more = ("solo", "male focus", "looking at viewer", "outdoors", "blue sky", "night sky",
            "turtleneck", "ocean")  # fmt: skip
    return (*values, *garments, *more, *BEST_TAGS, *WORST_TAGS, *COMPANIONS)


def _tags(scene: Scene, generator: np.random.Generator | None) -> list[Tag]:
    """The tags of a scene; with a generator, synonyms and companions at random."""

    def chance(share: float) -> bool:
        return generator is not None and bool(generator.random() < share)

    tags: list[Tag] = [(scene.person, {"person": scene.person})]
    if chance(0.3):
        tags.append(("solo", {}))
    if scene.person == "1boy" and chance(0.4):
        tags.append(("male focus", {"person": "1boy"}))
    tags += [(scene.hair, {"hair": scene.hair}), (scene.style, {"style": scene.style})]
    if scene.expression != "closed eyes":
        tags.append((scene.eyes, {"eyes": scene.eyes}))
        if chance(0.4):
            tags.append(("looking at viewer", {}))
    tags.append((scene.expression, {"expression": scene.expression}))
    tags += _garment(scene, chance(0.3), chance(0.4))
    tags += [(name, {name: name}) for name in scene.accessories]
    tags.append((scene.framing, {"framing": scene.framing}))
    return tags + _place(scene, chance(0.5))


def _garment(scene: Scene, without_colour: bool, with_collar: bool) -> list[Tag]:
    named = {"garment": scene.garment}
    tags: list[Tag] = [(scene.garment, named)]
    if not without_colour:
        tags = [(f"{scene.cloth} {scene.garment}", named | {"cloth": scene.cloth})]
    if scene.garment == "sweater" and with_collar:
        tags.append(("turtleneck", {}))
    return tags


def _place(scene: Scene, more: bool) -> list[Tag]:
    place: str = scene.place
    named = {"place": place}
    if place == "simple background":
        return [("simple background", named), (scene.backdrop, {"backdrop": scene.backdrop})]
    tags: list[Tag] = [(place, named), ("outdoors", {})]
    if place == "beach" and more:
        return [*tags, ("ocean", named), ("day", {})]
    if more:
        return [*tags, ("night sky", named) if scene.night else ("blue sky", {})]
    return tags


def _quality(scene: Scene, generator: np.random.Generator) -> list[Tag]:
    best = scene.quality == "best"
    names = BEST_TAGS if best else WORST_TAGS
    if generator.random() < 0.12:
        return []
    count = 1 + int(generator.integers(len(names)))
    chosen = [names[i] for i in generator.permutation(len(names))[:count]]
    tags: list[Tag] = [(name, {"quality": scene.quality}) for name in chosen]
    if not best and generator.random() < 0.5:
        companions = generator.permutation(len(COMPANIONS))[: int(generator.integers(1, 18))]
        tags += [(COMPANIONS[i], {}) for i in companions]
        tags = [tags[i] for i in generator.permutation(len(tags))]
    return tags
