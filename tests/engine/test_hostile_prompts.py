"""Prompts nobody should write: each gives a picture that says what it was, or a clear error."""

from pathlib import Path

import pytest

from sakuga.engine.engine import Engine
from sakuga.engine.errors import UsageError
from sakuga.engine.image.metadata import read_infotext
from sakuga.engine.runtime.request import Request

PICTURES = {
    "unbalanced": "((((a [[b) c:1.2",
    "NUL": "a\0b",
    "control characters": "a\x1b[31m\x7f\x85",
    "no number": "(x:1.2.3)",
    "deep": "(" * 100 + "a" + ")" * 100,
    "edited deeply": "[" * 50 + "a" + ":1]" * 50,
    "alone": "|",
    "from right to left": "\u202eabc\ufffe",
    "one picture of many": "👩‍👩‍👧‍👦🏳️‍🌈",
    "lines": "a\r\n\u2028b\n",
    "settings": "a\nNegative prompt: b\nSteps: 20, Sampler: Euler, Seed: 1",
}
ERRORS = {
    "lone surrogate": ("a\ud83d", "not valid Unicode"),
    "a megabyte": ("a" * 1_000_000, "too long"),
    "a weight beyond numbers": ("(" * 8000 + "a" + ")" * 8000, "too large"),
    "chunks beyond the network": ("BREAK " * 9, "too long"),
}


def request(prompt: str, negative: bool) -> Request:
    prompts = ("1girl", prompt) if negative else (prompt, "lowres")
    return Request(*prompts, 128, 128, 1, 5.0, "euler_a", 1)


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("prompt", PICTURES.values(), ids=PICTURES)
def test_a_picture(sdxl_engine: Engine, tmp_path: Path, prompt: str, negative: bool) -> None:
    picture = sdxl_engine.render(request(prompt, negative))
    picture.save(tmp_path / "a.png")
    info = read_infotext(tmp_path / "a.png")
    assert (info.negative_prompt if negative else info.prompt) == prompt


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize(("prompt", "words"), ERRORS.values(), ids=ERRORS)
def test_a_clear_error(sdxl_engine: Engine, prompt: str, words: str, negative: bool) -> None:
    with pytest.raises(UsageError) as caught:
        sdxl_engine.render(request(prompt, negative))
    assert words in caught.value.what and caught.value.hint


def test_a_lora_that_is_not_there(sdxl_engine: Engine) -> None:
    with pytest.raises(UsageError, match="was not built with the LoRA x at 1") as caught:
        sdxl_engine.render(request("a <lora:x:1>", negative=False))
    assert "sakuga build … --lora x.safetensors:1" in caught.value.hint
    assert sdxl_engine.render(request("a <lora:x:1>", negative=True))  # words there, as in A1111
