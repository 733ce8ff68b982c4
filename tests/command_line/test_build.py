"""`sakuga build`: its options."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from sakuga.export.demo import DEMO_CHECKPOINT, DEMO_LORA
from sakuga.profiles.families import SDXL_DEMO

Run = Any  # the fixture


def test_verifying_without_its_packages_builds_nothing(
    run: Run, sdxl_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    hidden = {"torch", "diffusers"}
    monkeypatch.setattr(
        "sakuga.export.build.find_spec", lambda name: None if name in hidden else real(name)
    )
    done = run("build", sdxl_file, "--out", tmp_path / "b.sakuga", "--verify")
    done.check_error()
    assert done.code == 1 and "torch, diffusers" in done.err and "pip install" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_with_a_lora_and_a_vae(run: Run, tmp_path: Path) -> None:
    lora = tmp_path / "more.safetensors"
    module = "lora_unet_input_blocks_3_1_proj_in"
    pair = {f"{module}.lora_up.weight": (96, 2), f"{module}.lora_down.weight": (2, 96)}
    widths = zip(("clip_l", "clip_g"), SDXL_DEMO.text_encoders, strict=True)
    easy = {f"bundle_emb.easy.{name}": (1, encoder.hidden) for name, encoder in widths}
    others = easy | {"lora_unet_nowhere.diff": (1,), "bundle_emb.odd.clip_l": (1, 1)}
    save_file({key: np.ones(shape, "f2") for key, shape in (pair | others).items()}, lora)
    bundle, command = tmp_path / "b.sakuga", ["build", "demo", "--backend", "onnx", "--lora"]
    done = run(*command, f"{DEMO_LORA}:1:0.5", "--lora", f"{lora}:.5", "--vae", DEMO_CHECKPOINT,
               "--out", bundle)  # fmt: skip
    assert done.code == 0 and done.out == f"{bundle}\n"
    left_out = "bundle_emb.odd.clip_l, lora_unet_nowhere.diff"
    assert f"Warning: 2 keys of more match nothing here: {left_out}" in done.err
    assert "Embeddings of more: easy\n" in done.err
    shown = run("inspect", bundle).out
    assert re.search(r"LoRAs +kosame at 1/0\.5 \(ec914199806f\), more at 0\.5 \(", shown)
    assert re.search(r"VAE +demo\.safetensors \(", shown)
    assert re.search(r"embeddings +easy\n", shown)
    assert "2 keys of them match nothing here" in shown
    loras = json.loads(run("inspect", bundle, "--json").out)["loras"]
    assert [(each["text_weight"], each["unet_weight"]) for each in loras] == [(1, 0.5), (0.5, 0.5)]
    assert re.search(r"kind +LoRA\n", run("inspect", DEMO_LORA).out)
    strict = run(*command, lora, "--strict-lora", "--out", tmp_path / "c.sakuga")
    strict.check_error()
    assert strict.code == 1 and "2 keys of" in strict.err and not (tmp_path / "c.sakuga").exists()
    run(*command, tmp_path / "none:0.5", "--out", tmp_path / "c.sakuga").check_error()


def test_a_build_with_a_wrong_preset_writes_nothing(
    run: Run, sd15_folder: Path, tmp_path: Path
) -> None:
    for preset, words in (
        ("animagine-xl-3.1", "family sd15-tiny"),
        ("sd16", "Did you mean 'sd15'"),
    ):
        done = run("build", sd15_folder, "--out", tmp_path / "b", "--preset", preset)
        done.check_error()
        assert done.code == 2 and words in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_build_says_what_the_checkpoint_does_not(
    run: Run, sd15_file: Path, sd15_folder: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "b.sakuga"
    assert "Note" not in run("build", sd15_file, "--out", bundle, "--prediction", "v").err
    assert "predicts v_prediction" in run("inspect", bundle).out
    assert "--prediction v" in run("inspect", bundle).out
    done = run("build", sd15_folder, "--out", bundle, "--prediction", "v")
    assert "Note: The checkpoint says it predicts 'epsilon'" in done.err and done.code == 0
    refused = run("build", sd15_file, "--out", bundle, "--ema")
    refused.check_error()
    assert refused.code == 2 and "has no averaged" in refused.err


def test_verify_writes_figures(run: Run, sdxl_file: Path, tmp_path: Path) -> None:
    done = run("build", sdxl_file, "--out", tmp_path / "b.sakuga", "--verify")
    facts = json.loads(run("inspect", tmp_path / "b.sakuga", "--json").out)
    assert len(facts["verification"]) == 5
    assert all(0 < error <= 1e-4 for error in facts["verification"].values())
    assert "against diffusers in float32" in done.err


def test_a_build_replaces_bundles_only(run: Run, sdxl_file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "novel.txt").write_text("chapter one")
    done = run("build", sdxl_file, "--out", tmp_path / "mine")
    done.check_error()
    assert done.code == 2
    assert (tmp_path / "mine" / "novel.txt").read_text() == "chapter one"
