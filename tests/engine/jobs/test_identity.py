"""What makes a picture the one it is, as text."""

import json
from dataclasses import fields
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.asked import asked, said
from sakuga.engine.image.source import Source
from sakuga.engine.jobs.identity import differences, request_text
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.fill import Fill
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask, Upscale
from sakuga.profiles.buckets import Size

OTHERS: dict[str, Any] = {
    "prompt": "b",
    "negative_prompt": "",
    "guidance": 7.5,
    "sampler": "Euler",
    "compat": "comfy",
    "schedule": "Karras",
    "eta": 0.5,
    "s_noise": 1.02,
    "prefix": "none",
    "emphasis": "None",
    "pad_conds": True,
    "rng": "CPU",
    "variation_strength": 0.5,
    "seed_resize": Size(64, 128),
}


@pytest.mark.parametrize("name", [field.name for field in fields(Request)])
def test_every_field_counts(name: str) -> None:
    usual: dict[str, Any] = {"prompt": "a"}
    changed = usual | {name: OTHERS.get(name, 5)}
    before, now = request_text(Request(**usual)), request_text(Request(**changed))
    assert before != now
    (told,) = differences(before, now)
    assert told.startswith(f"{name}: ")


def test_stages_are_what_they_say_beside_their_defaults() -> None:
    picture = Source.of(np.zeros((8, 8, 3), np.uint8))
    init = Init(picture, 1.0, mask=Mask(Source.of("m.png"), fill=Fill.NOISE))
    text = request_text(Request("a", init=init, stages=(Hires(1.5), Detail(), Upscale("x"))))
    assert json.loads(text) == {
        "prompt": "a",
        "init": {"picture": picture.digest, "strength": 1, "mask": {"fill": "noise"}},
        "stages": [{"hires": {"scale": 1.5}}, {"detail": {}}, {"upscale": {"upscaler": "x"}}],
    }
    assert request_text(Request("a", stages=(Hires(2),))) == request_text(
        Request("a", stages=(Hires(2.0, strength=0.7),))
    )


def test_where_a_picture_file_lies_is_not_said_and_of_tools_which_they_are() -> None:
    here, there = (Request("a", init=Init(Source.of(name))) for name in ("a.png", "b/a.png"))
    assert request_text(here) == request_text(there) != request_text(Request("a"))
    now = request_text(Request("a"), {"face": "0123456789"})
    assert differences(request_text(Request("a")), now) == [
        'tools: none then, {"face": "0123456789"} now'
    ]


def test_what_is_not_said_is_not_there() -> None:
    assert request_text(Request("緑")) == '{"prompt":"緑"}'
    assert request_text(Request("a", guidance=7.0)) == request_text(Request("a", guidance=7))
    resized = request_text(Request("a", seed_resize=Size(64, 128)))
    assert json.loads(resized)["seed_resize"] == "64x128"


@given(st.text(max_size=40), st.text(max_size=40))
def test_different_prompts_have_different_texts(first: str, second: str) -> None:
    assert (request_text(Request(first)) == request_text(Request(second))) == (first == second)


def test_differences_are_told_in_words() -> None:
    before, now = (
        request_text(Request("1girl, " * 40, steps=steps, compat=compat))
        for steps, compat in ((28, "a1111"), (30, "comfy"))
    )
    assert differences(before, now) == ["steps: 28 then, 30 now", 'compat: a1111 then, "comfy" now']
    (told,) = differences(request_text(Request("1girl, " * 40)), request_text(Request("b")))
    assert told.endswith('… then, "b" now') and len(told) < 100


def test_a_command_line_is_told_again() -> None:
    heard: list[Any] = []

    @click.command()
    @click.argument("bundle")
    @click.option("--out")
    @click.option("--count", type=int, default=1)
    @click.option("--json", "as_json", is_flag=True)
    @click.pass_context
    def render(context: click.Context, **given: object) -> None:
        heard.extend((said(context), asked(context), asked(context, beside=["bundle", "out"])))

    CliRunner().invoke(render, ["my bundle", "--json", "--out", "it's"], obj=None)
    assert heard == [
        "sakuga render 'my bundle' --out 'it'\"'\"'s' --json",
        ["a bundle", "--out", "--json"],
        ["--json"],
    ]
