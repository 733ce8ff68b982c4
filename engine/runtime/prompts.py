"""Conditioning of a picture: encoded prompts, remembered, and the zeroing rule."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from sakuga.engine.backend.base import Session
from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.defaults import bundle_chunks
from sakuga.engine.runtime.request import Settings
from sakuga.engine.text.chunks import LongPrompt
from sakuga.engine.text.clip_skip import Layer
from sakuga.engine.text.conditioning import (
    ClipEncoder,
    Conditioning,
    check_prompt,
    encode_prompts,
)
from sakuga.engine.text.tokenizer import Tokenizer

_REMEMBERED_BYTES = 1 << 26  # negative prompts repeat, so do the prompts of a seed sweep


class PromptEncoder:
    """The text encoders of a bundle. `session` gives the loaded network of a name."""

    def __init__(self, bundle: Bundle, session: Callable[[str], Session]) -> None:
        self._bundle = bundle
        self._session = session
        self._tokenizer = Tokenizer.load(bundle.tokenizer)
        self._tables = {
            config.name: np.load(
                bundle.token_embedding(config.name), mmap_mode="r", allow_pickle=False
            )
            for config in bundle.family.text_encoders
        }
        self._max_chunks = bundle_chunks(bundle)
        self._encoders: dict[bool, list[ClipEncoder]] = {}
        self._known: OrderedDict[tuple[str, LongPrompt, Layer], Conditioning] = OrderedDict()

    def encode(self, settings: Settings) -> tuple[Conditioning, Conditioning | None]:
        """Conditioning of the prompt and, with guidance, of the negative prompt."""
        rule = settings.compat.long_prompt
        positive = self._one(settings.prompt, rule, settings.layer)
        if not settings.guided:
            return positive, None
        negative = self._one(settings.negative_prompt or "", rule, settings.negative_layer)
        return positive, negative.zeroed() if self.zeroes(settings) else negative

    def check(self, settings: Settings) -> None:
        """Raises UsageError for prompts that cannot be encoded: too long, or no text."""
        rule = settings.compat.long_prompt
        for prompt in (settings.prompt, settings.negative_prompt or ""):
            check_prompt(prompt, self._tokenizer, rule, self._max_chunks)

    def zeroes(self, settings: Settings) -> bool:
        """Whether zeros stand for the negative prompt: SDXL, and as the compat mode has it."""
        if self._bundle.family.kind != "sdxl" or not settings.guided:
            return False
        rule, negative = settings.compat.zeroed_negative, settings.negative_prompt
        if rule == "absent":  # diffusers leaves it to the checkpoint
            return negative is None and self._bundle.manifest.zero_absent_negative
        return rule == "empty" and not negative

    def _one(self, prompt: str, rule: LongPrompt, layer: Layer) -> Conditioning:
        key = prompt, rule, layer
        if key not in self._known:
            encoders = self._for_rule(rule)
            (self._known[key],) = encode_prompts([prompt], encoders, rule, layer)
            self._forget()
        self._known.move_to_end(key)
        return self._known[key]

    def _forget(self) -> None:
        sizes = [known.states.nbytes for known in self._known.values()]
        kept_bytes = sum(sizes)
        while kept_bytes > _REMEMBERED_BYTES and len(self._known) > 1:
            kept_bytes -= self._known.popitem(last=False)[1].states.nbytes

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
                    self._tables[config.name],
                    self._session(config.name).run,
                )
                for config in self._bundle.family.text_encoders
            ]
        return self._encoders[pads]
