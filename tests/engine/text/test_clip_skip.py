"""The table of clip skip."""

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.text.clip_skip import Compat, Kind, Layer, choose_layer


@pytest.mark.parametrize(
    ("kind", "compat", "clip_skip", "layer"),
    [
        ("sdxl", "a1111", None, 2),
        ("sdxl", "a1111", 1, 2),
        ("sdxl", "a1111", 2, 2),
        ("sdxl", "a1111", 3, 3),
        ("sdxl", "comfy", None, 2),
        ("sdxl", "comfy", 3, 3),
        ("sdxl", "diffusers", None, 2),
        ("sdxl", "diffusers", 0, 2),
        ("sdxl", "diffusers", 1, 3),
        ("sd15", "a1111", None, 1),
        ("sd15", "a1111", 1, 1),
        ("sd15", "a1111", 2, 2),
        ("sd15", "comfy", 2, 2),
        ("sd15", "diffusers", None, 1),
        ("sd15", "diffusers", 1, 2),
        ("sd15", "diffusers", 2, 3),
    ],
)
def test_table(kind: Kind, compat: Compat, clip_skip: int | None, layer: int) -> None:
    states = "hidden" if kind == "sdxl" else "hidden_normed"
    assert choose_layer(kind, compat, clip_skip, layers=12) == Layer(layer, states)


@pytest.mark.parametrize(
    ("compat", "clip_skip", "valid"), [("a1111", 0, "1 to 12"), ("a1111", 13, "1 to 12"),
                                       ("diffusers", -1, "0 to 10"), ("diffusers", 11, "0 to 10")]
)  # fmt: skip
def test_impossible_layer(compat: Compat, clip_skip: int, valid: str) -> None:
    with pytest.raises(UsageError, match=f"takes {valid}"):
        choose_layer("sdxl", compat, clip_skip, layers=12)
