"""The page of all pictures: what stands in it stays text, and it finds what it is asked for."""

import json
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.image.infotext import Infotext, write_infotext
from sakuga.engine.jobs.gallery import write_gallery
from sakuga.engine.jobs.records import Done
from sakuga.profiles.buckets import Size

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)> ' &quot; &lt;b&gt;",
    "${alert(1)} {{7*7}} \\u003cscript\\u003e \\",
    "a\u2028b\u2029c\x7f\x00d\ne\tf",
    "javascript:alert(1)",
    "緑の髪 👩‍👩‍👧‍👦, (tag:1.2)",
    "1girl\nNegative prompt: not one",
    "",
]


def done(prompt: str, number: int = 0, **settings: object) -> Done:
    """A picture of a prompt, which is also its id and its file."""
    values: dict[str, object] = {"steps": 28, "sampler": "Euler a", "guidance": 7.0, "seed": number}
    text = write_infotext(Infotext(prompt=prompt, size=Size(64, 96), **values | settings))  # type: ignore[arg-type]
    return Done(prompt, f"{prompt}.png", str(number), "64x96", text, 1, "")


class Page(HTMLParser):
    """Every tag with its attributes, and what stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.contents: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style", "title", "h1"):
            self.contents.append((self.tags[-1][0], data))

    def of(self, tag: str) -> list[str]:
        """What stands in each of a kind of tag."""
        return [text.strip() for name, text in self.contents if name == tag and text.strip()]


def written(folder: Path, title: str, pictures: list[Done]) -> str:
    write_gallery(folder / "gallery.html", title, pictures)
    return (folder / "gallery.html").read_text("utf-8")


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    plain = Page(written(tmp_path, "plain", []))
    pictures = [done(text, number) for number, text in enumerate(HOSTILE)]
    page = Page(written(tmp_path, HOSTILE[0], pictures))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.of("title") == page.of("h1") == [HOSTILE[0]]
    data, script = page.of("script")
    assert [script] == plain.of("script")[1:]
    assert not set(data) & set("<>&\u2028\u2029")
    for row, picture in zip(json.loads(data), pictures, strict=True):
        assert row[:2] == [picture.path, picture.parameters]
        start = row[1].encode("utf-16-le")[: 2 * row[2]].decode("utf-16-le")
        assert start == picture.id, "the prompt, as long as JavaScript counts it"
        assert row[3:] == [picture.id, picture.seed, "64x96", "Euler a", "Automatic", "28", "7"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3))
def test_any_texts_come_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp()
    page = Page(written(folder, "any", [done(text) for text in texts]))
    assert [row[3] for row in json.loads(page.of("script")[0])] == texts


def test_the_policy_allows_this_page_alone(tmp_path: Path) -> None:
    page = Page(written(tmp_path, "a", [done("1girl")]))
    (policy,) = (
        attributes["content"]
        for tag, attributes in page.tags
        if tag == "meta" and "http-equiv" in attributes
    )
    assert policy is not None and policy.startswith("default-src 'none'; img-src 'self' file:;")
    for name, text in (("script-src", page.of("script")[1]), ("style-src", page.of("style")[0])):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert not any(
        name in ("src", "href", "style") or name.startswith("on")
        for _, attributes in page.tags
        for name in attributes
    )
