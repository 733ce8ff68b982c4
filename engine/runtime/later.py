"""Stages of a request with every default filled in, and the size of a picture to begin from."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from sakuga.engine.errors import UsageError
from sakuga.engine.image.decode import MAX_PIXELS
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.latents import LATENT_UPSCALERS
from sakuga.engine.refine.upscaler import target_size
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.settings import Later, Settings
from sakuga.engine.runtime.slot import edited_steps
from sakuga.engine.runtime.stages import Hires, Init, Stage, Upscale
from sakuga.engine.sampling.samplers import SAMPLERS, find_sampler
from sakuga.engine.sampling.strength import Strength
from sakuga.kernels.tiles import Grid
from sakuga.profiles.buckets import Size, Sizes
from sakuga.profiles.families import VAE_FACTOR

ResolvePass: TypeAlias = Callable[[Request, Strength | None], Settings]

USUAL_SCALE = 2.0  # A1111's of a hires pass, and of an upscaler that says nothing
TILE_OVERLAP = 64  # pixels, as A1111's script SD upscale has it


def with_size_of(request: Request, init: Init, sizes: Sizes, usual: Size) -> Request:
    """The request with a size: its own, or the nearest to the picture's that can be rendered.

    Where a part is cut out of the picture, that is worked on at the usual size. Raises
    PictureFileError.
    """
    picture = init.picture.size
    if request.width is not None or request.height is not None:
        return request
    if init.mask is not None and init.mask.area == "masked":
        return replace(request, width=usual.width, height=usual.height)
    if not sizes.allows(picture):
        area = min(usual.width * usual.height, picture.width * picture.height)
        shrink = math.sqrt(area / (picture.width * picture.height))
        wanted = Size(round(picture.width * shrink), round(picture.height * shrink))
        picture = sizes.nearest(wanted)[0]
    return replace(request, width=picture.width, height=picture.height)


def encoding_first(settings: Settings, masked: bool, unseen: bool = False) -> Settings:
    """The same for a pass whose picture is encoded: in diffusers that uses up a draw, and what is
    left of the picture beside a mask another one. `unseen`: the picture itself is not."""
    draws = int(settings.compat.samples_encoding)
    noise = replace(settings.noise, before=draws * (not unseen), between=draws * masked)
    return replace(settings, noise=noise)


def later_stages(
    request: Request, first: Settings, resolve_pass: ResolvePass, sizes: Sizes
) -> tuple[Later, ...]:
    """What is known of them before the first pass. Raises UsageError and SizeError."""
    size, found = _first_size(first), list[Later]()
    plain = replace(request, init=None, stages=(), seed=first.noise.seed)
    for stage in request.stages:
        match stage:
            case Hires():
                later = _hires(stage, plain, first, resolve_pass, sizes, size, bool(found))
            case Detail():
                later = _detail(stage, plain, first, resolve_pass, size)
            case Upscale():
                later = Later(stage, None, target_size(size, stage.scale or USUAL_SCALE))
        _check_pixels(later.size)
        if later.whole is not None:
            _check_pixels(later.whole, f"The hires pass to {later.size} enlarges to it first.")
        found.append(later)
        size = later.size
    return tuple(found)


def _check_pixels(size: Size, why: str = "") -> None:
    if size.width * size.height > MAX_PIXELS:
        raise UsageError(
            f"A picture of {size} is too large.",
            note=f"{why} At most {MAX_PIXELS:,} pixels are made.".strip(),
            hint="Ask for a smaller scale, or a shape nearer the first pass's."
            if why
            else "Ask for a smaller scale.",
        )


def latent_upscaled(stage: Stage) -> bool:
    """Whether it takes the latent of the pass before as it is."""
    return isinstance(stage, Hires) and stage.upscaler in LATENT_UPSCALERS


def _first_size(first: Settings) -> Size:
    init = first.init
    cut_out = init is not None and init.mask is not None and init.mask.area == "masked"
    return init.picture.size if init is not None and cut_out else first.size


def _hires(
    stage: Hires,
    plain: Request,
    first: Settings,
    resolve_pass: ResolvePass,
    sizes: Sizes,
    size: Size,
    encoded: bool,
) -> Later:
    """`encoded`: there is a picture already, whose latent has to be made again."""
    target = stage.size or _scaled(size, stage.scale or USUAL_SCALE, sizes)
    latent = latent_upscaled(stage)
    whole = None if stage.size is None else covering(size, target)
    if whole == target:
        whole = None
    if stage.strength == 0 and not latent:
        return Later(stage, None, target, whole=whole)  # A1111 then leaves it at the upscaler's
    tiles, worked = 1, target
    if not sizes.allows(target):
        worked, tiles = _tiles(stage, target, first.size)
    asked = _asked(stage, plain, first, worked)
    settings = resolve_pass(asked, Strength(stage.strength, "given"))
    noise = replace(first.noise, before=0, between=0)
    settings = replace(settings, noise=noise, steps_before=edited_steps(first))
    pasted = first.init is not None and first.init.mask is not None
    if not latent or pasted or encoded:
        settings = encoding_first(settings, masked=False)
    return Later(stage, settings, target, tiles, whole)


def covering(size: Size, target: Size) -> Size:
    """The smallest size of this one's shape that has `target` within it.

    Source: A1111, `calculate_target_resolution` in modules/processing.py.
    """
    if size.width * target.height < target.width * size.height:
        return Size(target.width, target.width * size.height // size.width)
    return Size(target.height * size.width // size.height, target.height)


def _detail(
    stage: Detail, plain: Request, first: Settings, resolve_pass: ResolvePass, size: Size
) -> Later:
    worked = first.size if stage.only_masked else size
    if stage.width is not None and stage.height is not None:
        worked = Size(stage.width, stage.height)
    if not stage.only_masked and worked != size:
        raise UsageError(
            f"A detailer that paints whole pictures works at {size} and not at {worked}.",
            hint="Let it paint only what is masked, or leave its width and height out.",
        )
    asked = _asked(stage, replace(plain, prompt=first.prompt), first, worked)
    asked = replace(asked, prompt=plain.prompt, negative_prompt=plain.negative_prompt)
    settings = resolve_pass(asked, Strength(stage.strength, masked=True))
    settings = encoding_first(replace(settings, noise=first.noise), masked=True)
    return Later(stage, settings, size)


def _asked(stage: Hires | Detail, plain: Request, first: Settings, size: Size) -> Request:
    """What the stage's pass would be as a request of its own."""
    asked = replace(
        plain,
        width=size.width,
        height=size.height,
        steps=first.steps if stage.steps is None else stage.steps,
        guidance=first.guidance if stage.guidance is None else stage.guidance,
    )
    if stage.sampler is not None:
        schedule = stage.schedule or _kept_schedule(stage.sampler, plain, first)
        asked = replace(asked, sampler=stage.sampler, schedule=schedule)
        asked = replace(asked, eta=None, s_noise=None)  # they may mean nothing to it
    elif stage.schedule is not None:
        asked = replace(asked, schedule=stage.schedule)
    if isinstance(stage, Hires):
        if stage.prompt:
            asked = replace(asked, prompt=stage.prompt)
        if stage.negative_prompt:
            asked = replace(asked, negative_prompt=stage.negative_prompt)
    return asked


def _kept_schedule(sampler: str, plain: Request, first: Settings) -> str | None:
    """A1111 keeps the first pass's schedule for another sampler, where one was asked for."""
    name, carried = find_sampler(sampler)
    if first.compat.name != "a1111" or carried or SAMPLERS[name].own is not None:
        return None
    return plain.schedule or (find_sampler(plain.sampler)[1] if plain.sampler else None)


def _scaled(size: Size, scale: float, sizes: Sizes) -> Size:
    """So many times as large: exactly, or the nearest that can be rendered where any can."""
    wanted = target_size(size, scale)
    if sizes.allows(wanted):
        return wanted
    nearest = sizes.nearest(wanted)[0]
    small = max(abs(nearest.width - wanted.width), abs(nearest.height - wanted.height)) < 32
    return nearest if small else wanted


def _tiles(stage: Hires, target: Size, tile: Size) -> tuple[Size, int]:
    """The size of the passes that make a picture no pass can make, and their number."""
    if latent_upscaled(stage):
        raise UsageError(
            f"This bundle does not render a hires pass to {target} in one go.",
            note="In tiles it is made from an enlarged picture, not from a latent.",
            hint="Choose an upscaler such as lanczos, or another size.",
        )
    if target.width % VAE_FACTOR or target.height % VAE_FACTOR:
        raise UsageError(
            f"A hires pass cannot make {target} pixels.",
            hint=f"Give sides in multiples of {VAE_FACTOR}.",
        )
    if target.width < tile.width or target.height < tile.height:
        raise UsageError(
            f"The hires pass to {target} is no size this bundle renders.",
            note=f"It cannot be made of tiles of {tile} either.",
            hint="Give a size that is larger than the first pass's in both directions.",
        )
    return tile, len(list(tile_grid(target, tile)))


def tile_grid(target: Size, tile: Size) -> Grid:
    """The windows of a tiled pass."""
    overlap = min(TILE_OVERLAP, min(tile.width, tile.height) // 4)
    return Grid(target.height, target.width, (tile.height, tile.width), overlap)
