"""What a config of PEFT says of how strongly a change counts."""

import math
import re
from collections.abc import Mapping

_LITERAL = re.compile(r"\^?[\w.]+")


class PatternError(Exception):
    """A pattern over modules that is no part of a name; the message is the pattern."""


def peft_scale(config: Mapping[str, object], module: str, rank: int | None) -> float:
    """The scale of a change: lora_alpha / r of LoRA, or lora_alpha / sqrt(r) if so trained; of LoHa
    and LoKr alpha / r, also where a LoKr is stored whole and so shows no `rank`. 1 where the config
    does not tell. Raises PatternError.
    """
    lora = "lora_alpha" in config
    alpha = _number(config, "lora_alpha" if lora else "alpha", "alpha_pattern", module)
    divisor = _number(config, "r", "rank_pattern", module) if rank is None and not lora else rank
    if alpha is None or not divisor:
        return 1.0
    return alpha / (math.sqrt(divisor) if config.get("use_rslora") is True else divisor)


def _number(
    config: Mapping[str, object], name: str, patterns: str, module: str
) -> int | float | None:
    """A number of the config: that of the first pattern the module ends with, else that of all."""
    table = config.get(patterns)
    fitting = (
        value
        for pattern, value in (table.items() if isinstance(table, dict) else ())
        if _fits(pattern, module)
    )
    found = next(fitting, config.get(name))
    return found if isinstance(found, int | float) else None


def _fits(pattern: str, module: str) -> bool:
    """PEFT takes patterns for regular expressions; here they are the end of a name or, behind ^,
    all of it."""
    if not _LITERAL.fullmatch(pattern):
        raise PatternError(pattern)
    if pattern.startswith("^"):
        return module == pattern[1:]
    return f".{module}".endswith(f".{pattern}")
