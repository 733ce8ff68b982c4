"""Requests made complete and checked, for one bundle; no network is needed for it."""

from dataclasses import fields, replace
from operator import attrgetter

from sakuga.engine.bundle import Bundle
from sakuga.engine.image.source import Raster, Source
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.detail_prompts import all_prompts
from sakuga.engine.runtime.defaults import bundle_defaults
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.runtime.settings import Later, Settings
from sakuga.engine.runtime.tools import Tools
from sakuga.profiles.buckets import Size, Sizes
from sakuga.profiles.preset import Preset

_OF_PROMPTS_AND_SEEDS = ("prompt", "negative_prompt", "seed", "variation_seed")
_settings = attrgetter(
    *(each.name for each in fields(Request) if each.name not in _OF_PROMPTS_AND_SEEDS)
)


class Resolver:
    """`preset`: where defaults come from. `sizes`: what the device renders of the bundle's, None
    for all. `tools`: what stages may name, None for what needs no folder."""

    def __init__(
        self,
        bundle: Bundle,
        preset: Preset | None,
        prompts: PromptEncoder,
        sizes: Sizes | None,
        tools: Tools | None = None,
    ) -> None:
        self._bundle, self._prompts = bundle, prompts
        self._tools = tools or Tools.of(None, None, bundle.family)
        self._sizes: dict[tuple[object, ...], Size] = {}
        defaults = bundle_defaults(bundle, preset)
        self.defaults = replace(defaults, sizes=sizes or defaults.sizes)

    def __call__(self, request: Request) -> Settings:
        """The request with every default filled in. Raises UsageError and SizeError."""
        settings = self._resolved(request)
        self._prompts.check(settings)
        for later in settings.later:
            self._check(later)
        return settings

    def _check(self, later: Later) -> None:
        """A stage's prompts, and what it needs by name."""
        stage, settings = later.stage, later.settings
        self._tools.check(stage)
        if isinstance(stage, Detail):
            assert settings is not None
            for texts in all_prompts(stage, settings.prompt, settings.negative_prompt or ""):
                prompt, negative = texts
                self._prompts.check(replace(settings, prompt=prompt, negative_prompt=negative))
            return
        if settings is not None:
            self._prompts.check(settings)

    def size(self, request: Request) -> Size:
        """The size of a request's picture, everything checked but its prompts and seeds, and that
        once for all requests that agree in it. Of a picture to begin from the header is read, and
        that only where its size decides. Raises UsageError, SizeError and PictureFileError."""
        settings = _settings(_without_pictures(request))
        if settings not in self._sizes:
            plain = replace(request, prompt="", negative_prompt="", seed=0, variation_seed=None)
            self._sizes[settings] = self._resolved(plain).size
        return self._sizes[settings]

    def _resolved(self, request: Request) -> Settings:
        manifest = self._bundle.manifest
        return resolve(
            request,
            self._bundle.family,
            self.defaults,
            manifest.prediction,
            manifest.zero_terminal_snr,
        )


def _without_pictures(request: Request) -> Request:
    """The same for all pictures to begin from between which no size makes a difference."""
    init = request.init
    if init is None:
        return request
    cut_out = init.mask is not None and init.mask.area == "masked"
    shape: tuple[int, ...] = ()
    if cut_out or (request.width is None and request.height is None):
        shape = (init.picture.size.height, init.picture.size.width)
    mask = init.mask and replace(init.mask, picture=Source(b""))
    return replace(request, init=replace(init, picture=Source(Raster(shape, b"")), mask=mask))
