"""The page of all pictures in a real browser, opened from the disk."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from PIL import Image

from sakuga.engine.image.infotext import Infotext, write_infotext
from sakuga.engine.jobs.gallery import write_gallery
from sakuga.engine.jobs.records import Done
from sakuga.profiles.buckets import Size

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or os.name != "posix", reason="needs chromium"),
]
HOSTILE = "</script><img src=x onerror=\"document.title='hurt'\"> \"'&<b>"
# Chromium reads from the file descriptor 3 and writes to 4.
START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
    "os.execv(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """Chromium without a window, spoken to through two pipes."""

    def __init__(self, folder: Path) -> None:
        theirs, self._to = os.pipe()
        self._from, other = os.pipe()
        options = "--headless --no-sandbox --disable-gpu --remote-debugging-pipe --no-first-run"
        command = [str(CHROMIUM), *options.split(), f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, str(theirs), str(other), *command],
            pass_fds=(theirs, other),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(other)
        self._unread, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []

    def open(self, address: str) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=address)
        self.until("document.readyState == 'complete'")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def ask(self, expression: str) -> Any:  # noqa: ANN401 (any JSON value)
        found = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        end = monotonic() + 20
        while not self.ask(condition):
            assert monotonic() < end, condition
            sleep(0.05)

    def type(self, id: str, text: str) -> None:
        self.ask(
            f"(() => {{ const box = document.getElementById({json.dumps(id)});"
            f" box.value = {json.dumps(text)};"
            " box.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            data = os.read(self._from, 1 << 20)
            assert data, "the browser is gone"
            self._unread += data
        message, _, self._unread = self._unread.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


def picture(folder: Path, id: str, prompt: str, seed: int, sampler: str = "Euler a") -> Done:
    path = f"more {seed % 2}/{id}#%.png"
    (folder / path).parent.mkdir(exist_ok=True)
    Image.new("RGB", (32, 48), (seed * 37 % 256, seed * 101 % 256, 120)).save(folder / path)
    info = Infotext(
        prompt=prompt, steps=28, sampler=sampler, guidance=7, seed=seed, size=Size(32, 48)
    )
    return Done(id, path, str(seed), "32x48", write_infotext(info), 1, "")


SHOWN = "document.querySelectorAll('figure').length"
COUNT = "document.getElementById('count').textContent"


def test_filter_and_copy(browser: Browser, tmp_path: Path) -> None:
    pictures = [picture(tmp_path, f"cat {i}", f"1girl, cat {i}, Night", i) for i in range(200)]
    pictures.append(picture(tmp_path, "odd", HOSTILE, 2**64 - 1, "DPM++ 2M"))
    write_gallery(tmp_path / "gallery.html", f"A {HOSTILE}", pictures)
    browser.open((tmp_path / "gallery.html").as_uri())
    assert browser.ask("document.title") == f"A {HOSTILE}"
    assert browser.ask(COUNT).startswith("201 of 201 pictures")
    browser.until(f"{SHOWN} >= 120")
    browser.until("[...document.images].slice(0, 4).every((one) => one.naturalWidth == 32)")
    browser.type("words", "night, CAT -7")
    assert browser.ask(COUNT).startswith("162 of 201")
    browser.type("words", "")
    browser.type("seed", str(2**64 - 1))
    assert browser.ask(SHOWN) == 1
    assert browser.ask("document.querySelector('figure button').title") == pictures[-1].parameters
    browser.type("seed", "")
    assert browser.ask("document.querySelectorAll('select').length") == 1
    browser.ask(
        "(() => { const menu = document.querySelector('select'); menu.value = '0';"
        " menu.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    assert browser.ask("document.querySelector('figcaption span').title") == "odd"
    browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    browser.call("Page.bringToFront")
    browser.ask("document.querySelector('figure button').click()")
    browser.until("!document.getElementById('told').hidden")
    assert browser.ask("document.getElementById('told').textContent").startswith("Copied the")
    assert browser.ask("navigator.clipboard.readText()") == pictures[-1].parameters


def test_nothing_is_asked_for_but_the_pictures(browser: Browser, tmp_path: Path) -> None:
    pictures = [picture(tmp_path, f"{HOSTILE.replace('/', '')} {i}", HOSTILE, i) for i in range(5)]
    write_gallery(tmp_path / "gallery.html", "Gallery", pictures)
    browser.open((tmp_path / "gallery.html").as_uri())
    browser.until("[...document.images].every((one) => one.complete && one.naturalWidth == 32)")
    assert browser.ask("document.images.length") == 5
    assert browser.ask("document.title") == "Gallery"
    addresses = {
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert len(addresses) == 6 and all(url.startswith("file:///") for url in addresses)
    complaints = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    assert [event for event in browser.events if event["method"] in complaints] == []


def test_ten_thousand_pictures(browser: Browser, tmp_path: Path) -> None:
    one = picture(tmp_path, "one", "1girl", 1)
    pictures = [
        one._replace(id=f"p{i}", parameters=one.parameters.replace("1girl", f"1girl, number {i}"))
        for i in range(10_000)
    ]
    write_gallery(tmp_path / "gallery.html", "Gallery", pictures)
    browser.open((tmp_path / "gallery.html").as_uri())
    assert browser.ask(COUNT).startswith("10000 of 10000")
    assert browser.ask(SHOWN) < 1000
    milliseconds = browser.ask(
        "(() => { const start = performance.now();"
        " document.getElementById('words').value = 'number 77'; filter();"
        " return performance.now() - start; })()"
    )
    expected = sum("77" in str(i) for i in range(10_000))
    assert browser.ask(COUNT).startswith(f"{expected} of 10000")
    assert milliseconds < 1000
    browser.type("words", "")
    for _ in range(5):
        before = browser.ask(SHOWN)
        browser.ask("window.scrollTo(0, document.body.scrollHeight)")
        browser.until(f"{SHOWN} > {before}")
