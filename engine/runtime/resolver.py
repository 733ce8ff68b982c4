"""Requests made complete and checked, for one bundle; no network is needed for it."""

from dataclasses import fields, replace
from operator import attrgetter

from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.defaults import bundle_defaults
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.request import Request, resolve
from sakuga.engine.runtime.settings import Settings
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
        self, bundle: Bundle, preset: Preset | None, prompts: PromptEncoder, sizes: Sizes | None
    ) -> None:
        self._bundle, self._prompts = bundle, prompts
        self._sizes: dict[tuple[object, ...], Size] = {}
        defaults = bundle_defaults(bundle, preset)
        self.defaults = replace(defaults, sizes=sizes or defaults.sizes)

    def __call__(self, request: Request) -> Settings:
        """The request with every default filled in. Raises UsageError and SizeError."""
        settings = self._resolved(request)
        self._prompts.check(settings)
        return settings

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
