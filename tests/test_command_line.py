"""The command line as people use it: what it prints, where, with which exit code."""

import importlib.util
import json
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from sakuga.__main__ import main
from sakuga.engine.bundle import Bundle
from sakuga.engine.manifest import SCHEMA
from sakuga.export.demo import DEMO_CHECKPOINT, DEMO_LORA
from sakuga.profiles.families import SDXL_DEMO


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("render", bundle, "a", "--out", folder)`: the command line, in this process."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        code = stopped.value.code
        assert isinstance(code, int)
        return Outcome(code, out, err)

    return run


def parts(outcome: Outcome) -> None:
    """An error message says what happened and what to do next, or gives the facts."""
    assert outcome.err.startswith(("Error: ", "Usage: "))
    if outcome.err.startswith("Error: "):
        assert re.search("^(Note|Hint): .", outcome.err, re.M), outcome.err
    assert outcome.out == ""


def test_a_prompt(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "pictures"
    command = ["render", sdxl_bundle.path, "1girl, smile", "--out", out, "--steps", 2]
    done = run(*command, "--seed", 7, "--width", 160, "--height", 128, "--guidance", 5)
    assert done == Outcome(0, f"{out / '00000-7.png'}\n", done.err)
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
    parts(done)
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


def test_a_job_file(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    lines = [
        {"prompt": "1girl", "negative_prompt": "lowres", "steps": 2, "seed": 1, "id": "first"},
        {"prompt": "1boy", "width": 192, "height": 352, "steps": 1, "sampler": "Euler"},
    ]
    jobs.write_text("\n\n".join(json.dumps(line) for line in lines))
    done = run("render", sdxl_bundle.path, "--jobs", jobs, "--out", tmp_path / "out", "--json")
    assert done.code == 0
    rendered = [json.loads(line) for line in done.out.splitlines()]
    assert [one["id"] for one in rendered] == ["first", "00002"]
    assert all(Path(one["path"]).is_file() for one in rendered)
    with Image.open(tmp_path / "out" / "contact-sheet.png") as sheet:
        assert sheet.width > 500


def test_diffusers_cuts_long_prompts_and_says_so(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path
) -> None:
    command = ["render", sdxl_bundle.path, "1girl, " * 60, "--steps", 1, "--out", tmp_path]
    assert "tokens beyond the first 75 were not read" in run(*command, "--compat", "diffusers").err
    assert "not read" not in run(*command).err


def test_syntax_read_otherwise_than_meant_is_told_once(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs.jsonl"
    line = json.dumps({"prompt": "a (cat:1.2.3)", "steps": 1, "seed": 1})
    jobs.write_text("\n".join([line] * 3))
    done = run("render", sdxl_bundle.path, "--jobs", jobs, "--out", tmp_path / "out", "--json")
    assert done.err.count("'1.2.3' in a prompt is no number") == 1
    assert all(json.loads(one)["notes"] for one in done.out.splitlines())
    command = ["render", sdxl_bundle.path, "a (cat:1.2)", "--steps", 1, "--out", tmp_path / "out"]
    assert "number" not in run(*command).err
    assert "number" not in run(*command, "--emphasis", "no norm", "--pad-conds").err


def test_a_job_file_takes_no_settings_beside_it(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"prompt": "1girl"}')
    command = ["render", sdxl_bundle.path, "--jobs", jobs, "--out", tmp_path / "out"]
    done = run(*command, "--steps", 3, "--compat", "comfy")
    parts(done)
    assert done.code == 2 and "--steps, --compat" in done.err


def test_out_may_name_the_one_picture(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    command = ["render", sdxl_bundle.path, "1girl", "--steps", 1, "--width", 128, "--out"]
    for name, format in (("a.png", "PNG"), ("b.v2.jpeg", "JPEG"), ("new/c.WEBP", "WEBP")):
        assert run(*command, tmp_path / name).out == f"{tmp_path / name}\n"
        with Image.open(tmp_path / name) as image:
            assert image.format == format
    (tmp_path / "folder.png").mkdir()
    assert run(*command, tmp_path / "folder.png", "--seed", 5, "--format", "webp").out == (
        f"{tmp_path / 'folder.png' / '00000-5.webp'}\n"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "a.png", "--format", "webp"], "two formats"),
        (["--out", "a.png", "--quality", 90], "PNG has no quality"),
        (["--out", "a", "--format", "jpeg", "--quality", 101], "101"),
        (["--out", "a", "--ignore", "model"], "--from"),
    ],
    ids=str,
)
def test_formats_that_cannot_be_written(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path, options: list[object], words: str
) -> None:
    options[1] = tmp_path / str(options[1])
    done = run("render", sdxl_bundle.path, "1girl", *options)
    parts(done)
    assert done.code == 2 and words in done.err and list(tmp_path.iterdir()) == []


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
    parts(done)
    assert done.code == 1 and "Model hash" in done.err and "--ignore model" in done.err
    assert not (tmp_path / "out").exists()
    done = run(*command, "--ignore", "model", "--width", 128, "--height", 128)
    assert done.code == 0 and "Left out as asked: Model hash" in done.err
    done = run("render", sdxl_bundle.path, "--jobs", "x", "--from", path, "--out", tmp_path / "out")
    parts(done)
    assert done.code == 2 and "--jobs cannot be combined with --from" in done.err
    (tmp_path / "none.png").write_bytes(b"not a picture")
    done = run("render", sdxl_bundle.path, "--from", tmp_path / "none.png", "--out", tmp_path)
    parts(done)
    assert done.code == 1 and "no picture" in done.err


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
    parts(run("inspect", tmp_path / "cut.png"))


def test_jobs_need_a_folder(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"prompt": "1girl", "steps": 1, "id": "x"}')
    command = ["render", sdxl_bundle.path, "--jobs", jobs, "--out"]
    done = run(*command, tmp_path / "out.png")
    parts(done)
    assert done.code == 2 and "renders many" in done.err
    done = run(*command, tmp_path / "out", "--format", "jpeg", "--quality", 80)
    assert done.out == f"{tmp_path / 'out' / 'x.jpg'}\n"


def test_pictures_stay_out_of_bundles(run: Run, sdxl_bundle: Bundle) -> None:
    done = run("render", sdxl_bundle.path, "1girl", "--out", sdxl_bundle.path / "new" / "pictures")
    parts(done)
    assert done.code == 2 and "lies inside the bundle" in done.err
    assert not (sdxl_bundle.path / "new").exists()


def test_verifying_without_its_packages_builds_nothing(
    run: Run, sdxl_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    hidden = {"torch", "diffusers"}
    monkeypatch.setattr(
        "sakuga.export.build.find_spec", lambda name: None if name in hidden else real(name)
    )
    done = run("build", sdxl_file, "--out", tmp_path / "b.sakuga", "--verify")
    parts(done)
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
    parts(strict)
    assert strict.code == 1 and "2 keys of" in strict.err and not (tmp_path / "c.sakuga").exists()
    parts(run(*command, tmp_path / "none:0.5", "--out", tmp_path / "c.sakuga"))


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


OWN = """
title = "Tiny"
source = "S"
licence = { name = "L", meaning = "No resale." }
family = "sd15-tiny"
size = "128x128"
steps = 1
steps_range = [1, 2]
guidance = 5
sampler = "Euler"
prefix = "masterpiece"
negative_prompt = "lowres"
"""


def test_presets_of_one_s_own(
    run: Run, sd15_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, bundle, out = tmp_path / "presets", tmp_path / "b.sakuga", tmp_path / "out"
    own.mkdir()
    (own / "tiny.toml").write_text(OWN)
    monkeypatch.setenv("SAKUGA_PRESETS", str(own))
    done = run("build", sd15_folder, "--out", bundle, "--preset", "tiny")
    assert done.code == 0 and "Preset: tiny\nLicence: L. No resale.\n" in done.err
    assert "No resale." in run("inspect", bundle).out
    facts = json.loads(run("inspect", bundle, "--json").out)
    assert (facts["preset"], facts["licence_meaning"]) == ("tiny", "No resale.")
    rendered = json.loads(run("render", bundle, "1girl", "--out", out, "--json").out)
    assert rendered["parameters"].startswith(
        "masterpiece, 1girl\nNegative prompt: lowres\nSteps: 1, Sampler: Euler, "
    )
    command = ["render", bundle, "1girl", "--out", out, "--json", "--steps", 3]
    noted = run(*command, "--no-prefix")
    assert json.loads(noted.out)["parameters"].startswith("1girl\nNegative prompt: lowres\n")
    assert "The card of Tiny recommends 1 to 2 steps." in noted.err
    plain = json.loads(run(*command, "--preset", "none").out)
    assert plain["parameters"].startswith("1girl\nSteps: 3, Sampler: Euler a, ")
    assert plain["notes"] == []
    for options in (["--preset", "tinny"], ["--preset", "sdxl"]):
        wrong = run(*command, *options)
        parts(wrong)
        assert wrong.code == 2 and ("Did you mean 'tiny'" in wrong.err or "family" in wrong.err)
    (own / "tiny.toml").write_text(OWN.replace("steps =", "stesp ="))
    for broken in (["presets"], ["presets", "tiny"], command):
        wrong = run(*broken)
        parts(wrong)
        assert wrong.code == 2 and "tiny.toml, key 'stesp', is unknown; did you mean" in wrong.err
    assert "tiny cannot be used. The preset file" in run("inspect", bundle).out
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"prompt": "a", "prefix": "none"}')
    done = run("render", bundle, "--jobs", jobs, "--out", out, "--preset", "none", "--json")
    assert json.loads(done.out)["parameters"].startswith("a\nSteps: 28, ")


def test_a_build_with_a_wrong_preset_writes_nothing(
    run: Run, sd15_folder: Path, tmp_path: Path
) -> None:
    for preset, words in (
        ("animagine-xl-3.1", "family sd15-tiny"),
        ("sd16", "Did you mean 'sd15'"),
    ):
        done = run("build", sd15_folder, "--out", tmp_path / "b", "--preset", preset)
        parts(done)
        assert done.code == 2 and words in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_s_preset_and_licence_are_shown(run: Run) -> None:
    shown = run("inspect", DEMO_CHECKPOINT).out
    assert "demo (Sakuga's demo model)" in shown and "Apache License 2.0. Free for any" in shown
    assert json.loads(run("inspect", DEMO_CHECKPOINT, "--json").out)["preset"] == "demo"
    everything = run("presets", "animagine-xl-3.1").out
    assert "rating: general" in everything and "faipl-1.0-sd" in everything
    parts(run("presets", "animagine"))


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
    parts(refused)
    assert refused.code == 2 and "has no averaged" in refused.err


def test_verify_writes_figures(run: Run, sdxl_file: Path, tmp_path: Path) -> None:
    done = run("build", sdxl_file, "--out", tmp_path / "b.sakuga", "--verify")
    facts = json.loads(run("inspect", tmp_path / "b.sakuga", "--json").out)
    assert len(facts["verification"]) == 5
    assert all(0 < error <= 1e-4 for error in facts["verification"].values())
    assert "against diffusers in float32" in done.err


def lora(path: Path) -> None:
    down = np.zeros((4, 8), np.float32)
    key = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    save_file({f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": down.T.copy()}, path)


def vae(path: Path) -> None:
    save_file({"decoder.conv_in.weight": np.zeros((8, 4, 3, 3), np.float32)}, path)


def other(path: Path) -> None:
    save_file({"model.layers.0.weight": np.zeros(3, np.float32)}, path)


def cut(path: Path) -> None:
    save_file({"a": np.zeros(100, np.float32)}, path)
    path.write_bytes(path.read_bytes()[:-50])


def text(path: Path) -> None:
    path.write_text("<!doctype html><title>Sign in</title>")


def empty(path: Path) -> None:
    path.touch()


def pickle(path: Path) -> None:
    path.write_bytes(b"\x80\x02}q\x00X\x05\x00\x00\x00modelq\x01K\x01s.")


def huge_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 40) + b"{}")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (None, "no file"),
        (lora, "LoRA"),
        (vae, "VAE"),
        (other, "family|model"),
        (cut, "bytes"),
        (text, "safetensors"),
        (empty, "empty|bytes"),
        (pickle, "pickle"),
        (huge_header, "header"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_models_that_are_none(
    run: Run, tmp_path: Path, write: Callable[[Path], None] | None, words: str
) -> None:
    model = tmp_path / ("model.ckpt" if write is pickle else "model.safetensors")
    if write is not None:
        write(model)
    before = set(tmp_path.rglob("*"))
    done = run("build", model, "--out", tmp_path / "b.sakuga")
    assert done.code == 1
    assert re.search(words, done.err, re.I), done.err
    parts(done)
    assert set(tmp_path.rglob("*")) == before


def test_missing_and_misshapen_tensors(run: Run, sdxl_file: Path, tmp_path: Path) -> None:
    tensors = load_file(sdxl_file)
    names = [name for name in tensors if name.startswith("model.diffusion_model.output_blocks.1.")]
    few = tmp_path / "few.safetensors"
    save_file({name: values for name, values in tensors.items() if name not in names}, few)
    done = run("build", few, "--out", tmp_path / "b.sakuga")
    parts(done)
    assert done.code == 1 and f"{len(names)} of the tensors" in done.err
    assert "up_blocks.0" in done.err and "more" in done.err
    wrong = tmp_path / "wrong.safetensors"
    tensors["model.diffusion_model.out.2.bias"] = np.zeros(5, np.float32)
    save_file(tensors, wrong)
    done = run("build", wrong, "--out", tmp_path / "b.sakuga")
    parts(done)
    assert done.code == 1 and "conv_out.bias" in done.err and "[5]" in done.err
    assert not (tmp_path / "b.sakuga").exists()


def test_nan_in_the_weights(run: Run, sdxl_file: Path, tmp_path: Path) -> None:
    tensors = load_file(sdxl_file)
    tensors["model.diffusion_model.out.2.bias"][0] = np.nan
    save_file(tensors, tmp_path / "nan.safetensors")
    done = run("build", tmp_path / "nan.safetensors", "--out", tmp_path / "b.sakuga")
    parts(done)
    assert done.code == 1 and "conv_out.bias" in done.err and "NaN" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["nan.safetensors"]


def test_a_build_replaces_bundles_only(run: Run, sdxl_file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "novel.txt").write_text("chapter one")
    done = run("build", sdxl_file, "--out", tmp_path / "mine")
    parts(done)
    assert done.code == 2
    assert (tmp_path / "mine" / "novel.txt").read_text() == "chapter one"


def changed_byte(bundle: Path) -> None:
    weights = bundle / "onnx" / "unet" / "weights.bin"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)


def missing_file(bundle: Path) -> None:
    (bundle / "text" / "tokenizer.json").unlink()


def newer_schema(bundle: Path) -> None:
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"schema": {SCHEMA}', '"schema": 99'))


def no_manifest(bundle: Path) -> None:
    (bundle / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (changed_byte, "unet/weights.bin has changed"),
        (missing_file, "tokenizer.json is missing"),
        (newer_schema, "newer"),
        (no_manifest, "not a Sakuga bundle"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_damaged_bundles(
    run: Run, sdxl_bundle: Bundle, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    bundle = tmp_path / "copy.sakuga"
    shutil.copytree(sdxl_bundle.path, bundle)
    damage(bundle)
    done = run("render", bundle, "1girl", "--out", tmp_path / "out")
    parts(done)
    assert done.code == 1 and words in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--width", 300], "288x256"),
        (["--width", 4096], "512x256"),
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
    parts(done)
    assert done.code == 2 and words in done.err
    assert not (tmp_path / "out").exists()


def test_wrong_jobs_render_nothing(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"prompt": "fine", "steps": 1}\n{"prompt": "wide", "width": 5000}\n')
    done = run("render", sdxl_bundle.path, "--jobs", jobs, "--out", tmp_path / "out")
    parts(done)
    assert done.code == 2 and not (tmp_path / "out").exists()
    assert f"{jobs}, line 2 (00002): " in done.err
    jobs.write_text('{"prompt": "fine", "steps": 1}\n{"prompt": "' + "cat " * 300 + '"}\n')
    done = run("render", sdxl_bundle.path, "--jobs", jobs, "--out", tmp_path / "out")
    parts(done)
    assert done.code == 2 and not (tmp_path / "out").exists()
    assert "line 2" in done.err and "too long" in done.err
    done = run("render", sdxl_bundle.path, "--jobs", tmp_path / "none", "--out", tmp_path / "out")
    parts(done)
    assert done.code == 2


def test_an_empty_prompt_works(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    done = run("render", sdxl_bundle.path, "", "--steps", 1, "--out", tmp_path)
    assert done.code == 0 and Path(done.out.strip()).is_file()


LOADED = (
    "import sys, atexit; sys.argv = ['sakuga', *sys.argv[1:]];"
    "atexit.register(lambda: print(*{m.split('.')[0] for m in sys.modules}, file=sys.stderr));"
    "from sakuga.__main__ import main; main()"
)


@pytest.mark.parametrize(
    ("verb", "banned"),
    [
        ("render", {"torch", "diffusers", "transformers", "onnx"}),
        ("build", {"torch", "diffusers", "transformers", "onnxscript"}),
    ],
)
def test_what_a_process_loads(
    sdxl_bundle: Bundle, sdxl_file: Path, tmp_path: Path, verb: str, banned: set[str]
) -> None:
    arguments = {
        "render": [str(sdxl_bundle.path), "1girl", "--steps", "1", "--out", str(tmp_path / "out")],
        "build": [str(sdxl_file), "--out", str(tmp_path / "b.sakuga")],
    }
    command = [sys.executable, "-P", "-c", LOADED, verb, *arguments[verb]]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded = set(done.stderr.split("\n")[-2].split())
    assert "numpy" in loaded
    assert not loaded & banned
