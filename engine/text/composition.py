"""AND: several prompts for one picture, each with a weight. A1111's grammar."""

import re
from typing import NamedTuple

from sakuga.engine.errors import UsageError
from sakuga.kernels.launch import ROWS

MOST = ROWS - 1  # one row is the negative prompt's

_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"[-+]?(?:\d+\.?|\d*\.\d+)")


class Part(NamedTuple):
    """One of the prompts between ANDs: ê = e⁻ + Σ weight · guidance · (e − e⁻)."""

    text: str
    weight: float


def read_composition(prompt: str) -> list[Part]:
    """The prompts between ANDs; `text :1.2` at the end of one is its weight, else 1.

    A1111 reads a weight at the end of a prompt without AND too, so "ratio 16:9" asks for nine
    times the guidance. Source: AUTOMATIC1111/stable-diffusion-webui, modules/prompt_parser.py;
    Liu et al. 2022, Compositional Visual Generation with Composable Diffusion Models.

    Raises UsageError for more prompts than a picture has rows for.
    """
    texts = _AND.split(prompt)
    if len(texts) > MOST:
        raise UsageError(
            f"The prompt has {len(texts)} parts between ANDs.",
            note=f"Each is a row of the network's call; a picture has up to {MOST}.",
            hint="Use fewer ANDs.",
        )
    return [_part(text.rstrip()) for text in texts]


def is_weight(text: str) -> bool:
    """Whether what stands behind the last colon of a prompt is a weight."""
    return _WEIGHT.fullmatch(text.strip()) is not None


def _part(text: str) -> Part:
    head, colon, number = text.rpartition(":")
    if colon and is_weight(number):
        return Part(head.rstrip(), float(number))
    return Part(text, 1.0)
