"""Settings outside what a card recommends are told in words that do not depend on them."""

import pytest

from sakuga.profiles.buckets import Size
from sakuga.profiles.presets import all_presets

PRESETS = all_presets()


@pytest.mark.parametrize(
    ("name", "size", "steps", "guidance", "doubts"),
    [
        ("animagine-xl-3.1", "832x1216", 29, 5.0, []),
        ("animagine-xl-3.1", "832x1216", 30, 7.0, ["1 to 29 steps"]),
        ("animagine-xl-3.1", "832x1216", 28, 7.5, ["guidance 5 to 7"]),
        ("animagine-xl-3.1", "1024x1536", 28, 7.0, ["the sizes 1024x1024, 1152x896"]),
        ("animagine-xl-3.1", "512x512", 99, 1.0, ["guidance", "steps", "sizes"]),
        ("aidxl", "704x1472", 28, 7.0, []),
        ("aidxl", "1536x1536", 28, 7.0, ["0.94 to 1.15 million pixels"]),
        ("aidxl", "832x1216", 28, 6.0, ["guidance 7 to 9"]),
        ("baxl-v3", "768x1792", 25, 4.0, []),
        ("baxl-v3", "736x1216", 25, 6.0, ["sides from 768 to 1792, multiples of 32"]),
        ("baxl-v2", "896x1600", 25, 30.0, []),
        ("baxl-v2", "1600x896", 25, 5.0, ["sizes"]),
        ("anything-v3.1", "256x1024", 1, 1.0, []),
    ],
)
def test_doubts(name: str, size: str, steps: int, guidance: float, doubts: list[str]) -> None:
    width, height = map(int, size.split("x"))
    found = PRESETS[name].doubts(Size(width, height), steps, guidance)
    assert len(found) == len(doubts)
    for sentence, words in zip(found, doubts, strict=True):
        assert words in sentence
        assert sentence.startswith(f"The card of {PRESETS[name].title} recommends ")


def test_a_doubt_is_the_same_for_every_picture() -> None:
    preset = PRESETS["animagine-xl-3.1"]
    found = {preset.doubts(Size(512, side), steps, steps / 2) for side in (512, 1024)
             for steps in (40, 50)}  # fmt: skip
    assert len(found) == 1
