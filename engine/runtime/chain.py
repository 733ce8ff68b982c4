"""The passes of one picture, one after the other: a generator that says what it needs next.

Whoever drives it gives `Denoise` to the batcher, where it shares calls with all other pictures,
`Work` and `InTurns` to the thread that owns the device, `Aside` to the one beside it, and sends the
results back in.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np

from sakuga.engine.backend.base import Device, Latent, Pixels
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.detail_masks import Mask, touching
from sakuga.engine.refine.detail_prompts import prompts_of
from sakuga.engine.refine.gaussian import blurred
from sakuga.engine.refine.latents import LATENT_UPSCALERS, middle_of, resize_latent
from sakuga.engine.refine.mask import note_on_size
from sakuga.engine.refine.resize import middle
from sakuga.engine.refine.upscaler import Enlarging
from sakuga.engine.runtime.canvas import (
    Canvas,
    Part,
    canvas_of,
    carried,
    cut_out,
    painted_region,
    whole,
)
from sakuga.engine.runtime.later import latent_upscaled, tile_grid
from sakuga.engine.runtime.made import Made
from sakuga.engine.runtime.settings import Later, Settings
from sakuga.engine.runtime.slot import Beginning
from sakuga.engine.runtime.stages import Hires, Upscale
from sakuga.engine.runtime.studio import Studio
from sakuga.engine.runtime.turns import Pausing
from sakuga.kernels.tiles import Blend
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import VAE_FACTOR

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Denoise:
    """A pass of the sampler, whose result is a `Decoded`. `begin`: on the thread that owns the
    device, what it begins from besides noise."""

    settings: Settings
    begin: Callable[[], Beginning | None] = lambda: None


@dataclass(frozen=True, eq=False)
class Undecoded:
    """The same, whose result is the latent."""

    settings: Settings
    begin: Callable[[], Beginning | None] = lambda: None


@dataclass(frozen=True, eq=False)
class Work:
    """Something else for the thread that owns the device, and its result."""

    do: Callable[[Device], Any]


@dataclass(frozen=True, eq=False)
class InTurns:
    """The same, which takes long and pauses."""

    begin: Callable[[Device], Pausing[Any]]


@dataclass(frozen=True, eq=False)
class Aside:
    """Something for another thread, and its result."""

    do: Callable[[], Any]


Need: TypeAlias = Denoise | Undecoded | Work | InTurns | Aside
Steps: TypeAlias = Generator[Sequence[Need], list[Any], T]  # all of a turn are done side by side


def passes(settings: Settings, studio: Studio) -> Steps[Made]:
    """Everything between a request and its picture."""
    later = settings.later
    pasted = settings.init is not None and settings.init.mask is not None
    if later and latent_upscaled(later[0].stage) and not pasted:
        (latent,) = yield [Undecoded(settings, Easel(settings, studio).begin)]
        made = yield from _hires_of_latent(later[0], latent, studio)
        later = later[1:]
    else:
        made = yield from _first(settings, studio)
    for number, each in enumerate(later):
        match each.stage:
            case Hires():
                made = yield from _hires(each, made, studio)
            case Detail():
                masks = yield from _masks(settings, later[:number], each.stage, made, studio)
                made = yield from _detail(each, each.stage, masks, made, studio)
            case Upscale():
                made = yield from _enlarge(each.stage.upscaler, each.size, made, studio)
    return made


def _first(settings: Settings, studio: Studio) -> Steps[Made]:
    easel = Easel(settings, studio)
    (decoded,) = yield [Denoise(settings, easel.begin)]
    made = studio.finish.pixels(settings, decoded)
    if easel.canvas is None:
        return made
    return replace(made, pixels=easel.canvas.put_back(made.pixels)).noted(*easel.notes)


@dataclass(eq=False)
class Easel:
    """Holds the canvas of a first pass, which is there once the pass has begun."""

    settings: Settings
    studio: Studio
    canvas: Canvas | None = None
    notes: tuple[str, ...] = ()

    def begin(self) -> Beginning | None:
        """What the pass begins from besides noise. Raises PictureFileError, UsageError."""
        init, settings = self.settings.init, self.settings
        if init is None:
            return self.studio.from_noise(settings)
        self.canvas = canvas_of(init, settings.size, settings.compat)
        self.notes = init.picture.notes
        if init.mask is not None:
            other_size = note_on_size(init.mask.picture.size, init.picture.size)
            self.notes += (*init.mask.picture.notes, *([other_size] if other_size else []))
        return self.studio.begun(self.canvas, settings)


def _hires_of_latent(later: Later, latent: Latent, studio: Studio) -> Steps[Made]:
    """The next pass from the latent as it is, without the VAE."""
    settings, stage = later.settings, later.stage
    assert settings is not None
    assert isinstance(stage, Hires)
    how = LATENT_UPSCALERS[stage.upscaler]
    larger = resize_latent(latent, (later.whole or later.size).latent(), how)
    larger = middle_of(larger, settings.size.latent())
    (decoded,) = yield [Denoise(settings, lambda: studio.from_latent(larger, settings))]
    return studio.finish.pixels(settings, decoded)


def _hires(later: Later, made: Made, studio: Studio) -> Steps[Made]:
    stage, settings = later.stage, later.settings
    assert isinstance(stage, Hires)
    if latent_upscaled(stage):  # its picture is there already, and no latent any more
        latent = yield from _encoded(made.pixels, settings, studio)
        return made.then((yield from _hires_of_latent(later, latent, studio)))
    made = yield from _enlarge(stage.upscaler, later.whole or later.size, made, studio)
    if later.whole is not None:
        made = made.noted(f"Enlarged to {later.whole} and cut to {later.size}.")
    if settings is None or later.tiles > 1:
        made = replace(made, pixels=middle(made.pixels, later.size))
    if settings is None:
        return made
    if later.tiles > 1:
        return (yield from _tiled(later, settings, made, studio))
    latent = yield from _encoded(_in_eighths(made.pixels), settings, studio)
    cut = middle_of(latent, settings.size.latent())  # for A1111 cuts the latent
    (decoded,) = yield [Denoise(settings, lambda: studio.from_latent(cut, settings))]
    return made.then(studio.finish.pixels(settings, decoded))


def _in_eighths(pixels: Pixels) -> Pixels:
    """Its rows and columns up to a multiple of the VAE's factor: as many as its latent has. Of a
    picture that is to be cut, A1111's encoder sees up to seven more at the far edges."""
    height, width = (side // VAE_FACTOR * VAE_FACTOR for side in pixels.shape[:2])
    return pixels[:height, :width]


def _encoded(pixels: Pixels, settings: Settings | None, studio: Studio) -> Steps[Latent]:
    assert settings is not None
    done: list[Latent] = yield [Work(lambda _: studio.encoded(pixels, settings))]
    return done[0]


def _enlarge(upscaler: str, size: Size, made: Made, studio: Studio) -> Steps[Made]:
    def begin(device: Device) -> Enlarging:
        found = studio.tools.upscalers.find(upscaler, device.upscaler)
        return found.enlarge(made.pixels, size)

    (pixels,) = yield [InTurns(begin)]
    return replace(made, pixels=pixels)


def _tiled(later: Later, settings: Settings, made: Made, studio: Studio) -> Steps[Made]:
    """Image to image in windows that overlap, A1111's script SD upscale; all side by side."""
    grid = tile_grid(later.size, settings.size)

    windows, tiles = list(grid), list[Denoise]()
    for number, window in enumerate(windows):
        asked = replace(settings, noise=settings.noise.counted_up(number))
        part = np.ascontiguousarray(made.pixels[window.rows, window.columns])
        tiles.append(Denoise(asked, studio.beginner(Canvas(part), asked)))
    decoded = yield tiles
    blend = Blend(grid, 3)
    for window, each in zip(windows, decoded, strict=True):
        made = made.then(studio.finish.pixels(settings, each))
        blend.add(window, made.pixels.transpose(2, 0, 1).astype(np.float32))
    pixels = np.rint(blend.whole).astype(np.uint8).transpose(1, 2, 0)
    made = replace(made, pixels=np.ascontiguousarray(pixels))
    return made.noted(
        f"{later.size} is larger than one pass makes: it was made in {len(windows)} tiles."
    )


def _masks(
    settings: Settings, before: Sequence[Later], stage: Detail, made: Made, studio: Studio
) -> Steps[list[Mask]]:
    """Of what is found; of a picture that was inpainted, of what touches the part that was."""

    def found() -> list[Mask]:
        masks, init = studio.masks(stage, made.pixels), settings.init
        region = None if init is None else painted_region(init, settings.size)
        return masks if region is None else touching(masks, carried(region, before))

    (masks,) = yield [Aside(found)]
    return list(masks)


def _detail(
    later: Later, stage: Detail, masks: Sequence[Mask], made: Made, studio: Studio
) -> Steps[Made]:
    """One pass for each mask, one after the other; each sees what those before made."""
    settings = later.settings
    assert settings is not None
    texts = prompts_of(stage, settings.prompt, settings.negative_prompt or "", len(masks))
    for number, (mask, chosen) in enumerate(zip(masks, texts, strict=True)):
        if chosen is None:
            continue
        asked = _detail_settings(settings, number, *chosen)
        soft = blurred(mask, stage.blur, stage.blur)
        part = Part(soft, cut_out=stage.only_masked, padding=stage.padding)
        canvas = _detail_canvas(made.pixels, part, asked)
        (decoded,) = yield [Denoise(asked, studio.beginner(canvas, asked))]
        made = made.then(studio.finish.pixels(asked, decoded))
        made = replace(made, pixels=canvas.put_back(made.pixels))
    if not masks:
        made = made.noted(f"The detailer found nothing to work on with {stage.model}.")
    return made


def _detail_settings(settings: Settings, number: int, prompt: str, negative: str) -> Settings:
    """Mask j has the picture's seed + j, and its variation's."""
    noise = settings.noise.counted_up(number)
    same = negative == (settings.negative_prompt or "")
    return replace(
        settings,
        prompt=prompt,
        negative_prompt=settings.negative_prompt if same else negative,
        noise=noise,
    )


def _detail_canvas(pixels: Pixels, part: Part, settings: Settings) -> Canvas:
    if part.cut_out:
        return cut_out(pixels, part, settings.size, settings.compat)
    return whole(pixels, part, part.mask, settings.compat)
