"""Conditioning of a picture: encoded prompts, remembered, and the zeroing rule."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from sakuga.engine.backend.base import Session
from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.request import Settings
from sakuga.engine.text.chunks import LongPrompt
from sakuga.engine.text.clip_skip import Layer
from sakuga.engine.text.conditioning import ClipEncoder, Conditioning, encode_prompts
from sakuga.engine.text.tokenizer import Tokenizer

_REMEMBERED = 256  # prompts; negative prompts repeat, so do the prompts of a seed sweep


class PromptEncoder:
    """The text encoders of a bundle. `session` gives the loaded network of a name."""

    def __init__(self, bundle: Bundle, session: Callable[[str], Session]) -> None:
        self._bundle = bundle
        self._session = session
        self._tokenizer = Tokenizer.load(bundle.tokenizer)
        self._encoders: dict[bool, list[ClipEncoder]] = {}
        self._known: OrderedDict[tuple[str, LongPrompt, Layer], Conditioning] = OrderedDict()

    def encode(self, settings: Settings) -> tuple[Conditioning, Conditioning | None]:
        """Conditioning of the prompt and, with guidance, of the negative prompt."""
        rule = settings.compat.long_prompt
        positive = self._one(settings.prompt, rule, settings.layer)
        if not settings.guided:
            return positive, None
        negative = self._one(settings.negative_prompt or "", rule, settings.negative_layer)
        return positive, negative.zeroed() if self._zeroes(settings) else negative

    def _one(self, prompt: str, rule: LongPrompt, layer: Layer) -> Conditioning:
        key = prompt, rule, layer
        if key not in self._known:
            encoders = self._for_rule(rule)
            (self._known[key],) = encode_prompts([prompt], encoders, rule, layer)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def _zeroes(self, settings: Settings) -> bool:
        if self._bundle.family.kind != "sdxl":
            return False
        rule, negative = settings.compat.zeroed_negative, settings.negative_prompt
        return (rule == "empty" and not negative) or (rule == "absent" and negative is None)

    def _for_rule(self, rule: LongPrompt) -> list[ClipEncoder]:
        # SDXL's second tokenizer pads with "!", and diffusers reads every "!" as that padding.
        pads = rule == "diffusers"
        if pads not in self._encoders:
            self._encoders[pads] = [
                ClipEncoder(
                    config,
                    self._tokenizer.with_special("!")
                    if pads and config.pad == "zero"
                    else self._tokenizer,
                    np.load(
                        self._bundle.token_embedding(config.name), mmap_mode="r", allow_pickle=False
                    ),
                    self._session(config.name).run,
                )
                for config in self._bundle.family.text_encoders
            ]
        return self._encoders[pads]
