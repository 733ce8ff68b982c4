"""The shipped LoRA: kohya's names, and a character it brings into any prompt."""

from pathlib import Path

import numpy as np
import pytest

from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request
from sakuga.export.build import build
from sakuga.export.checkpoint.ldm_unet import PREFIX, ldm_unet_table
from sakuga.export.checkpoint.safetensors_file import SafetensorsFile
from sakuga.export.checkpoint.sources import Array
from sakuga.export.demo import DEMO_LORA
from sakuga.export.demo.judge import read
from sakuga.profiles.families import SDXL_DEMO
from sakuga.profiles.weights import weights

PROMPT = "1girl, smile, upper body, night, outdoors, masterpiece, best quality"
NEGATIVE = "worst quality, low quality, lowres"
QUICK = "DPM++ 2M Karras"  # needs half the steps


def pairs() -> dict[str, Array]:
    """The change of every layer by its canonical name: alpha / rank · up · down."""
    names = {
        "lora_unet_"
        + source.key.removeprefix(PREFIX).removesuffix(".weight").replace(".", "_"): name
        for name, (source,) in ldm_unet_table(SDXL_DEMO).items()
    }
    with SafetensorsFile(DEMO_LORA) as file:
        found: dict[str, Array] = {}
        for key in {key.partition(".")[0] for key in file.tensors}:
            down = file.read(f"{key}.lora_down.weight", None).astype(np.float32)
            up = file.read(f"{key}.lora_up.weight", None).astype(np.float32)
            alpha = float(file.read(f"{key}.alpha", None))
            found[names[key]] = alpha / len(down) * (up @ down)
    return found


def test_its_names_are_those_of_sdxl_files() -> None:
    with SafetensorsFile(DEMO_LORA) as file:
        assert "lora_unet_input_blocks_3_1_proj_in.lora_down.weight" in file.tensors
        assert not any("down_blocks" in key for key in file.tensors)


def test_every_pair_fits_a_layer_of_the_unet() -> None:
    shapes = weights(SDXL_DEMO)["unet"]
    changes = pairs()
    assert len(changes) > 50
    assert all(change.shape == shapes[name] for name, change in changes.items())


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_it_brings_its_character(strength: float, tmp_path: Path) -> None:
    changes = pairs()

    def merged(name: str, values: Array) -> Array:
        change = changes.get(name.removeprefix("unet/"))
        return values if change is None else values + strength * change.astype(values.dtype)

    build("demo", tmp_path / "kosame.sakuga", adapt=merged)
    with Engine.open(tmp_path / "kosame.sakuga", threads=1) as engine:
        requests = [
            Request(PROMPT, NEGATIVE, 256, 256, 10, 5.0, QUICK, seed=seed, prefix="none")
            for seed in range(5)
        ]
        hairs = [read(picture.pixels).hair for picture in engine.render_many(requests)]
    aqua = hairs.count("aqua hair")
    assert aqua >= 4 if strength else aqua <= 2
