"""`sakuga render PROMPT`: options, what is written into pictures, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sakuga.engine.bundle import Bundle

Run = Any  # the fixture


def test_a_prompt(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "pictures"
    command = ["render", sdxl_bundle.path, "1girl, smile", "--out", out, "--steps", 2]
    done = run(*command, "--seed", 7, "--width", 160, "--height", 128, "--guidance", 5)
    assert (done.code, done.out) == (0, f"{out / '00000-7.png'}\n")
    with Image.open(out / "00000-7.png") as image:
        assert image.size == (160, 128)
        assert image.text["parameters"].startswith("1girl, smile\nSteps: 2, Sampler: Euler a, ")  # type: ignore[attr-defined]
    again = run(*command, "--seed", 8)
    assert again.out == f"{out / '00001-8.png'}\n"
    assert sorted(path.name for path in out.iterdir()) == ["00000-7.png", "00001-8.png"]


def test_a_sampler_with_schedule_and_noise(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    command = ["render", sdxl_bundle.path, "1girl", "--steps", 2, "--seed", 7, "--json"]
    options = ["--sampler", "DPM++ 2M SDE", "--schedule", "karras", "--eta", 0.5, "--s-noise", 1.1]
    done = run(*command, *options, "--out", tmp_path)
    picture = json.loads(done.out)
    assert "Sampler: DPM++ 2M SDE, Schedule type: Karras, " in picture["parameters"]
    assert "Eta: 0.5, Sigma noise: 1.1, " in picture["parameters"]
    assert "not from a Brownian tree as in a1111" in picture["notes"][0]
    plain = run(*command, "--sampler", "DPM++ 2M Karras", "--out", tmp_path)
    assert json.loads(plain.out)["notes"] == []


def test_several_pictures_of_a_prompt(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    command = ["render", sdxl_bundle.path, "1girl", "--steps", 2, "--width", 128, "--json"]
    done = run(*command, "--seed", 7, "--count", 3, "--out", tmp_path / "a", "--rng", "cpu")
    pictures = [json.loads(line) for line in done.out.splitlines()]
    assert [each["id"] for each in pictures] == ["00000-7", "00001-8", "00002-9"]
    assert all("RNG: CPU" in each["parameters"] for each in pictures)
    assert (tmp_path / "a" / "contact-sheet.png").is_file()
    alone = json.loads(run(*command, "--seed", 8, "--rng", "CPU", "--out", tmp_path / "b").out)
    assert Path(alone["path"]).read_bytes() == Path(pictures[1]["path"]).read_bytes()
    done = run(*command, "--count", 2, "--out", tmp_path / "one.png")
    done.check_error()
    assert done.code == 2 and "--count 2 makes more" in done.err


def test_variations_of_a_picture(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    command = ["render", sdxl_bundle.path, "--out", tmp_path, "--json"]
    small = ["--steps", 2, "--width", 128, "--height", 128]
    options = ["--variation-seed", 4, "--variation-strength", 0.2, "--seed-resize", "96x160"]
    first = json.loads(run(*command, "1girl", *small, "--seed", 7, *options, "--ensd", 31337).out)
    assert (
        "Variation seed: 4, Variation seed strength: 0.2, Seed resize from: 96x160, ENSD: 31337, "
        "RNG: NV, "
    ) in first["parameters"]
    done = run(*command, "--from", first["path"], "--count", 2)
    again, other = (json.loads(line) for line in done.out.splitlines())
    assert again["parameters"] == first["parameters"]
    assert Path(again["path"]).read_bytes() == Path(first["path"]).read_bytes()
    assert other["seed"] == 7 and "Variation seed: 5, " in other["parameters"]
    varied = run(*command, "1girl", *small, "--variation-seed", -1, "--variation-strength", 0.2)
    assert "Variation seed: -1" not in json.loads(varied.out)["parameters"]


def test_a_random_seed_is_written_down(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    command = ["render", sdxl_bundle.path, "a", "--steps", 1, "--json"]
    seeds = {json.loads(run(*command, "--out", tmp_path / name).out)["seed"] for name in "abc"}
    assert len(seeds) == 3


def test_diffusers_cuts_long_prompts_and_says_so(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path
) -> None:
    command = ["render", sdxl_bundle.path, "1girl, " * 60, "--steps", 1, "--out", tmp_path]
    assert "tokens beyond the first 75 were not read" in run(*command, "--compat", "diffusers").err
    assert "not read" not in run(*command).err


def test_an_empty_prompt_works(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    done = run("render", sdxl_bundle.path, "", "--steps", 1, "--out", tmp_path)
    assert done.code == 0 and Path(done.out.strip()).is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--width", 300], "288x256"),
        (["--width", 4096], "512x128"),
        (["--steps", 0], "0 steps"),
        (["--steps", 1001], "1001 steps"),
        (["--guidance", "nan"], "nan"),
        (["--guidance", "-1"], "-1"),
        (["--sampler", "Eulr a"], "Did you mean 'Euler a'"),
        (["--schedule", "karas"], "Did you mean 'Karras'"),
        (["--sampler", "Euler", "--eta", "0.5"], "eta means nothing to Euler"),
        (["--s-noise", "nan"], "s_noise cannot be nan"),
        (["--compat", "invoke"], "'a1111', 'comfy', 'diffusers'"),
        (["--seed", "-5"], "-5"),
        (["--rng", "GPU"], "Use one of NV, CPU, ComfyUI"),
        (["--variation-seed", 3], "without a strength"),
        (["--variation-strength", 2], "strength of a variation cannot be 2"),
        (["--seed-resize", "512"], "'512' is no size"),
        (["--ensd", "-9", "--seed", 8], "-9 cannot be added to the seed 8"),
        (["--count", 0], "--count"),
        (["--clip-skip", 40], "40"),
        (["--threads", 9999], "cores"),
        (["--threads", 0], "cores"),
        (["--jobs", "jobs.jsonl"], "--jobs cannot be combined with a prompt"),
        (["--stesp", 3], "--steps"),
    ],
    ids=str,
)
def test_wrong_options(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path, options: list[object], words: str
) -> None:
    done = run("render", sdxl_bundle.path, "1girl", "--out", tmp_path / "out", *options)
    done.check_error()
    assert done.code == 2 and words in done.err
    assert not (tmp_path / "out").exists()
