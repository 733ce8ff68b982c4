"""Tar files for training: every picture once, the same bytes however they came about."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sakuga.engine.errors import OutputError, RenderError
from sakuga.engine.jobs.folder import claimed
from sakuga.engine.jobs.shards import write_shards

Render = Any  # the fixture


def packed(render: Render, most_bytes: int = 2000) -> dict[str, bytes]:
    """The shards of the folder, packed now."""
    with claimed(render.out) as ledger:
        paths = write_shards(render.out, ledger, most_bytes)
    assert sorted((render.out / "shards").iterdir()) == paths
    return {path.name: path.read_bytes() for path in paths}


def samples(shards: dict[str, bytes]) -> dict[str, dict[str, bytes]]:
    """As WebDataset reads them: grouped by the name up to its first dot, which must be adjacent."""
    found: dict[str, dict[str, bytes]] = {}
    for data in shards.values():
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                folder, _, name = member.name.rpartition("/")
                key, _, extension = name.partition(".")
                key = f"{folder}/{key}" if folder else key
                assert key not in found or key == list(found)[-1]
                file = tar.extractfile(member)
                assert file is not None
                found.setdefault(key, {})[extension] = file.read()
    return found


def test_every_picture_with_its_prompt_and_settings(render: Render) -> None:
    jobs = render.jobs("1girl, 緑", "1boy", "2girls", "2boys", "3girls", seed=3)
    names = dict(zip("abcde", ["v1.2 a", "more/b%", "c", "d", "e"], strict=True))
    render.painter.trouble["2boys"] = RenderError("NaN.")
    render(jobs, name_of=lambda job: names[job.id])
    shards = packed(render)
    assert list(shards) == ["00000.tar", "00001.tar"]
    found = samples(shards)
    assert list(found) == ["v1%2E2 a", "more/b%25", "c", "e"]
    first = found["v1%2E2 a"]
    assert first.keys() == {"png", "txt", "json"} and first["txt"].decode() == "1girl, 緑"
    settings = json.loads(first["json"])
    assert (settings["id"], settings["seed"], settings["steps"]) == ("a", 3, 1)
    assert settings["size"] == "16x16" and settings["parameters"].startswith("1girl, 緑\nSteps: 1")
    pixels = np.asarray(Image.open(io.BytesIO(first["png"])))
    assert np.array_equal(pixels, np.asarray(Image.open(render.out / "v1.2 a.png")))


def test_the_same_shards_whatever_happened_on_the_way(render: Render, tmp_path: Path) -> None:
    jobs = render.jobs(*"12345678", seed=3)
    render(jobs)
    whole = packed(render)
    assert len(whole) > 2
    assert packed(render) == whole
    render.out = tmp_path / "again"
    render(jobs[:5])
    assert packed(render).keys() < whole.keys()
    (render.out / "shards" / ".00000.tar.0123456789abcdef.tmp").touch()
    (render.out / "shards" / "00000.tar").unlink()
    render(jobs)
    assert packed(render) == whole
    assert packed(render, 10**9).keys() == {"00000.tar"}  # and those of the other size are gone
    render(jobs[1:])
    assert packed(render) != whole
    render(jobs)
    assert packed(render) == whole


def test_what_was_packed_is_left_alone(render: Render) -> None:
    render(render.jobs("1girl", "1boy", seed=3))
    packed(render)
    before = (render.out / "shards" / "00000.tar").stat().st_ino
    packed(render)
    assert (render.out / "shards" / "00000.tar").stat().st_ino == before


def test_a_picture_somebody_changed_is_not_packed(render: Render) -> None:
    render(render.jobs("1girl", "1boy", seed=3))
    (render.out / "b.png").write_bytes(b"retouched")
    with pytest.raises(OutputError, match=r"b\.png is no longer what was written"):
        packed(render)
    assert list((render.out / "shards").iterdir()) == []
