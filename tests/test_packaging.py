"""The package as a stranger gets it: source archive, wheel, clean environment."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT = ("engine", "export", "kernels", "profiles", "src", "pyproject.toml", "README.md", "LICENSE")
DATA = {
    "sakuga/py.typed",
    "sakuga/engine/refine/data/demo-face.onnx",
    "sakuga/engine/serve/page/index.html",
    "sakuga/engine/serve/page/page.js",
    "sakuga/engine/text/data/clip_merges.txt.gz",
    "sakuga/export/demo/demo.safetensors",
    "sakuga/export/demo/jobs.jsonl",
    "sakuga/export/graphs/versions.json",
    "sakuga/profiles/presets/animagine-xl-3.1.toml",
    "sakuga/profiles/tags.toml",
}
IMPORT_EVERYTHING = """
import importlib, json, pathlib, pkgutil, sakuga
from sakuga.engine.text.vocabulary import clip_merges
from sakuga.export.graph_files import read_graph
from sakuga.profiles.families import FAMILIES
from sakuga.profiles.presets import all_presets
names = [m.name for m in pkgutil.walk_packages(sakuga.__path__, "sakuga.")]
needs_torch = {"trace", "verify", "reference", "reference_pipeline", "simplify"}
upscaler = {f"sakuga.export.upscaler.{each}" for each in ("network", "traceable")}
for name in names:
    last = name.rpartition(".")[2]
    if last not in needs_torch and name not in upscaler and ".training" not in name:
        importlib.import_module(name)
import sakuga.kernels.denoise_step
assert len(clip_merges()) > 48000
print(json.dumps({
    "root": sakuga.__path__[0],
    "presets": len(all_presets()),
    "nodes": [len(read_graph(family, "unet").graph.node) for family in FAMILIES],
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command outside the repository and give its output."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources(folder: str, pattern: str) -> set[str]:
    """Files of one of the four folders, under the names they have in a wheel."""
    return {
        f"sakuga/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / folder).rglob(pattern)
    }


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, from a copy: a stale `build/` would put deleted files into the wheel."""
    folder = tmp_path_factory.mktemp("sdist")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in BUILT:
        source, target = ROOT / name, folder / "tree" / name
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=ignore)
        else:
            shutil.copy2(source, target)
    build = "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", build, folder, cwd=folder / "tree")
    (archive,) = folder.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    build = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    run(sys.executable, "-c", build, folder, cwd=tree)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_every_source_and_all_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("engine", "export", "kernels", "profiles"):
        sources = {
            f"sakuga/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / folder).rglob("*.py")
        }
        assert sources == {
            n for n in names if n.startswith(f"sakuga/{folder}/") and n[-3:] == ".py"
        }
    graphs = (ROOT / "export" / "graphs").rglob("*.xz")
    assert {f"sakuga/{path.relative_to(ROOT).as_posix()}" for path in graphs} <= names
    assert names >= DATA
    assert not [n for n in names if n.startswith(("tests/", "bench/"))]


@pytest.mark.slow
def test_the_wheel_carries_its_licences(wheel: Path) -> None:
    licences = [n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/licenses/" in n]
    assert {Path(name).name for name in licences} == {"LICENSE", "LICENSE-clip-vocabulary"}


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """With the base packages alone: every module but the maintainers' imports, all data is read."""
    venv.create(tmp_path / "venv", with_pip=True)
    (python,) = [*(tmp_path / "venv").glob("bin/python"), *(tmp_path / "venv").glob("*/python.exe")]
    constraints = str(ROOT / "constraints.txt")
    run(python, "-m", "pip", "install", "-q", "-c", constraints, wheel, cwd=tmp_path)
    facts = json.loads(run(python, "-P", "-c", IMPORT_EVERYTHING, cwd=tmp_path))
    assert Path(facts["root"]).is_relative_to(tmp_path)
    assert facts["presets"] == len(list((ROOT / "profiles" / "presets").glob("*.toml")))
    assert min(facts["nodes"]) > 500
    assert "build" in run(python, "-P", "-m", "sakuga", "--help", cwd=tmp_path)
