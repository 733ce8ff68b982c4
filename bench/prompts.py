"""How long does a prompt hold up its caller, the longest and the oddest ones too?

    python bench/prompts.py

Asks a small bundle's engine for the settings of a request, which reads and checks its prompts and
runs no network: prompts of a million characters, of the longest that is read (32,768), both made
of what a grammar finds hard, as prompt and as negative prompt; and of a card's example. The bar: a
million characters are answered or refused in 100 ms. Figures are the slowest of all, each the best
of its tries.
"""

import argparse
import time
from contextlib import suppress
from typing import Any

from common import Figure, report, small_model, work_folder

from sakuga.engine.engine import Engine
from sakuga.engine.errors import SakugaError
from sakuga.engine.presets import known_presets
from sakuga.engine.runtime.request import Request
from sakuga.engine.text.tokenizer import MAX_CHARACTERS

TOOLS = ("a1111", "comfy", "diffusers")
MILLION = 1_000_000
UNITS = (
    *("a", "a, ", "(", ")", "[", "]", ":", "\\", "_", " ", "\n", "\0", "\ud83d", "👩‍👩‍👧‍👦"),
    *("(a:1.1), ", "((((a, ", "([", "[a|b]", "[a:b:3]", ":1", "BREAK ", "AND ", "<lora:a:1>"),
    *("embedding:x ", "masterpiece, "),
)


def milliseconds(engine: Engine, request: Request) -> float:
    """How long the engine takes to settle a request or to refuse it."""
    began = time.perf_counter()
    with suppress(SakugaError):
        engine.resolve(request)
    return (time.perf_counter() - began) * 1e3


def slowest(engine: Engine, tool: str, characters: int, tries: int) -> tuple[float, str]:
    """The slowest prompt of this length, and of what it was made."""
    found: list[tuple[float, str]] = []
    for unit in UNITS:
        text = (unit * (characters // len(unit) + 1))[:characters]
        for negative in (False, True):
            prompts = ("1girl", text) if negative else (text, None)
            request = Request(*prompts, compat=tool, seed=1)
            took = min(milliseconds(engine, request) for _ in range(tries))
            found.append((took, f"{unit!r} as {'negative prompt' if negative else 'prompt'}"))
    return max(found)


def example(engine: Engine, tool: str, tries: int) -> float:
    """A card's example with its negative prompt."""
    preset = known_presets()["animagine-xl-3.1"]
    request = Request(preset.example, preset.negative_prompt, compat=tool, seed=1)
    return min(milliseconds(engine, request) for _ in range(10 * tries))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=3, help="of each prompt")
    tries = parser.parse_args().tries
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    with work_folder() as folder:
        _, bundle = small_model("sdxl-tiny", folder)
        with Engine.open(bundle, threads=1) as engine:
            for tool in TOOLS:
                million, of_what = slowest(engine, tool, MILLION, tries)
                longest, of_what_too = slowest(engine, tool, MAX_CHARACTERS, tries)
                usual = example(engine, tool, tries)
                figures += [
                    Figure(f"{tool}: a million characters", million, "ms", 100, beside=of_what),
                    Figure(f"{tool}: the longest read", longest, "ms", beside=of_what_too),
                    Figure(f"{tool}: a card's example", usual, "ms"),
                ]
                details[tool] = {"million": of_what, "longest": of_what_too}
    report("prompts", figures, {"slowest": details})


if __name__ == "__main__":
    main()
