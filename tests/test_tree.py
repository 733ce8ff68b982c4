"""The shape of the tree: links, sizes, and that every tool sees every file."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from mypy.main import process_options

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "sakuga"
FOLDERS = ("engine", "export", "kernels", "profiles")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

MAX_FILE_LINES = 300
MAX_BODY_LINES = 50


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_package_links_to_the_folder(folder: str) -> None:
    link = PACKAGE / folder
    assert link.is_symlink(), "git made a text file of the link: see src/README.md"
    assert link.resolve() == ROOT / folder


def test_kernels_is_no_regular_package() -> None:
    """On sys.path an `__init__.py` here would shadow the `kernels` that diffusers looks for."""
    assert not (ROOT / "kernels" / "__init__.py").exists()


def test_files_stay_readable() -> None:
    lengths = {name_of(path): len(path.read_bytes().splitlines()) for path in MODULES}
    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_function_bodies_stay_readable() -> None:
    long = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.body[0].lineno + 1
                if lines > MAX_BODY_LINES:
                    long[f"{name_of(path)}: {node.name}"] = lines
    assert long == {}


def test_mypy_checks_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """mypy reaches the folders through the package's links."""
    monkeypatch.chdir(ROOT)
    sources, _ = process_options([])
    seen = {Path(source.path).resolve() for source in sources if source.path is not None}
    assert set(MODULES) <= seen


def test_ruff_checks_every_file() -> None:
    """ruff does not follow links, so it must be run on the folders themselves."""
    shown = subprocess.run(
        [Path(sys.executable).with_name("ruff"), "check", "--show-files", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    seen = set(map(Path, shown.stdout.splitlines()))
    assert {*MODULES, *(ROOT / "tests").rglob("*.py")} <= seen


def test_pyright_checks_every_folder(tmp_path: Path) -> None:
    """pyright does not follow links either: an error put into each folder must be found."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pyright"]
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    for folder in config["include"]:
        if not folder.endswith(".py"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "planted.py").write_text('planted: int = "no"\n')
    report = subprocess.run(
        [Path(sys.executable).with_name("pyright"), "--outputjson"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {
        Path(each["file"]).parent.name for each in json.loads(report.stdout)["generalDiagnostics"]
    }
    assert found >= {*FOLDERS, "tests"}
