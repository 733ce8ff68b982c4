"""From the settings in a picture back to the picture it began from and its stages.

The way there is `stage_facts`. A1111 and ADetailer write the same keys; what their values mean is
theirs. Sources: A1111's modules/processing.py and modules/postprocessing.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sakuga.engine.errors import MetadataError, UsageError
from sakuga.engine.image.infotext_keys import NUMBER, SIZE, WHOLE, Kind
from sakuga.engine.image.source import Source
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.detail_keys import read_details
from sakuga.engine.refine.latents import LATENT_UPSCALERS
from sakuga.engine.runtime.stage_facts import (
    HIRES_STRENGTH,
    INIT_HASH,
    MASK_HASH,
    MASK_KEYS,
    ORDER,
    STRENGTH,
    UPSCALE,
    UPSCALER,
    word_of,
)
from sakuga.engine.runtime.stages import Hires, Init, Mask, Stage, Upscale
from sakuga.engine.runtime.tools import Tools
from sakuga.profiles.buckets import Size

T = TypeVar("T")

_LABELS = {how.label: name for name, how in LATENT_UPSCALERS.items()}
_SAME = {"Use same sampler", "Use same scheduler", "Use same choices", "Use same checkpoint"}
_FILLS = {"latent noise": "noise", "latent nothing": "nothing"}
_OF_HIRES = "Hires "
_DERIVED = {"Hires tiles"}  # told for people
_NO_UPSCALER = "None"  # A1111's, which resizes with Lanczos


@dataclass(frozen=True)
class Given:
    """What is at hand beside the settings: the picture and the mask that it began from, and tools;
    None for tools that nobody asks about."""

    init: Source | None = None
    mask: Source | None = None
    tools: Tools | None = None


NOTHING = Given()


@dataclass(frozen=True)
class Begun:
    """What settings say beside the first pass. `obstacles`: keys that cannot be followed, and why;
    `doubts`: sentences."""

    init: Init | None
    stages: tuple[Stage, ...]
    obstacles: Mapping[str, str]
    doubts: tuple[str, ...] = ()


class _Reader:
    """Takes what it understands out of the settings; the rest are obstacles."""

    def __init__(self, extra: Mapping[str, str], size: Size, given: Given) -> None:
        self.left = dict(extra)
        self.size, self.given = size, given
        self.obstacles: dict[str, str] = {}
        self.doubts: list[str] = []

    def take(self, key: str, kind: Kind, otherwise: T) -> Any | T:  # noqa: ANN401 (the kind's own)
        """The value of a key; where it is none, an obstacle, and `otherwise`."""
        text = self.left.pop(key, None)
        if text is None or text in _SAME:
            return otherwise
        try:
            return kind.read(text)
        except (ValueError, KeyError):
            self.obstacles[key] = text
            return otherwise

    def made(self, topic: str, make: Callable[[], T]) -> T | None:
        """What `make` makes of values; where they cannot be, an obstacle."""
        try:
            return make()
        except (UsageError, MetadataError) as error:
            self.obstacles[topic] = f"cannot be: {error.what}"
            return None


def read_stages(extra: Mapping[str, str], size: Size, given: Given = NOTHING) -> Begun:
    """All of it. `size`: of the first pass. What no stage understands is an obstacle of its own.

    Raises PictureFileError where a picture that is given cannot be read.
    """
    reader = _Reader(extra, size, given)
    begins = INIT_HASH in extra or (STRENGTH in extra and not _has_hires(extra))
    init = _init(reader) if begins or given.init is not None else None
    stages = [*_hires(reader, begins), *_details(reader), *_upscale(reader)]
    stages = _in_order(reader, stages)
    obstacles = reader.obstacles | reader.left | _lacking(stages, given.tools)
    return Begun(init, tuple(stages), obstacles, tuple(reader.doubts))


def _has_hires(extra: Mapping[str, str]) -> bool:
    return any(key.startswith(_OF_HIRES) and key not in _DERIVED for key in extra)


def _init(reader: _Reader) -> Init | None:
    told = reader.left.pop(INIT_HASH, None)
    text = reader.left.get(STRENGTH) if told is None else None
    strength = reader.take(STRENGTH, NUMBER, 0.75)
    resize: Any = reader.left.pop("Resize mode", "stretch")
    mask = _mask(reader)
    picture = reader.given.init
    if picture is None:
        key, value = (STRENGTH, text) if told is None else (INIT_HASH, told)
        reader.obstacles[key] = f"{value} is of a picture it began from: give that with --init"
        return None
    _hold_against(reader, INIT_HASH, told, picture)
    return reader.made(INIT_HASH, lambda: Init(picture, strength, resize, mask))


def _mask(reader: _Reader) -> Mask | None:
    given, left = reader.given.mask, reader.left
    told = left.pop(MASK_HASH, None)
    masked = told is not None or any(key in left for key in MASK_KEYS)
    blur = reader.take("Mask blur", NUMBER, None)
    area: Any = "masked" if left.pop("Inpaint area", "") == "Only masked" else "whole"
    padding = reader.take("Masked area padding", WHOLE, 32)
    content = left.pop("Masked content", "original")
    fill: Any = _FILLS.get(content, content)
    invert = left.pop("Mask mode", "") == "Inpaint not masked"
    soft = left.pop("Mask rounding", "True") == "False"
    if given is None:
        if masked:
            key = MASK_HASH if told is not None else "Mask blur"
            reader.obstacles[key] = f"{told or blur} is of a mask: give that with --mask"
        return None
    _hold_against(reader, MASK_HASH, told, given)
    return reader.made(MASK_HASH, lambda: Mask(given, blur, invert, fill, area, padding, soft))


def _hold_against(reader: _Reader, key: str, told: str | None, source: Source) -> None:
    """Whether the picture given is the one whose hash the settings tell."""
    if told is None:
        reader.doubts.append(f"The settings have no {key} to hold {source.name} against.")
        return
    digest = source.digest
    if len(told) == 32:  # A1111's is an MD5 of pixels as they came in
        reader.doubts.append(f"{key} is another tool's, and {source.name} was not held against it.")
    elif not digest.startswith(told.casefold()):
        here = digest[: max(len(told), 1)]
        reader.obstacles[key] = f"{told}, that of {source.name} is {here}"


def _hires(reader: _Reader, begins: bool) -> list[Stage]:
    if not _has_hires(reader.left):
        return []
    for key in _DERIVED:
        reader.left.pop(key, None)
    strength = reader.take(HIRES_STRENGTH if begins else STRENGTH, NUMBER, 0.7)
    upscaler = reader.left.pop("Hires upscaler", "Latent")
    if upscaler == _NO_UPSCALER:
        upscaler = "Lanczos"
    scale, size = reader.take("Hires upscale", NUMBER, None), _target(reader)
    found: dict[str, Any] = {
        "steps": reader.take("Hires steps", WHOLE, None) or None,
        "guidance": reader.take("Hires CFG Scale", NUMBER, None),
        "sampler": _same(reader.left.pop("Hires sampler", None)),
        "schedule": _same(reader.left.pop("Hires schedule type", None)),
        "prompt": reader.left.pop("Hires prompt", None),
        "negative_prompt": reader.left.pop("Hires negative prompt", None),
    }
    name = _LABELS.get(upscaler, upscaler)
    stage = reader.made(
        "Hires upscale",
        lambda: Hires(None if size else scale, size, name, strength, **found),
    )
    return [] if stage is None else [stage]


def _target(reader: _Reader) -> Size | None:
    """A1111 leaves a side 0 that follows from the other one."""
    size: Size | None = reader.take("Hires resize", SIZE, None)
    if size is None or (size.width and size.height):
        return size
    first = reader.size
    if size.width:
        return Size(size.width, size.width * first.height // first.width)
    return Size(size.height * first.width // first.height, size.height)


def _same(text: str | None) -> str | None:
    return None if text in _SAME else text


def _details(reader: _Reader) -> list[Stage]:
    found = reader.made("ADetailer", lambda: read_details(reader.left))
    reader.left = {
        key: each for key, each in reader.left.items() if not key.startswith("ADetailer")
    }
    if found is None:
        return []
    details, unread = found
    reader.left |= unread
    return list(details)


def _upscale(reader: _Reader) -> list[Stage]:
    if UPSCALER not in reader.left:
        return []
    name, scale = reader.left.pop(UPSCALER), reader.take(UPSCALE, NUMBER, None)
    stage = reader.made(UPSCALER, lambda: Upscale(name, scale))
    return [] if stage is None else [stage]


def _in_order(reader: _Reader, stages: list[Stage]) -> list[Stage]:
    """As they were done, where that is told: usual is A1111's order."""
    told = reader.left.pop(ORDER, None)
    if told is None:
        return stages
    words, left = told.split(", "), list(stages)
    if sorted(words) != sorted(map(word_of, stages)):
        reader.obstacles[ORDER] = told
        return stages
    return [left.pop([word_of(each) for each in left].index(word)) for word in words]


def _lacking(stages: list[Stage], tools: Tools | None) -> dict[str, str]:
    """Upscalers and detectors that are not at hand."""
    found = dict[str, str]()
    for stage in stages if tools else ():
        try:
            assert tools is not None
            tools.check(stage)
        except UsageError as error:
            name = stage.model if isinstance(stage, Detail) else stage.upscaler
            key = {Hires: "Hires upscaler", Detail: "ADetailer model", Upscale: UPSCALER}[
                type(stage)
            ]
            found[key] = f"{name} is not here: {error.what} {error.note}".strip().rstrip(".")
    return found


def without(begun: Begun, topics: set[str]) -> Begun:
    """What is left where obstacles of these topics are left out: the stages they stand in the way
    of go with them."""
    gone = {"hires": Hires, "adetailer": Detail, "postprocess": Upscale}
    kinds = tuple(kind for topic, kind in gone.items() if topic in topics)
    stages = tuple(stage for stage in begun.stages if not isinstance(stage, kinds))
    return replace(begun, stages=stages)
