"""A detailer's prompts: which one goes with which mask, in ADetailer's notation.

`[SEP]` parts prompts for one mask each, `[PROMPT]` is the picture's own prompt, and so is an empty
part; a part `[SKIP]` leaves its mask as it is. Masks beyond the last part take the last.
"""

import re
from collections.abc import Iterator

from sakuga.engine.refine.detail import Detail

_SEPARATOR = re.compile(r"\s*\[SEP\]\s*")
_SKIP = re.compile(r"\s*\[SKIP\]\s*")
_OWN = "[PROMPT]"


def prompts_of(
    detail: Detail, prompt: str, negative_prompt: str, masks: int
) -> Iterator[tuple[str, str] | None]:
    """Prompt and negative prompt of each of so many masks; None for one that is skipped.

    `prompt`, `negative_prompt`: the picture's own. A skipped mask keeps its number: the seed of
    mask j is the picture's seed + j, whichever were skipped before it.
    """
    prompts = _parts(detail.prompt, prompt)
    negatives = _parts(detail.negative_prompt, negative_prompt)
    for at in range(masks):
        chosen = prompts[min(at, len(prompts) - 1)]
        negative = negatives[min(at, len(negatives) - 1)]
        yield None if _SKIP.fullmatch(chosen) else (chosen, negative)


def all_prompts(detail: Detail, prompt: str, negative_prompt: str) -> Iterator[tuple[str, str]]:
    """Every pair that any mask could have."""
    most = max(len(_parts(text, "")) for text in (detail.prompt, detail.negative_prompt))
    return (each for each in prompts_of(detail, prompt, negative_prompt, most) if each)


def _parts(text: str, own: str) -> list[str]:
    parts = _SEPARATOR.split(text)
    return [part.replace(_OWN, own) if part.strip() else own for part in parts]
