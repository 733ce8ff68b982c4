"""A prompt by a tool's grammar: what it says at each evaluation, and what it asks for besides."""

from dataclasses import dataclass

from sakuga.engine.text.composition import read_composition
from sakuga.engine.text.editing import Variant, read_edits
from sakuga.engine.text.networks import Lora, read_networks
from sakuga.engine.text.segments import Rule
from sakuga.engine.text.tokenizer import check_text


@dataclass(frozen=True)
class Strand:
    """One of the prompts a picture follows: what it says, and how much it counts."""

    variants: tuple[Variant, ...]
    weight: float = 1.0

    @property
    def texts(self) -> tuple[str, ...]:
        """What it says, one after the other."""
        return tuple(each.text for each in self.variants)


@dataclass(frozen=True)
class Prompt:
    """A prompt, read: `strands` lie between ANDs; `loras` are those its tags name."""

    strands: tuple[Strand, ...]
    loras: tuple[Lora, ...] = ()


def read_prompt(text: str, rule: Rule, evaluations: int, before: int = 0) -> Prompt:
    """A prompt by a tool's grammar; `evaluations`: how many A1111 reckons with; `before`: and how
    many in the pass before a hires pass.

    Under `a1111`: tags of networks, AND, then editing. The other tools know none of them.
    Raises UsageError for what cannot be followed.
    """
    if rule != "a1111":
        return Prompt((_unedited(text, evaluations),))
    check_text(text)
    bare, loras = read_networks(text)
    parts = read_composition(bare)
    strands = (Strand(read_edits(part.text, evaluations, before), part.weight) for part in parts)
    return Prompt(tuple(strands), loras)


def read_negative_prompt(text: str, rule: Rule, evaluations: int, before: int = 0) -> Strand:
    """A negative prompt: A1111 edits it, and takes ANDs and tags of networks in it for words."""
    if rule != "a1111":
        return _unedited(text, evaluations)
    check_text(text)
    return Strand(read_edits(text, evaluations, before))


def _unedited(text: str, evaluations: int) -> Strand:
    return Strand((Variant(evaluations, text),))
