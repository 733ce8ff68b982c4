"""`sakuga render --jobs`."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from sakuga.engine.bundle import Bundle

Run = Any  # the fixture


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
    done.check_error()
    assert done.code == 2 and "--steps, --compat" in done.err


def test_jobs_need_a_folder(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"prompt": "1girl", "steps": 1, "id": "x"}')
    command = ["render", sdxl_bundle.path, "--jobs", jobs, "--out"]
    done = run(*command, tmp_path / "out.png")
    done.check_error()
    assert done.code == 2 and "renders many" in done.err
    done = run(*command, tmp_path / "out", "--format", "jpeg", "--quality", 80)
    assert done.out == f"{tmp_path / 'out' / 'x.jpg'}\n"


def test_wrong_jobs_render_nothing(run: Run, sdxl_bundle: Bundle, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"prompt": "fine", "steps": 1}\n{"prompt": "wide", "width": 5000}\n')
    done = run("render", sdxl_bundle.path, "--jobs", jobs, "--out", tmp_path / "out")
    done.check_error()
    assert done.code == 2 and not (tmp_path / "out").exists()
    assert f"{jobs}, line 2 (00002): " in done.err
    jobs.write_text('{"prompt": "fine", "steps": 1}\n{"prompt": "' + "cat " * 300 + '"}\n')
    done = run("render", sdxl_bundle.path, "--jobs", jobs, "--out", tmp_path / "out")
    done.check_error()
    assert done.code == 2 and not (tmp_path / "out").exists()
    assert "line 2" in done.err and "too long" in done.err
    done = run("render", sdxl_bundle.path, "--jobs", tmp_path / "none", "--out", tmp_path / "out")
    done.check_error()
    assert done.code == 2
