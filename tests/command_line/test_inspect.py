"""`sakuga inspect`, `presets` and `doctor`."""

import json
import re
from pathlib import Path
from typing import Any

from PIL import Image

from sakuga.engine.bundle import Bundle
from sakuga.export.demo import DEMO_CHECKPOINT

Run = Any  # the fixture


def test_inspect_shows_the_settings_of_a_picture(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path
) -> None:
    path = tmp_path / "a.webp"
    prompt = "1girl,\n\x1b[31mred"
    run("render", sdxl_bundle.path, prompt, "--steps", 1, "--seed", 7, "--out", path)
    facts = json.loads(run("inspect", path, "--json").out)
    assert (facts["kind"], facts["format"], facts["prompt"]) == ("picture", "WebP", prompt)
    assert facts["values"]["Seed"] == "7" and facts["parameters"].startswith(prompt)
    shown = run("inspect", path).out
    assert "\x1b" not in shown and re.search("^Sampler +Euler a$", shown, re.M)
    assert re.search(r"^prompt +1girl,  \[31mred$", shown, re.M)
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    assert "none in it" in run("inspect", tmp_path / "plain.png").out
    (tmp_path / "cut.png").write_bytes(path.read_bytes()[:20])
    run("inspect", tmp_path / "cut.png").check_error()


def test_build_inspect_and_presets(run: Run, sd15_folder: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "anything.sakuga"
    assert run("build", sd15_folder, "--out", bundle).out == f"{bundle}\n"
    facts = json.loads(run("inspect", bundle, "--json").out)
    assert facts["kind"] == "bundle" and facts["family"] == "sd15-tiny"
    checkpoint = json.loads(run("inspect", sd15_folder, "--json").out)
    assert checkpoint["kind"] == "checkpoint"
    assert checkpoint["sha256"] == facts["checkpoint"]["sha256"]
    assert "animagine-xl-3.1  sdxl " in run("presets").out
    shown = run("inspect", bundle).out
    assert "512" in shown and "28 steps" in shown and len(shown.splitlines()) < 15
    assert json.loads(run("presets", "baxl-v3", "--json").out)[0]["steps"] == 25
    assert "onnxruntime" in json.loads(run("doctor", "--json").out)


def test_a_checkpoint_s_preset_and_licence_are_shown(run: Run) -> None:
    shown = run("inspect", DEMO_CHECKPOINT).out
    assert "demo (Sakuga's demo model)" in shown and "Apache License 2.0. Free for any" in shown
    assert json.loads(run("inspect", DEMO_CHECKPOINT, "--json").out)["preset"] == "demo"
    everything = run("presets", "animagine-xl-3.1").out
    assert "rating: general" in everything and "faipl-1.0-sd" in everything
    run("presets", "animagine").check_error()
