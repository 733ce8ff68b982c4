"""Presets of one's own, from the build to the picture."""

import json
from pathlib import Path
from typing import Any

import pytest

Run = Any  # the fixture


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
        wrong.check_error()
        assert wrong.code == 2 and ("Did you mean 'tiny'" in wrong.err or "family" in wrong.err)
    (own / "tiny.toml").write_text(OWN.replace("steps =", "stesp ="))
    for broken in (["presets"], ["presets", "tiny"], command):
        wrong = run(*broken)
        wrong.check_error()
        assert wrong.code == 2 and "tiny.toml, key 'stesp', is unknown; did you mean" in wrong.err
    assert "tiny cannot be used. The preset file" in run("inspect", bundle).out
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"prompt": "a", "prefix": "none"}')
    done = run("render", bundle, "--jobs", jobs, "--out", out, "--preset", "none", "--json")
    assert json.loads(done.out)["parameters"].startswith("a\nSteps: 28, ")
