"""`sakuga render --from PICTURE`."""

import json
from pathlib import Path
from typing import Any

from sakuga.engine.bundle import Bundle

Run = Any  # the fixture


def test_a_picture_is_made_again(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    command = ["render", sdxl_bundle.path, "--threads", 1, "--out"]
    settings = ["--width", 160, "--height", 128, "--steps", 2, "--guidance", 5.5, "--seed", 7]
    first, photo, again = (tmp_path / name for name in ("a.png", "a.jpg", "b.png"))
    prompts = ["1girl,\nsmile", "--negative", "Negative prompt: x", "--sampler", "Euler"]
    run(*command, first, *prompts, *settings)
    run(*command, photo, "--from", first)
    done = run(*command, again, "--from", photo)
    assert done.out == f"{again}\n" and done.err.count("\n") == 1
    assert again.read_bytes() == first.read_bytes()


def test_options_change_what_a_picture_says(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    made = ["render", sdxl_bundle.path, "--out", tmp_path, "--json"]
    first = json.loads(run(*made, "1girl", "--steps", 2, "--seed", 7).out)
    again = [*made, "--from", first["path"]]
    changed = json.loads(run(*again, "--steps", 1, "--seed", -1, "--compat", "comfy").out)
    assert changed["id"] == f"00001-{changed['seed']}" and changed["seed"] != 7
    lines = changed["parameters"].splitlines()
    assert lines[0] == "1girl" and lines[1].startswith("Steps: 1, ") and "Compat: comfy" in lines[1]
    other = json.loads(run(*again, "2girls", "--negative", "hat", "--height", 160).out)
    assert other["parameters"].startswith("2girls\nNegative prompt: hat\nSteps: 2, ")
    assert other["seed"] == 7 and "x160," in other["parameters"]


def test_pictures_that_cannot_be_made_again(
    run: Run, sdxl_bundle: Bundle, sd15_bundle: Bundle, tmp_path: Path
) -> None:
    path = run("render", sdxl_bundle.path, "1girl", "--steps", 1, "--out", tmp_path).out.strip()
    command = ["render", sd15_bundle.path, "--from", path, "--out", tmp_path / "out"]
    done = run(*command)
    done.check_error()
    assert done.code == 1 and "Model hash" in done.err and "--ignore model" in done.err
    assert not (tmp_path / "out").exists()
    done = run(*command, "--ignore", "model", "--width", 128, "--height", 128)
    assert done.code == 0 and "Left out as asked: Model hash" in done.err
    done = run("render", sdxl_bundle.path, "--jobs", "x", "--from", path, "--out", tmp_path / "out")
    done.check_error()
    assert done.code == 2 and "--jobs cannot be combined with --from" in done.err
    (tmp_path / "none.png").write_bytes(b"not a picture")
    done = run("render", sdxl_bundle.path, "--from", tmp_path / "none.png", "--out", tmp_path)
    done.check_error()
    assert done.code == 1 and "no picture" in done.err
