"""Conditioning of a picture: prompts read and encoded, remembered, and the zeroing rule."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from sakuga.engine.backend.base import Session
from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.defaults import bundle_chunks
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.runtime.slot import Course, counts_negative, edited_steps
from sakuga.engine.text.clip_skip import Layer
from sakuga.engine.text.conditioning import (
    ClipEncoder,
    Conditioning,
    check_prompt,
    encode,
    pad_with,
    stretch,
)
from sakuga.engine.text.editing import variant_at
from sakuga.engine.text.embeddings import NO_EMBEDDINGS, Embeddings
from sakuga.engine.text.networks import check_loras
from sakuga.engine.text.prompt import Prompt, Strand, read_negative_prompt, read_prompt
from sakuga.engine.text.segments import Emphasis, Grammar, Rule
from sakuga.engine.text.tokenizer import Tokenizer

_REMEMBERED_BYTES = 1 << 26  # negative prompts repeat, so do the prompts of a seed sweep


class _Key(NamedTuple):
    """All that decides over a conditioning. What a prompt becomes by editing has one mean."""

    texts: tuple[str, ...]
    rule: Rule
    emphasis: Emphasis
    layer: Layer


class PromptEncoder:
    """The text encoders of a bundle. `session` gives the loaded network of a name."""

    def __init__(
        self,
        bundle: Bundle,
        session: Callable[[str], Session],
        embeddings: Embeddings = NO_EMBEDDINGS,
    ) -> None:
        self._bundle = bundle
        self._session = session
        self.embeddings = embeddings
        self.tokenizer = Tokenizer.load(bundle.tokenizer)
        self._tables = {
            config.name: np.load(
                bundle.token_embedding(config.name), mmap_mode="r", allow_pickle=False
            )
            for config in bundle.family.text_encoders
        }
        self._max_chunks = bundle_chunks(bundle)
        tensors = bundle.manifest.networks["unet"].inputs
        states = next(tensor for tensor in tensors if tensor.name == "encoder_hidden_states")
        self._dtype = np.dtype(states.dtype)
        self._encoders: dict[bool, list[ClipEncoder]] = {}
        self._known: OrderedDict[_Key, tuple[Conditioning, ...]] = OrderedDict()

    def encode(self, settings: Settings) -> tuple[list[Course], Course | None]:
        """The prompts between ANDs, and the negative prompt if it counts."""
        strands = self._prompt(settings).strands
        counts = counts_negative(settings, [strand.weight for strand in strands])
        asked = [(strand.texts, settings.layer) for strand in strands]
        if counts:
            asked.append((self._negative(settings).texts, settings.negative_layer))
        if counts and settings.pad_conds:
            asked.append((("",), settings.layer))
        self._encode(asked, settings)
        positives = [self._course(strand, settings, settings.layer) for strand in strands]
        longest = max(course.chunks for course in positives)
        positives = [course.each(partial(stretch, chunks=longest)) for course in positives]
        if not counts:
            return positives, None
        negative = self._course(self._negative(settings), settings, settings.negative_layer)
        if self.zeroes(settings):
            negative = negative.each(Conditioning.zeroed)
        if settings.pad_conds:
            positives = [self._padded(course, settings, negative.chunks) for course in positives]
            negative = self._padded(negative, settings, longest)
        return positives, negative

    def check(self, settings: Settings) -> None:
        """Raises UsageError for prompts that cannot be followed: too long, no text, or with a LoRA
        that is not in the bundle."""
        prompt, negative = self._prompt(settings), self._negative(settings)
        check_loras(prompt.loras, self._bundle.manifest.loras)
        for text in dict.fromkeys(
            each for one in (*prompt.strands, negative) for each in one.texts
        ):
            check_prompt(text, self.tokenizer, self._grammar(settings), self._max_chunks)

    def zeroes(self, settings: Settings) -> bool:
        """Whether zeros stand for the negative prompt: SDXL, and as the compat mode has it."""
        if self._bundle.family.kind != "sdxl":
            return False
        rule = settings.compat.zeroed_negative
        if rule == "absent":  # diffusers leaves it to the checkpoint
            absent = settings.guided and settings.negative_prompt is None
            return absent and self._bundle.manifest.zero_absent_negative
        return rule == "empty" and not any(self._negative(settings).texts)

    def embeddings_in(self, settings: Settings) -> dict[str, str]:
        """The embeddings that the prompts use: name to hash."""
        if not self.embeddings.hashes:
            return {}
        grammar = self._grammar(settings)
        strands = (*self._prompt(settings).strands, self._negative(settings))
        texts = dict.fromkeys(text for strand in strands for text in strand.texts)
        tokens = (
            token
            for text in texts
            for segment in grammar.read(text, self.tokenizer)
            for word in segment
            for token in word
        )
        return {each.embedding.name: each.embedding.short_hash for each in tokens if each.embedding}

    def _prompt(self, settings: Settings) -> Prompt:
        rule = settings.compat.long_prompt
        return read_prompt(settings.prompt, rule, edited_steps(settings), settings.steps_before)

    def _negative(self, settings: Settings) -> Strand:
        text, rule = settings.negative_prompt or "", settings.compat.long_prompt
        return read_negative_prompt(text, rule, edited_steps(settings), settings.steps_before)

    def _grammar(self, settings: Settings) -> Grammar:
        return Grammar(settings.compat.long_prompt, settings.emphasis, self.embeddings)

    def _course(self, strand: Strand, settings: Settings, layer: Layer) -> Course:
        encoded = self._encoded(strand.texts, settings, layer)
        evaluations = range(settings.table.evaluations)
        found = [encoded[variant_at(strand.variants, evaluation)] for evaluation in evaluations]
        return Course(tuple(found), strand.weight)

    def _padded(self, course: Course, settings: Settings, chunks: int) -> Course:
        (empty,) = self._encoded(("",), settings, settings.layer)
        return course.each(partial(pad_with, empty=empty, chunks=chunks))

    def _encoded(
        self, texts: tuple[str, ...], settings: Settings, layer: Layer
    ) -> tuple[Conditioning, ...]:
        grammar = self._grammar(settings)
        return self._known[_Key(texts, grammar.rule, grammar.emphasis, layer)]

    def _encode(self, asked: Sequence[tuple[tuple[str, ...], Layer]], settings: Settings) -> None:
        """Have these encoded, those that take the same layer in one call of each text encoder."""
        grammar = self._grammar(settings)
        keys = [_Key(texts, grammar.rule, grammar.emphasis, layer) for texts, layer in asked]
        missing: dict[Layer, dict[_Key, None]] = {}
        for key in keys:
            if key in self._known:
                self._known.move_to_end(key)
            else:
                missing.setdefault(key.layer, {})[key] = None
        encoders = self._for_rule(grammar.rule)
        for layer, new in missing.items():
            texts = [key.texts for key in new]
            for key, found in zip(new, encode(texts, encoders, grammar, layer), strict=True):
                made = {id(one): self._for_unet(one) for one in found}
                self._known[key] = tuple(made[id(one)] for one in found)
        self._forget(keeping=len(set(keys)))

    def _for_unet(self, conditioning: Conditioning) -> Conditioning:
        """In the type the UNet reads, once and not for every picture."""
        return replace(conditioning, states=conditioning.states.astype(self._dtype, copy=False))

    def _forget(self, keeping: int) -> None:
        """The least recently used, but never the last `keeping`, which are being used."""
        sizes = [_bytes(known) for known in self._known.values()]
        kept_bytes = sum(sizes)
        while kept_bytes > _REMEMBERED_BYTES and len(self._known) > keeping:
            kept_bytes -= _bytes(self._known.popitem(last=False)[1])

    def _for_rule(self, rule: Rule) -> list[ClipEncoder]:
        # SDXL's second tokenizer pads with "!", and diffusers reads every "!" as that padding.
        pads = rule == "diffusers"
        if pads not in self._encoders:
            self._encoders[pads] = [
                ClipEncoder(
                    config,
                    self.tokenizer.with_special("!")
                    if pads and config.pad == "zero"
                    else self.tokenizer,
                    self._tables[config.name],
                    self._session(config.name).run,
                )
                for config in self._bundle.family.text_encoders
            ]
        return self._encoders[pads]


def _bytes(conditionings: tuple[Conditioning, ...]) -> int:
    distinct = {id(each): each.states.nbytes for each in conditionings}
    return sum(distinct.values())
