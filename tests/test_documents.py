"""What the documents say is true: links lead somewhere, examples run."""

import re
import shutil
from pathlib import Path

import pytest

from sakuga.engine.bundle import Bundle

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "src" / "README.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8"))
    for link in links:
        assert (document.parent / link).exists(), link


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)


def test_the_python_examples_run(
    sdxl_bundle: Bundle,
    sdxl_file: Path,
    plans_at_hand: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In order and in one place, as somebody would paste them."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(sdxl_bundle.path, tmp_path / "build" / "demo.sakuga")
    shutil.copy(sdxl_file, tmp_path / "animagine-xl-3.1.safetensors")
    blocks = python_blocks()
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "out.png").is_file()
    assert (tmp_path / "animagine.sakuga" / "manifest.json").is_file()


def test_the_source_line_the_readme_names_exists() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for path in re.findall(r"`((?:engine|export|kernels|profiles)/[\w/]+\.py)`", text):
        assert (ROOT / path).is_file(), path
