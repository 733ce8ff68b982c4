"""Tags of networks, and whether a bundle holds what they name."""

import time

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.text.networks import Lora, check_loras, read_networks

BUILT = [Lora("thick", 0.8, 0.8), Lora("flat", 0.5, 1.0)]


@pytest.mark.parametrize(
    ("text", "bare", "loras"),
    [
        ("1girl", "1girl", ()),
        ("1girl <lora:thick:0.8>, smile", "1girl , smile", (Lora("thick", 0.8, 0.8),)),
        ("<lora:thick>", "", (Lora("thick", 1, 1),)),
        ("<lora:flat:0.5:1>", "", (Lora("flat", 0.5, 1),)),
        ("<lora:flat:te=0.5:unet=1>", "", (Lora("flat", 0.5, 1),)),
        ("<lora:flat:0.5:unet=1>", "", (Lora("flat", 0.5, 1),)),
        ("<lyco:thick:0.8>", "", (Lora("thick", 0.8, 0.8),)),
        ("<lora:a:1><lora:b:-1>x", "x", (Lora("a", 1, 1), Lora("b", -1, -1))),
        ("a <3 b, 1 < 2 > 1, <lora:>", "a <3 b, 1 < 2 > 1, <lora:>", ()),
        (">_< <", ">_< <", ()),
    ],
)
def test_tags_are_taken_out(text: str, bare: str, loras: tuple[Lora, ...]) -> None:
    assert read_networks(text) == (bare, loras)


@pytest.mark.parametrize(
    "tag",
    [
        "<hypernet:style:1>",
        "<lora:thick:much>",
        "<lora:thick:0.8:0.8:8>",
        "<lora:thick:dyn=8>",
        "<lora:thick:1:2:3:4>",
    ],
)
def test_tags_that_cannot_be_followed(tag: str) -> None:
    with pytest.raises(UsageError, match="cannot be followed") as caught:
        read_networks(f"1girl {tag}")
    assert caught.value.what.startswith(tag) and caught.value.hint


@pytest.mark.parametrize(
    "asked",
    [
        [],
        [Lora("thick", 0.8, 0.8)],
        [Lora("thick", 0.8000000001, 0.8), Lora("flat", 0.5, 1)],
        [Lora("unknown", 0, 0)],
    ],
)
def test_loras_that_are_there(asked: list[Lora]) -> None:
    check_loras(asked, BUILT)


@pytest.mark.parametrize(
    ("asked", "what", "note"),
    [
        (Lora("thick", 1, 1), "the LoRA thick at 1.", "holds it with 0.8."),
        (Lora("thick", 0, 0), "the LoRA thick at 0.", "holds it with 0.8."),
        (
            Lora("flat", 0.5, 0.5),
            "the LoRA flat at 0.5.",
            "holds it with 0.5 (text encoders) and 1 (UNet).",
        ),
        (Lora("other", 0.8, 0.8), "the LoRA other at 0.8.", "It holds flat, thick."),
        (
            Lora("other", 0.5, 1),
            "the LoRA other at 0.5 (text encoders) and 1 (UNet).",
            "It holds flat, thick.",
        ),
    ],
)
def test_loras_that_are_not(asked: Lora, what: str, note: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_loras([asked], BUILT)
    assert caught.value.what.endswith(what) and caught.value.note.endswith(note)
    weights = ":".join(dict.fromkeys(f"{w:g}" for w in (asked.text_weight, asked.unet_weight)))
    assert f"sakuga build … --lora {asked.name}.safetensors:{weights}" in caught.value.hint


def test_text_full_of_openings_is_read_at_once() -> None:
    began = time.process_time()
    text = "<lora:flat:1>" + "<a:" * 10_000
    assert read_networks(text) == ("<a:" * 10_000, (Lora("flat", 1, 1),))
    assert time.process_time() - began < 0.2
