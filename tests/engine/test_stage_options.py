"""Stages on the command line and in job files, as people use them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from sakuga.__main__ import main
from sakuga.engine.bundle import Bundle

SMALL = ["--width", 128, "--height", 128, "--steps", 2, "--seed", 7, "--threads", 1]


class Outcome(NamedTuple):
    code: object
    out: str
    err: str


Run = Callable[..., Outcome]
Render = Callable[..., tuple[dict[str, Any], np.ndarray[Any, Any]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("render", bundle, …)`: the command line, in this process."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        found = capsys.readouterr()
        assert "Traceback" not in found.err
        return Outcome(stopped.value.code, found.out, found.err)

    return run


@pytest.fixture
def render(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> Render:
    """`render("1girl", "--hires", "1.5")`: what is told of the picture, and its pixels."""

    def render(*arguments: object) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
        done = run("render", sdxl_bundle.path, *arguments, "--out", tmp_path / "out", "--json")
        assert done.code == 0, done.err
        told = json.loads(done.out)
        with Image.open(told["path"]) as image:
            return told, np.asarray(image)

    return render


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a picture, 160x128, and a mask of its right half."""
    pixels = np.random.default_rng(1).integers(0, 256, (128, 160, 3), np.uint8)
    mask = np.zeros((128, 160), np.uint8)
    mask[:, 80:] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "m.png")
    return tmp_path


def test_a_hires_pass_is_made_and_made_again(render: Render) -> None:
    hires = ["--hires", "1.5:lanczos:0.45:1", "--hires-prompt", "smile"]
    told, pixels = render("1girl", *SMALL, *hires, "--upscale", "nearest:1.5")
    assert pixels.shape == (288, 288, 3)
    for words in ("Size: 128x128", "Hires upscale: 1.5", "Hires prompt: smile", "Hires steps: 1"):
        assert words in told["parameters"]
    again, same = render("--from", told["path"])
    assert np.array_equal(same, pixels) and again["parameters"] == told["parameters"]
    other, larger = render("--from", told["path"], "--hires", "2:latent:0.7:1")
    assert larger.shape == (384, 384, 3) and "Hires upscaler: Latent," in other["parameters"]


def test_a_part_of_a_picture_is_painted_anew(render: Render, files: Path, run: Run) -> None:
    begun = ["--init", files / "a.png", "--mask", files / "m.png", "--mask-blur", 0]
    options = ["--strength", 0.5, "--mask-fill", "fill", "--steps", 2, "--seed", 7]
    told, pixels = render("1girl", *begun, *options)
    with Image.open(files / "a.png") as image:
        before = np.asarray(image)
    assert pixels.shape == (128, 160, 3)  # as the picture it began from
    assert np.array_equal(pixels[:, :64], before[:, :64])
    assert not np.array_equal(pixels[:, 96:], before[:, 96:])
    assert "Denoising strength: 0.5, " in told["parameters"]
    _, same = render("--from", told["path"], *begun[:4])
    assert np.array_equal(same, pixels)
    refused = run("render", "no-bundle", "--from", told["path"], "--out", files)
    assert refused.code != 0


def test_a_picture_made_again_says_what_it_lacks(
    run: Run, render: Render, files: Path, sdxl_bundle: Bundle
) -> None:
    told, _ = render("1girl", "--init", files / "a.png", *SMALL)
    done = run("render", sdxl_bundle.path, "--from", told["path"], "--out", files / "out")
    assert "give that with --init" in done.err and "--ignore init" in done.err


def test_a_job_file_has_the_same_pictures(
    run: Run, render: Render, files: Path, sdxl_bundle: Bundle
) -> None:
    small = {"width": 128, "height": 128, "steps": 2, "seed": 7, "prompt": "1girl"}
    lines = [
        small | {"init": "a.png", "mask": "m.png", "mask_area": "masked", "strength": 0.5},
        small | {"hires": {"scale": 1.5, "upscaler": "lanczos", "steps": 1}},
    ]
    (files / "jobs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    command = ["render", sdxl_bundle.path, "--jobs", files / "jobs.jsonl", "--out", files / "all"]
    done = run(*command, "--threads", 1, "--names", "{init}-{id}")
    assert done.code == 0, done.err
    paths = [Path(line) for line in done.out.splitlines()]
    assert {path.name for path in paths} == {"a-00001.png", "none-00002.png"}
    masked = ["--mask", files / "m.png", "--mask-area", "masked", "--strength", 0.5]
    one, _ = render("1girl", *SMALL, "--init", files / "a.png", *masked)
    two, _ = render("1girl", *SMALL, "--hires", "1.5:lanczos:0.7:1")
    for name, told in (("a-00001.png", one), ("none-00002.png", two)):
        assert (files / "all" / name).read_bytes() == Path(told["path"]).read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--init", "nowhere.png"], ["'--init'", "there is no file nowhere.png"]),
        (["--hires", "dat_x2"], ["'--hires'", '"1.5:dat_x2:0.45"']),
        (["--hires", "1.5:lanczos:4"], ["'--hires'", "'strength' must be", '"1.5:dat_x2:0.45"']),
        (["--detail", "face:stength=1"], ["'--detail'", "Did you mean 'strength'?"]),
        (["--upscale", ":2"], ["'--upscale'", '"dat_x2"']),
        (["--strength", "0.5"], ["--strength needs a picture to begin from", "Give --init too"]),
        (["--mask-blur", "2"], ["--mask-blur needs a picture", "--init"]),
        (["--hires-prompt", "a"], ["--hires-prompt", "--hires 1.5:latent:0.6"]),
        (["--jobs", "a.jsonl", "--hires", "2"], ["--jobs cannot be combined", "--hires"]),
        (["--upscale", "dat_x2"], ["There is no upscaler 'dat_x2'", "build-upscaler"]),
        (["--detail", "face"], ["There is no detector called 'face'"]),
    ],
    ids=str,
)
def test_errors_name_the_option(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path, options: list[str], words: list[str]
) -> None:
    prompt = [] if "--jobs" in options else ["1girl"]
    done = run("render", sdxl_bundle.path, *prompt, *options, "--out", tmp_path)
    assert done.code == 2 and done.out == ""
    for each in words:
        assert each in done.err.replace("\n", " "), done.err


@pytest.mark.slow
def test_a_face_is_found_and_painted_anew(run: Run, demo_bundle: Bundle, tmp_path: Path) -> None:
    command = ["render", demo_bundle.path, "--out", tmp_path, "--json", "--threads", 1]
    plain = [*command, "1girl, blue hair, smile", "--seed", 3, "--steps", 12]
    before = json.loads(run(*plain).out)
    after = json.loads(run(*plain, "--detail", "face:0.5:prompt=1girl, red eyes").out)
    assert "ADetailer prompt: " in after["parameters"] and not after["notes"]
    assert Path(after["path"]).read_bytes() != Path(before["path"]).read_bytes()
    again = json.loads(run(*command, "--from", after["path"]).out)
    assert Path(again["path"]).read_bytes() == Path(after["path"]).read_bytes()
