"""Pictures that requests begin from, sent along."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sakuga.engine.errors import PictureFileError
from sakuga.engine.image.source import Source
from sakuga.engine.jobs.cluster.pictures import anchored, carried
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Init, Mask


def test_files_travel_as_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "m.png"):
        Image.fromarray(np.full((8, 8), len(name), np.uint8)).save(tmp_path / name)
    asked = Request("a", init=Init(Source.of("a.png"), 0.5, mask=Mask(Source.of("m.png"), 2)))
    monkeypatch.chdir(tmp_path)
    there = pickle.loads(pickle.dumps(anchored(asked)))
    monkeypatch.chdir("/")
    arrived = carried(there, Path.read_bytes).init
    assert arrived is not None and arrived.mask is not None and asked.init is not None
    assert (arrived.strength, arrived.mask.blur) == (0.5, 2)
    monkeypatch.chdir(tmp_path)
    assert arrived.picture.digest == asked.init.picture.digest
    assert arrived.mask.picture.origin == (tmp_path / "m.png").read_bytes()


def test_what_needs_no_file_stays_as_it_is() -> None:
    plain = Request("a")
    drawn = Request("a", init=Init(Source.of(np.zeros((8, 8, 3), np.uint8))))
    for request in (plain, drawn):
        assert carried(anchored(request), Path.read_bytes) == request


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    asked = Request("a", init=Init(Source.of(tmp_path / "a.png")))
    with pytest.raises(PictureFileError, match=r"a\.png cannot be read"):
        carried(asked, Path.read_bytes)
