"""Options of `build` that concern plans: what they mean together, and what they end with."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.__main__ import main
from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import BuildError, UsageError
from sakuga.export import build as build_module
from sakuga.export.build import BuildOptions, build
from sakuga.export.plans import job as job_module


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answers on machines with and without one."""
    monkeypatch.setattr(job_module, "find_gpu", lambda: None)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    assert "Traceback" not in err
    return stopped.value.code, out, err


@pytest.mark.parametrize(
    "options, words",
    [
        (["--backend", "rtx", "--gpu", "sm33"], "'sm33' is no GPU target"),
        (["--gpu", "sm90"], "cannot build for sm90"),
        (["--backend", "rtx"], "no GPU here"),
        (["--backend", "rtx", "--gpu", "current"], "no GPU here"),
        (["--gpu", "any,sm89"], "stand alone"),
        (["--gpu", "sm89", "--shapes", "1000x1000"], "1000x1000 is no size that sdxl-tiny"),
        (["--gpu", "sm89", "--shapes", "tall"], "--shapes does not know 'tall'"),
        (["--gpu", "sm89", "--max-batch", "0"], "A batch of 0 pictures"),
        (["--gpu", "sm89", "--max-batch", "32"], "A batch of 32 pictures"),
        (["--gpu", "sm89", "--refit"], "built on their GPU"),
        (["--backend", "onnx", "--refit"], "--refit say"),
        (["--backend", "onnx", "--gpu", "sm89"], "--gpu say"),
        (["--shapes", "buckets", "--max-batch", "2"], "--shapes and --max-batch say"),
    ],
)
def test_wrong_usage_is_named_before_anything_is_written(
    capsys: pytest.CaptureFixture[str],
    sdxl_file: Path,
    tmp_path: Path,
    options: list[str],
    words: str,
) -> None:
    out = tmp_path / "place" / "b.sakuga"
    code, said, complaints = run(capsys, "build", sdxl_file, "--out", out, *options)
    assert (code, said) == (2, "")
    assert complaints.startswith("Error: ") and words in complaints
    assert "\nHint: " in complaints
    assert not out.parent.exists()


def test_a_library_that_is_not_there_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str],
    sdxl_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    command = ["build", sdxl_file, "--out", tmp_path / "b", "--backend", "tensorrt"]
    code, _, complaints = run(capsys, *command)
    assert code == 1
    assert "pip install 'sakuga[tensorrt]'" in complaints
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options, default, expected",
    [
        (BuildOptions(), None, "onnx"),
        (BuildOptions(), "tensorrt", "tensorrt"),
        (BuildOptions(), "rtx", "rtx"),
        (BuildOptions(gpu="sm89"), None, "rtx"),
        (BuildOptions(gpu="sm89"), "tensorrt", "rtx"),
        (BuildOptions(backend="onnx"), "rtx", "onnx"),
        (BuildOptions(shapes="buckets"), "tensorrt", "tensorrt"),
        (BuildOptions(backend="tensorrt", gpu="current"), None, "tensorrt"),
    ],
)
def test_the_backend_is_what_is_asked_for_or_suits_the_machine(
    options: BuildOptions, default: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "default_backend", lambda: default)
    assert build_module._backend(options) == expected


@pytest.mark.parametrize("options", [BuildOptions(shapes="range"), BuildOptions(max_batch=4)])
def test_options_for_plans_are_refused_where_none_are_built(
    options: BuildOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "default_backend", lambda: None)
    with pytest.raises(UsageError, match="say how plans are built"):
        build_module._backend(options)


def test_a_checkpoint_that_overflows_float16_is_refused_with_the_network(
    sdxl_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two layers whose weights fit float16 each and whose product does not."""

    def louder(name: str, values: NDArray[Any]) -> NDArray[Any]:
        loud = name.startswith("text_encoder/") and "layers.1.mlp" in name
        return values * np.float32(3000) if loud else values

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "place" / "b.sakuga"
    with pytest.raises(BuildError, match="network text_encoder overflows float16") as caught:
        build(sdxl_file, out, BuildOptions(backend="rtx", gpu="sm89"), adapt=louder)
    assert "float16 holds 65,504" in caught.value.note
    assert not out.parent.exists()
    left = {path.suffix for path in (tmp_path / "cache" / "sakuga" / "plans").iterdir()}
    assert left <= {".log"}


def test_inspect_shows_the_plans_and_their_table(
    capsys: pytest.CaptureFixture[str], rtx_bundle: Bundle
) -> None:
    code, said, _ = run(capsys, "inspect", rtx_bundle.path)
    assert code == 0
    (name,) = rtx_bundle.manifest.plans
    assert f"{name}: sides from 160 to 384, up to 4 pictures at once" in said
    assert "34 of 34" in said and "largest float16" in said
    code, said, _ = run(capsys, "inspect", rtx_bundle.path, "--json")
    assert code == 0 and '"build_report"' in said


def test_a_bundle_without_plans_has_no_table(
    capsys: pytest.CaptureFixture[str], sdxl_bundle: Bundle
) -> None:
    code, said, _ = run(capsys, "inspect", sdxl_bundle.path)
    assert code == 0
    assert "none: it runs on ONNX Runtime" in said and "largest float16" not in said
