"""What a bundle's preset gives its pictures, and how to do without it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import UsageError
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.export.build import BuildOptions, build

TINY = """
title = "Tiny"
source = "S"
licence = { name = "L", meaning = "M" }
family = "sdxl-tiny"
size = "160x128"
steps = 2
guidance = 5
guidance_range = [4, 6]
sampler = "Euler"
schedule = "Karras"
prefix = "masterpiece, best quality"
suffix = "absurdres"
negative_prompt = "lowres, bad hands"
"""


@pytest.fixture(scope="module", autouse=True)
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's presets: `tiny` fits the bundle, `odd` names a sampler there is none of."""
    folder = tmp_path_factory.mktemp("presets")
    (folder / "tiny.toml").write_text(TINY)
    (folder / "odd.toml").write_text(TINY.replace('"Euler"', '"Eulr a"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAKUGA_PRESETS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def engine(own: Path, sdxl_bundle: Bundle) -> Iterator[Engine]:
    with Engine.open(sdxl_bundle.path, threads=1, preset="tiny") as opened:
        yield opened


def test_a_preset_fills_in_what_a_request_leaves_open(engine: Engine) -> None:
    settings = engine.resolve(Request("1girl"))
    assert engine.preset is not None and engine.preset.name == "tiny"
    assert settings.prompt == "masterpiece, best quality, 1girl, absurdres"
    assert settings.negative_prompt == "lowres, bad hands"
    assert (str(settings.size), settings.steps, settings.guidance) == ("160x128", 2, 5.0)
    assert settings.sampler == "euler" and settings.notes == ()


def test_what_a_request_says_counts(engine: Engine) -> None:
    settings = engine.resolve(Request("1girl", "blurry", prefix="none"))
    assert (settings.prompt, settings.negative_prompt) == ("1girl", "blurry")
    assert engine.resolve(Request("1girl", "")).negative_prompt == ""


def test_diffusers_takes_texts_as_they_are(engine: Engine) -> None:
    settings = engine.resolve(Request("1girl", compat="diffusers"))
    assert (settings.prompt, settings.negative_prompt) == ("1girl", None)
    assert engine.resolve(Request("1girl", "", compat="diffusers")).negative_prompt == ""
    assert settings.steps == 2
    comfy = engine.resolve(Request("1girl", compat="comfy"))
    assert comfy.prompt.startswith("masterpiece, ") and comfy.negative_prompt == "lowres, bad hands"


def test_a_picture_is_made_again_from_its_parameters(engine: Engine, sdxl_bundle: Bundle) -> None:
    """By an engine that knows nothing of the preset, and by one that would add its words."""
    first = engine.render(Request("1girl, smile", seed=3))
    prompt, negative, _ = first.parameters.splitlines()
    assert prompt == "masterpiece, best quality, 1girl, smile, absurdres"
    assert negative == "Negative prompt: lowres, bad hands"
    again = Request(
        prompt,
        negative.removeprefix("Negative prompt: "),
        width=160,
        height=128,
        steps=2,
        guidance=5.0,
        sampler="Euler",
        seed=3,
    )
    assert np.array_equal(engine.render(again).pixels, first.pixels)
    with Engine.open(sdxl_bundle.path, threads=1) as plain:
        assert np.array_equal(plain.render(again).pixels, first.pixels)
    bare = engine.render(Request("1girl, smile", "", seed=3, prefix="none"))
    assert bare.parameters.startswith("1girl, smile\nSteps: ")
    assert not np.array_equal(bare.pixels, first.pixels)


def test_what_is_not_recommended_is_noted(engine: Engine) -> None:
    pictures = engine.render_many(Request("1girl", guidance=each, steps=1) for each in (7, 8, 5))
    notes = {picture.index: picture.notes for picture in pictures}
    assert notes[0] == notes[1] == ("The card of Tiny recommends guidance 4 to 6.",)
    assert notes[2] == ()


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("tniy", "no preset called 'tniy'"),
        ("", "no preset called ''"),
        ("sd15", "does not fit this model"),
    ],
)
def test_a_preset_that_cannot_be_used(sdxl_bundle: Bundle, preset: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Engine.open(sdxl_bundle.path, preset=preset)


def test_a_sampler_no_preset_can_have(sdxl_bundle: Bundle, own: Path) -> None:
    with Engine.open(sdxl_bundle.path, threads=1, preset="odd") as engine:
        with pytest.raises(UsageError, match=r"The preset odd: .*'Eulr a'") as caught:
            engine.resolve(Request("1girl"))
        assert str(own / "odd.toml") in caught.value.note and "Euler a" in caught.value.hint
        engine.resolve(Request("1girl", sampler="Euler"))


def test_a_bundle_keeps_the_preset_it_was_built_with(
    sdxl_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(sdxl_file, tmp_path / "b", BuildOptions(backend="onnx", preset="tiny"))
    assert (built.manifest.preset, built.manifest.licence) == ("tiny", "L")
    with Engine.open(built.path, threads=1) as engine:
        assert engine.resolve(Request("1girl")).steps == 2
    with Engine.open(built.path, threads=1, preset="none") as engine:
        assert engine.preset is None
        assert engine.defaults == Defaults(built.family.buckets[0], sizes=built.family.sizes)
    monkeypatch.delenv("SAKUGA_PRESETS")
    with pytest.raises(UsageError, match="preset 'tiny' of this bundle is not here") as caught:
        Engine.open(built.path)
    assert "--preset none" in caught.value.hint and "tiny.toml" in caught.value.hint
    Engine.open(built.path, threads=1, preset="none").close()


def test_a_hash_finds_the_preset_of_a_build(
    sdxl_file: Path, sdxl_bundle: Bundle, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAKUGA_PRESETS", str(tmp_path))
    digest = sdxl_bundle.manifest.checkpoint.model_hash
    known = tmp_path / "known.toml"
    known.write_text(f'hashes = ["{digest}"]\n{TINY}')
    assert build(sdxl_file, tmp_path / "a", BuildOptions("onnx")).manifest.preset == "known"
    options = BuildOptions("onnx", preset="none")
    assert build(sdxl_file, tmp_path / "b", options).manifest == replace(
        sdxl_bundle.manifest, preset=None, licence=None
    )
    known.write_text(
        known.read_text().replace('"sdxl-tiny"', '"sdxl"').replace("160x128", "1024x1024")
    )
    with pytest.raises(UsageError, match="'known' does not fit this model"):
        build(sdxl_file, tmp_path / "c", BuildOptions("onnx"))
    known.write_text("steps = 1")
    with pytest.raises(UsageError, match=r"known\.toml, key"):
        build(sdxl_file, tmp_path / "c", BuildOptions("onnx"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "known.toml"]
