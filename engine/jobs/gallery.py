"""A page of all pictures in a folder, which a browser opens from the disk: nothing is served."""

import html
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from string import Template

from sakuga.engine.image.infotext_parser import split_parameters
from sakuga.engine.jobs.records import Done
from sakuga.engine.platform import new_file

_KEYS = ("Sampler", "Schedule type", "Steps", "CFG scale")
# In a script that holds JSON these could end it, begin a comment, or end a line of old JavaScript.
_ESCAPES = {each: f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}


def write_gallery(path: Path, title: str, pictures: Iterable[Done]) -> None:
    """Write the page for pictures that lie beside it, however many: they are taken one by one.

    Whatever stands in their texts stays text. The page asks for nothing but the pictures, and says
    so in a policy that browsers hold it to. Raises OSError.
    """
    style, script = _part("gallery.css"), _part("gallery.js")
    before, after = _page(title, style, script)
    with new_file(path) as file:
        file.write(before.encode())
        for text in _data(pictures):
            file.write(text.encode())
        file.write(after.encode())


def _page(title: str, style: str, script: str) -> tuple[str, str]:
    """What stands before the data and behind it."""
    policy = (
        f"default-src 'none'; img-src 'self' file:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    page = Template(_part("gallery.html")).substitute(
        policy=policy, title=html.escape(title), style=style, data="\0", script=script
    )
    before, _, after = page.partition("\0")
    return before, after


def _data(pictures: Iterable[Done]) -> Iterator[str]:
    separator = "[\n"
    for picture in pictures:
        yield separator + _escaped(json.dumps(_row(picture), ensure_ascii=False))
        separator = ",\n"
    yield "\n]" if separator == ",\n" else "[]"


def _row(picture: Done) -> list[str | int]:
    """What `gallery.js` knows a picture by."""
    text, found = picture.parameters, split_parameters(picture.parameters)
    assert found is not None, "the engine wrote it"
    values = (found.values.get(key, "") for key in _KEYS)
    length = _length(found.prompt)
    return [picture.path, text, length, picture.id, picture.seed, picture.pixels, *values]


def _length(text: str) -> int:
    """As JavaScript counts: in units of UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _escaped(text: str) -> str:
    return text.translate({ord(each): escape for each, escape in _ESCAPES.items()})


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _part(name: str) -> str:
    return (files("sakuga.engine.jobs") / "page" / name).read_text(encoding="utf-8").strip()
