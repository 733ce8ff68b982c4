"""`FILE:0.8` on the command line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.export.adapters.choice import LoraChoice, parse_choice


@pytest.mark.parametrize(
    ("text", "path", "weights"),
    [
        ("a.safetensors", "a.safetensors", (1, 1)),
        ("a.safetensors:0.8", "a.safetensors", (0.8, 0.8)),
        ("a.safetensors:1:0.5", "a.safetensors", (1, 0.5)),
        ("a.safetensors:0:1", "a.safetensors", (0, 1)),
        ("a.safetensors:-.5", "a.safetensors", (-0.5, -0.5)),
        ("C:\\loras\\a.safetensors", "C:\\loras\\a.safetensors", (1, 1)),
        ("C:\\loras\\a.safetensors:0.8:+1.", "C:\\loras\\a.safetensors", (0.8, 1)),
        ("/my: loras/v2:1.0/a b.safetensors:2", "/my: loras/v2:1.0/a b.safetensors", (2, 2)),
        ("a:1:2:3", "a:1", (2, 3)),
        ("a.safetensors:", "a.safetensors:", (1, 1)),
        ("a.safetensors:strong", "a.safetensors:strong", (1, 1)),
        ("", ".", (1, 1)),
    ],
)
def test_weights_follow_the_path(text: str, path: str, weights: tuple[float, float]) -> None:
    choice = parse_choice(text)
    assert choice.path == Path(path) and choice.weights == weights


def test_a_file_of_that_name_is_taken_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a:0.5").touch()
    monkeypatch.chdir(tmp_path)
    assert parse_choice("a:0.5") == LoraChoice(Path("a:0.5"))


@given(
    text=st.floats(-10, 10, allow_subnormal=False),
    unet=st.floats(-10, 10, allow_subnormal=False),
)
def test_every_weight_comes_back(text: float, unet: float) -> None:
    choice = parse_choice(f"D:\\x\\y.safetensors:{text:.6f}:{unet:.6f}")
    assert choice.path == Path("D:\\x\\y.safetensors")
    assert choice.weights == pytest.approx((text, unet), abs=1e-6)
