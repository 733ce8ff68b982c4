"""A browser that visits the page, and notes whatever the page does that it must not."""

import base64
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WAIT_MS = 120_000
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
  console.error("violation of", event.violatedDirective, event.blockedURI);
});
"""
PIXELS = """
async (image) => {
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, Array.from(data)];
}
"""
DROP = """
([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/png" }));
  return transfer;
}
"""


class Visitor:
    """A browser with storage of its own."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url, self.faults = url, list[str]()
        self.context = browser.new_context(viewport={"width": 1280, "height": 800})
        self.context.set_default_timeout(WAIT_MS)
        self.context.add_init_script(REPORT_VIOLATIONS)
        self.context.on("console", self._heard)
        self.context.on("weberror", lambda error: self.faults.append(str(error.error)))
        self.context.on("request", lambda request: self._asked(request.url))

    def open(self) -> Page:
        """The page, ready to render."""
        page = self.context.new_page()
        page.goto(self.url)
        expect(page.locator("#render")).to_be_enabled()
        return page

    def describe(
        self, page: Page, prompt: str = "1girl, hat", steps: int = 4, seed: str = "9"
    ) -> None:
        """Type a small picture."""
        for name, value in (
            ("prompt", prompt), ("negative", "lowres"), ("width", "128"), ("height", "160"),
            ("steps", str(steps)), ("seed", seed),
        ):  # fmt: skip
            page.fill(f"#{name}", value)

    def render(self, page: Page) -> str:
        """Ask for it; the id of the job."""

        def asks(response: Any) -> bool:  # noqa: ANN401
            return response.request.method == "POST" and response.url.endswith("/v1/jobs")

        with page.expect_response(asks) as asked:
            page.keyboard.press("Control+Enter")
        job: str = asked.value.json()["id"]
        return job

    def drop(self, page: Page, name: str, file: bytes) -> None:
        """Let a file fall on the page."""
        transfer = page.evaluate_handle(DROP, [name, base64.b64encode(file).decode()])
        for event in ("dragenter", "dragover", "drop"):
            page.dispatch_event("#board", event, {"dataTransfer": transfer})

    def pixels(self, image: Locator) -> NDArray[np.uint8]:
        """What an image shows, [height, width, 3]."""
        height, width, data = image.evaluate(PIXELS)
        return np.asarray(data, np.uint8).reshape(height, width, 4)[..., :3]

    def forgive(self, words: str) -> None:
        """Faults that the test has caused."""
        assert any(words in fault for fault in self.faults)
        self.faults = [fault for fault in self.faults if words not in fault]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self.url}/", f"blob:{self.url}/", "data:")):
            self.faults.append(f"asked for {url}")


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Chromium: the machine's own, or the one Playwright has installed.

    Of each test its own: while Playwright is there, its event loop runs, and no other test on this
    thread could have one.
    """
    with sync_playwright() as playwright:
        own = next(filter(None, map(shutil.which, NAMES)), None)
        path = own or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip(f"no Chromium: none of {', '.join(NAMES)} on PATH, none of Playwright's")
        expect.set_options(timeout=WAIT_MS)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[[str], Visitor]]:
    """`visit(url)`: a visitor, who at the end must have seen no fault."""
    visitors: list[Visitor] = []

    def make(url: str) -> Visitor:
        visitors.append(Visitor(browser, url))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.context.close()
    assert [fault for visitor in visitors for fault in visitor.faults] == []


@pytest.fixture
def visitor(visit: Callable[[str], Visitor], server: Any) -> Visitor:  # noqa: ANN401
    """Of the server that the tests share."""
    return visit(server.url)
