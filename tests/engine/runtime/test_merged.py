"""What was merged into a bundle, in the settings of its pictures and back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import MetadataError, UsageError
from sakuga.engine.image.infotext_parser import parse_infotext
from sakuga.engine.image.metadata import read_infotext
from sakuga.engine.manifest import LoraEntry, VaeEntry
from sakuga.engine.runtime.merged import merged_obstacles
from sakuga.engine.runtime.request import Request
from sakuga.export.adapters.choice import LoraChoice
from sakuga.export.build import BuildOptions, build
from sakuga.export.demo import DEMO_CHECKPOINT, DEMO_LORA

ASKED = Request("1girl", "x", width=128, height=128, steps=2, seed=1)
HASH = "ec914199806f"


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Engine]]:
    """The demo model: plain, with its LoRA at 0, and with the LoRA and a VAE file."""
    folder = tmp_path_factory.mktemp("bundles")
    plain = BuildOptions(backend="onnx")
    zero = replace(plain, loras=(LoraChoice(DEMO_LORA, 0),))
    full = replace(plain, loras=(LoraChoice(DEMO_LORA, 1, 0.5),), vae=DEMO_CHECKPOINT)
    with (
        _open(build("demo", folder / "plain", plain)) as first,
        _open(build("demo", folder / "zero", zero)) as second,
        _open(build("demo", folder / "full", full)) as third,
    ):
        yield {"plain": first, "zero": second, "full": third}


def _open(bundle: Bundle) -> Engine:
    return Engine.open(bundle.path, threads=1)


def test_a_lora_changes_the_picture_and_weight_zero_does_not(engines: dict[str, Engine]) -> None:
    pixels = {name: engine.render(ASKED).pixels for name, engine in engines.items()}
    assert np.array_equal(pixels["zero"], pixels["plain"])
    difference = np.abs(pixels["full"].astype(int) - pixels["plain"])
    assert difference.mean() > 2


def test_a_picture_names_what_was_merged(engines: dict[str, Engine], tmp_path: Path) -> None:
    picture = engines["full"].render(ASKED)
    assert f'Lora hashes: "kosame: {HASH}"' in picture.parameters
    assert 'Lora weights: "kosame: 1/0.5"' in picture.parameters
    assert "VAE: demo.safetensors, " in picture.parameters
    assert f'"lora:kosame": "{HASH}"' in picture.parameters
    picture.save(tmp_path / "a.png")
    made = engines["full"].remake(read_infotext(tmp_path / "a.png"))
    assert made.notes == ()
    assert np.array_equal(engines["full"].render(made.request).pixels, picture.pixels)
    plain = engines["plain"].render(ASKED).parameters
    assert "Lora" not in plain and "VAE" not in plain


def test_other_bundles_do_not_make_it_again(engines: dict[str, Engine]) -> None:
    infos = {n: parse_infotext(engine.render(ASKED).parameters) for n, engine in engines.items()}
    for made, asked, words in (
        ("plain", "full", f"Lora hashes kosame: {HASH}, the bundle holds none"),
        ("full", "plain", f"Lora hashes none, the bundle holds kosame: {HASH}"),
        ("full", "plain", "VAE not named, the bundle holds demo.safetensors"),
        ("zero", "full", "Lora weights kosame: 1/0.5, the bundle holds kosame: 0"),
        ("zero", "full", "the bundle holds the checkpoint's own"),
    ):
        with pytest.raises(MetadataError) as caught:
            engines[made].remake(infos[asked])
        assert words in caught.value.note and "lora" in caught.value.hint
        assert engines[made].remake(infos[asked], ignore=["lora", "vae"]).notes


LORAS = (
    LoraEntry("one", "0a1b2c3d4e5f", "aa" * 32, 1.0, 1.0, (), ()),
    LoraEntry("two: b", "112233445566", "bb" * 32, 0.8, 0.0, (), ()),
)
SAME = {"one": "0a1b2c3d4e5f", "two b": "112233445566"}
VAE = VaeEntry("anime.v2.safetensors", "235745af8d" + "0" * 54)


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({}, ""),
        ({"lora_weights": {"one": "1", "two b": "0.8/0"}}, ""),
        ({"lora_weights": {"one": "1", "two b": "0.8"}}, "Lora weights"),
        ({"loras": {"renamed": "0A1B2C3D4E5F", "other": "112233445566"}}, ""),
        ({"loras": {"one": "aa" * 5, "two": "bb" * 32}}, ""),
        ({"loras": {"one": "0a1b2c3d4e5f"}}, "Lora hashes"),
        ({"loras": {"one": "0a1b2c3d4e5f", "two": "0a1b2c3d4e5f"}}, "Lora hashes"),
        ({"loras": {"one": "0a1b", "two b": "112233445566"}}, "Lora hashes"),
        ({"loras": SAME | {"three": "777777777777"}}, "Lora hashes"),
        ({"vae_hash": "235745AF8D"}, ""),
        ({"vae_hash": None, "vae": "anime.v2.pt"}, ""),
        ({"vae_hash": "2357450000"}, "VAE"),
        ({"vae_hash": None, "vae": "other.safetensors"}, "VAE"),
        ({"vae_hash": None, "vae": None}, "VAE"),
    ],
    ids=str,
)
def test_hashes_decide_and_not_names(
    sdxl_bundle: Bundle, change: dict[str, Any], differs: str
) -> None:
    manifest = replace(sdxl_bundle.manifest, loras=LORAS, vae=VAE)
    text = "1girl\nSteps: 1, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 128x128"
    info = replace(
        parse_infotext(text), loras=SAME, vae="anime.v2.safetensors", vae_hash="235745af8d"
    )
    assert list(merged_obstacles(replace(info, **change), manifest)) == ([differs] * bool(differs))


def test_weights_that_are_not_told_are_a_doubt(engines: dict[str, Engine]) -> None:
    info = parse_infotext(engines["full"].render(ASKED).parameters)
    (note, *_) = engines["full"].remake(replace(info, lora_weights={})).notes
    assert "with which weights" in note


def test_a_prompt_names_a_lora_as_it_was_merged(engines: dict[str, Engine]) -> None:
    plain = engines["full"].render(ASKED)
    tagged = engines["full"].render(replace(ASKED, prompt="1girl <lora:kosame:1:0.5>"))
    assert np.array_equal(tagged.pixels, plain.pixels)
    assert "1girl <lora:kosame:1:0.5>\n" in tagged.parameters
    for name, tag in (("full", "<lora:kosame:1>"), ("plain", "<lora:kosame:1:0.5>")):
        with pytest.raises(UsageError, match="was not built with the LoRA kosame") as caught:
            engines[name].resolve(replace(ASKED, prompt=f"1girl {tag}"))
        assert "sakuga build … --lora kosame.safetensors:1" in caught.value.hint
