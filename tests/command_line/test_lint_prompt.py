"""`sakuga lint-prompt` as people use it: what it prints, where, with which exit code."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from safetensors.numpy import save_file

from sakuga.__main__ import main
from sakuga.engine.bundle import Bundle

ANIMAGINE = ["--preset", "animagine-xl-3.1"]
PREFIX = "masterpiece, best quality, very aesthetic, absurdres"


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def lint(capsys: pytest.CaptureFixture[str]) -> Run:
    """`lint(prompt, "--fix")`: the verb, in this process."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stopped:
            main(["lint-prompt", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Outcome(stopped.value.code, out, err)

    return run


def test_findings_and_lengths(lint: Run) -> None:
    done = lint(*ANIMAGINE, "smile, 1girl, high quality", "--negative", "(lowres")
    assert done.code == 1
    assert done.out.splitlines() == [
        "prompt:8: order: '1girl' stands behind 'smile'; the card of Animagine XL 3.1 puts "
        "character count before everything else.",
        "prompt:15: retired-tag: 'high quality' is 'great quality' in the card of Animagine XL "
        "3.1.",
        "negative prompt:1: brackets: A '(' is never closed and weighs all that follows by 1.1.",
    ]
    assert done.err.splitlines() == [
        "Prompt: 18 tokens, 1 chunk of 75. Negative prompt: 2 tokens, 1 chunk of 75.",
        "3 findings, 2 of which --fix mends.",
    ]


def test_a_clean_prompt(lint: Run) -> None:
    done = lint(*ANIMAGINE, "1girl, smile")
    assert done == Outcome(0, "", "Prompt: 15 tokens, 1 chunk of 75.\nNothing found.\n")
    done = lint("1girl, smile")
    assert done.code == 0 and "for a card, give a bundle or --preset NAME" in done.err


def test_a_fixed_prompt(lint: Run) -> None:
    done = lint(*ANIMAGINE, "smile, 1girl, high quality", "--fix")
    assert (done.code, done.out) == (0, f"{PREFIX}, 1girl, smile, great quality\n")
    assert done.err.splitlines() == [
        "prompt: wrote 'great quality' for 'high quality'",
        "prompt: put '1girl, smile, great quality' in the card's order",
        f"prompt: put '{PREFIX}' before it",
    ]
    done = lint("--preset", "baxl-v2", "1girl, (x", "--negative", "blurry, lowres", "--fix")
    assert (done.code, done.out) == (1, "1girl, (x\nNegative prompt: lowres\n")
    assert "Not added, for it would change how the prompt is read: flat_coating" in done.err
    assert "Left: prompt:8: brackets: A '(' is never closed" in done.err
    done = lint(*ANIMAGINE, "smile, 1girl", "--fix", "--no-prefix")
    assert done.out == "1girl, smile\n"


def test_json(lint: Run) -> None:
    done = lint(*ANIMAGINE, "1girl, late", "--negative", "x, x", "--json")
    facts = json.loads(done.out)
    assert done.code == 1 and done.err == ""
    assert facts["findings"][0] == {
        "code": "retired-tag",
        "where": "prompt",
        "start": 7,
        "stop": 11,
        "text": "late",
        "sentence": "'late' is 'recent' in the card of Animagine XL 3.1.",
        "replacement": "recent",
        "fixable": True,
    }
    assert facts["findings"][1]["text"] == "x"
    assert facts["lengths"]["negative prompt"] == {"tokens": 3, "chunks": 1, "cut": 0}
    fixed = json.loads(lint(*ANIMAGINE, "1girl, late, score_9", "--fix", "--json").out)
    assert fixed["prompt"] == f"{PREFIX}, 1girl, recent, score_9"
    assert fixed["negative_prompt"] is None and fixed["undone"] == []
    assert [each["code"] for each in fixed["findings"]] == ["foreign-tag"]
    assert len(fixed["changes"]) == 2


def test_tools_and_steps(lint: Run) -> None:
    assert lint("[x:40]", "--steps", 50).code == 0
    assert "'x' never appears in 28 steps" in lint("[x:40]").out
    assert "never appears in 25 steps" in lint("--preset", "baxl-v3", "[x:26]").out
    assert "ComfyUI knows no square brackets" in lint("[x]", "--compat", "comfy").out
    done = lint("hat cat " * 50, "--compat", "Diffusers")
    assert "25 of 100 tokens are not read, from" in done.out
    assert "Prompt: 100 tokens, 25 of them not read, 1 chunk of 75." in done.err
    assert "length" in lint("--preset", "baxl-v3", "1girl" + ", a cat" * 30).out
    assert "refused: The prompt is too long" in lint("cat " * 300).out


def test_a_bundle_s_own_card_and_loras(lint: Run, sdxl_bundle: Bundle) -> None:
    """Of the bundle only the manifest and the tokenizer are read."""
    done = lint(sdxl_bundle.path, "high quality, <lora:x:1>")
    assert done.code == 1 and "not built with the LoRA x at 1" in done.out
    wrong = lint(sdxl_bundle.path, "a", *ANIMAGINE)
    assert wrong.code == 2 and "does not fit this model" in wrong.err
    assert lint(sdxl_bundle.path, "a", "--preset", "none").code == 0


def test_embeddings(lint: Run, tmp_path: Path) -> None:
    vectors = {"clip_l": np.zeros((9, 768), np.float32), "clip_g": np.zeros((9, 1280), np.float32)}
    save_file(vectors, tmp_path / "rough.safetensors")
    done = lint("--preset", "sdxl", "rough, cat", "--embeddings", tmp_path)
    assert done.code == 0 and "11 tokens" in done.err
    without = lint("rough", "--embeddings", tmp_path)
    assert without.code == 2 and "needs to know for which model" in without.err


def test_job_files(lint: Run, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    lines = [
        {"prompt": "1girl, smile", "id": "fine"},
        {"prompt": "1girl, late", "count": 3},
        {"prompt": "[x]", "compat": "comfy", "negative_prompt": "(y"},
        {"prompt": "late, 1girl", "prefix": "none", "steps": 3, "emphasis": "None"},
    ]
    jobs.write_text("\n".join(map(json.dumps, lines)))
    done = lint(*ANIMAGINE, "--jobs", jobs)
    assert done.code == 1 and done.err == "3 of 4 jobs have findings.\n"
    said = done.out.splitlines()
    assert [line.partition(": ")[0] for line in said] == [
        f"{jobs}:2 (00002-0001)",
        *[f"{jobs}:3 (00003)"] * 2,
        *[f"{jobs}:4 (00004)"] * 2,
    ]
    assert "prompt:8: retired-tag" in said[0]
    facts = [json.loads(line) for line in lint("--jobs", jobs, "--json").out.splitlines()]
    assert [(each["line"], each["id"]) for each in facts] == [(3, "00003")]
    assert lint("--jobs", jobs, "--fix").code == 2
    assert lint("--jobs", jobs, "a bundle", "a prompt").code == 2
    jobs.write_text('{"prompt": "a"}')
    assert lint("--jobs", jobs).code == 0


def test_wrong_calls(lint: Run, sdxl_bundle: Bundle) -> None:
    for words in ([], ["a", "b", "c"], [sdxl_bundle.path]):
        done = lint(*words)
        assert done.code == 2 and done.err.startswith("Error: ") and "Hint: " in done.err
    assert "no preset called" in lint("--preset", "baxl", "a").err
    assert lint("no-such-bundle", "a").code == 1
    assert "too long" in lint("x" * 5000 + "\0").out  # a prompt that could be no path


def test_rendering_says_it_in_one_line(
    capsys: pytest.CaptureFixture[str], sdxl_bundle: Bundle, tmp_path: Path
) -> None:
    command = ["render", str(sdxl_bundle.path), "{hat}, lucy (x)", "--steps", "1", "--count", "2"]
    with pytest.raises(SystemExit):
        main([*command, "--width", "128", "--height", "128", "--out", str(tmp_path), "--json"])
    out, err = capsys.readouterr()
    note = (
        "Prompt: '{hat}' is read as words: curly brackets are NovelAI's. "
        "(1 more: sakuga lint-prompt)"
    )
    assert [json.loads(line)["notes"] for line in out.splitlines()] == [[note], [note]]
    assert err.count(note) == 1


def test_it_loads_no_network_and_no_exporter() -> None:
    code = (
        "import sys; from sakuga.__main__ import main\n"
        "try:\n    main(['lint-prompt', '--preset', 'animagine-xl-3.1', '1girl, late'])\n"
        "except SystemExit as end:\n    assert end.code == 1\n"
        "assert not {'onnxruntime', 'onnx', 'torch'} & sys.modules.keys()\n"
        "assert not [name for name in sys.modules if name.startswith('sakuga.export')]\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert "retired-tag" in done.stdout
