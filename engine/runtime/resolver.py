"""Requests made complete and checked, for one bundle; no network is needed for it."""

from dataclasses import fields, replace
from operator import attrgetter

from sakuga.engine.bundle import Bundle
from sakuga.engine.refine.detail_prompts import all_prompts
from sakuga.engine.refine.upscalers import Upscalers
from sakuga.engine.runtime.defaults import bundle_defaults
from sakuga.engine.runtime.later import latent_upscaled
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.request import Request, resolve
from sakuga.engine.runtime.settings import Later, Settings
from sakuga.engine.runtime.shelf import Shelf
from sakuga.engine.runtime.stages import Detail
from sakuga.profiles.buckets import Size, Sizes
from sakuga.profiles.preset import Preset

_OF_PROMPTS_AND_SEEDS = ("prompt", "negative_prompt", "seed", "variation_seed")
_settings = attrgetter(
    *(each.name for each in fields(Request) if each.name not in _OF_PROMPTS_AND_SEEDS)
)


class Resolver:
    """`preset`: where defaults come from. `sizes`: what the device renders of the bundle's, None
    for all."""

    def __init__(
        self,
        bundle: Bundle,
        preset: Preset | None,
        prompts: PromptEncoder,
        sizes: Sizes | None,
        upscalers: Upscalers,
        detectors: Shelf,
    ) -> None:
        self._bundle, self._prompts = bundle, prompts
        self._upscalers, self._detectors = upscalers, detectors
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
        if isinstance(stage, Detail):
            self._detectors.check(stage.model)
            assert settings is not None
            for texts in all_prompts(stage, settings.prompt, settings.negative_prompt or ""):
                prompt, negative = texts
                self._prompts.check(replace(settings, prompt=prompt, negative_prompt=negative))
            return
        if not latent_upscaled(stage):
            self._upscalers.check(stage.upscaler)
        if settings is not None:
            self._prompts.check(settings)

    def size(self, request: Request) -> Size:
        """The size of a request's picture, everything checked but its prompts and seeds, and that
        once for all requests that agree in it. Raises UsageError and SizeError."""
        settings = _settings(request)
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
