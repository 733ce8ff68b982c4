"""The shipped demo model: what it is made of, and that it draws what it is asked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request
from sakuga.export.build import build
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.demo import DEMO_CHECKPOINT
from sakuga.export.demo.__main__ import write_demo
from sakuga.export.demo.captions import prompt
from sakuga.export.demo.judge import read, sharpness
from sakuga.export.demo.scene import random_scene
from sakuga.profiles.buckets import QUARTER_BUCKETS

NEGATIVE = "worst quality, low quality, lowres, jpeg artifacts, displeasing"
SEED = 4242  # no training data is made from it
ASKED = 9


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("demo") / "demo.sakuga"
    build("demo", folder)
    with Engine.open(folder, threads=1) as opened:
        yield opened


def requests() -> list[tuple[Request, bool, str]]:
    """Held-out prompts, one of each shape, with what they ask for."""
    generator = np.random.default_rng(SEED)
    asked = []
    for index, size in enumerate(QUARTER_BUCKETS[:ASKED]):
        scene = replace(random_scene(generator), quality="best")
        request = Request(
            prompt(scene), NEGATIVE, size.width, size.height, 28, 5.0, "euler_a", seed=index
        )
        asked.append((request, scene.night, scene.hair))
    return asked


def test_all_of_it_is_at_most_28_megabytes() -> None:
    assert DEMO_CHECKPOINT.stat().st_size <= 28_000_000


def test_it_is_a_whole_sdxl_checkpoint() -> None:
    with open_checkpoint(DEMO_CHECKPOINT) as checkpoint:
        assert checkpoint.family.name == "sdxl-demo"
        assert checkpoint.prediction == "epsilon"
        assert checkpoint.unknown == ()


def test_both_layouts_hold_the_same_weights(tmp_path: Path) -> None:
    write_demo("diffusers", "fp16", tmp_path / "folder")
    with open_checkpoint(DEMO_CHECKPOINT) as one, open_checkpoint(tmp_path / "folder") as other:
        for component in one.components:
            for name in one.components[component].names():
                first, second = (each.components[component].read(name) for each in (one, other))
                assert first.tobytes() == second.tobytes(), (component, name)


def test_it_draws_what_it_is_asked(engine: Engine) -> None:
    asked = requests()
    seen = [read(engine.render(request).pixels) for request, _, _ in asked]
    nights = [reading.night == night for reading, (_, night, _) in zip(seen, asked, strict=True)]
    hairs = [reading.hair == hair for reading, (_, _, hair) in zip(seen, asked, strict=True)]
    assert sum(nights) >= ASKED - 1
    assert sum(hairs) >= ASKED - 2


def test_quality_tags_are_real(engine: Engine) -> None:
    for request, _, _ in requests()[:3]:
        tags = "masterpiece, best quality, very aesthetic, absurdres"
        bad = request.prompt.replace(tags, "worst quality, lowres")
        worst = replace(request, prompt=bad, negative_prompt="")
        assert sharpness(engine.render(worst).pixels) < sharpness(engine.render(request).pixels)
