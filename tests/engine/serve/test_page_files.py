"""The page's files: how they are served, and that they ask nobody else."""

import re
from pathlib import Path

import httpx
import pytest

from sakuga.engine.serve import page

FOLDER = Path(page.__file__).with_name("page")
FILES = sorted(path.name for path in FOLDER.iterdir())


def url_of(name: str) -> str:
    return "/" if name == "index.html" else f"/page/{name}"


def test_every_file_is_served() -> None:
    assert {url_of(name) for name in FILES} == page.PATHS


@pytest.mark.parametrize("name", FILES)
def test_files_are_kept_and_kept_to_themselves(client: httpx.Client, name: str) -> None:
    answer = client.get(url_of(name))
    assert answer.status_code == 200 and answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy and "http" not in policy
    again = client.get(url_of(name), headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    assert again.headers["etag"] == answer.headers["etag"]
    other = client.get(url_of(name), headers={"if-none-match": '"another"'})
    assert other.status_code == 200


@pytest.mark.parametrize("name", FILES)
def test_files_name_no_other_place(name: str) -> None:
    text = (FOLDER / name).read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"https?://[\w.]+|(?<=[\"'(])//\w+", text) == []
    assert not re.search(r"innerHTML|\beval\(|<script(?! type=\"module\" src=)|\son\w+=\"", text)


def test_files_stay_readable() -> None:
    """As those in Python do."""
    lines = {name: (FOLDER / name).read_text("utf-8").splitlines() for name in FILES}
    assert max(map(len, lines.values())) <= 300
