"""Requests made complete and checked, for one bundle; no network is needed for it."""

from dataclasses import replace

from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.defaults import bundle_defaults
from sakuga.engine.runtime.prompts import PromptEncoder
from sakuga.engine.runtime.request import Request, resolve
from sakuga.engine.runtime.settings import Settings
from sakuga.profiles.buckets import Sizes
from sakuga.profiles.preset import Preset


class Resolver:
    """`preset`: where defaults come from. `sizes`: what the device renders of the bundle's, None
    for all."""

    def __init__(
        self, bundle: Bundle, preset: Preset | None, prompts: PromptEncoder, sizes: Sizes | None
    ) -> None:
        self._bundle, self._prompts = bundle, prompts
        defaults = bundle_defaults(bundle, preset)
        self.defaults = replace(defaults, sizes=sizes or defaults.sizes)

    def __call__(self, request: Request) -> Settings:
        """The request with every default filled in. Raises UsageError and SizeError."""
        manifest = self._bundle.manifest
        settings = resolve(
            request,
            self._bundle.family,
            self.defaults,
            manifest.prediction,
            manifest.zero_terminal_snr,
        )
        self._prompts.check(settings)
        return settings
