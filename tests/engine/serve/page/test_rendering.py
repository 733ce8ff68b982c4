"""Rendering from the page, in a real browser against a real server."""

import io
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

Visitor = Any  # the one of conftest.py, which tests cannot import

WATCH = """
() => {
  window.seen = [];
  const look = () => {
    const shown = (name) => document.querySelector(`.${name}:not([hidden])`);
    const images = [shown("preview") && "preview", shown("final") && "picture"];
    const line = document.querySelector(".line")?.textContent;
    window.seen.push(`${images.filter(Boolean).join(" and ")}; ${line}`);
  };
  new MutationObserver(look).observe(document.querySelector("#jobs"), {
    subtree: true, childList: true, characterData: true, attributes: true,
  });
}
"""
LONG = 300  # steps: seconds


def pixels_in(file: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def file_of(client: httpx.Client, job: str) -> bytes:
    return client.get(f"/v1/jobs/{job}/pictures/0").raise_for_status().content


def test_type_render_and_see_the_picture(visitor: Visitor, client: httpx.Client) -> None:
    page = visitor.open()
    page.evaluate(WATCH)
    visitor.describe(page, steps=24)
    job = visitor.render(page)
    expect(page.locator(".final")).to_be_visible()
    seen = page.evaluate("() => window.seen")
    assert any(re.match(r"preview; Step \d+ of 24 · ", each) for each in seen), seen
    assert seen[-1].startswith("preview and picture; Done in ")
    assert page.locator(".preview").evaluate("(image) => image.naturalWidth") == 128 / 8
    file = file_of(client, job)
    assert np.array_equal(visitor.pixels(page.locator(".final")), pixels_in(file))
    assert np.array_equal(visitor.pixels(page.locator("#grid img")), pixels_in(file))
    told = Image.open(io.BytesIO(file)).info["parameters"]
    assert "1girl, hat\nNegative prompt: lowres\nSteps: 24, " in told
    assert "Seed: 9, Size: 128x160" in told
    page.click("#grid button")
    assert page.inner_text("#viewer-text") == told


@pytest.mark.slow
def test_a_cancelled_job_leaves_page_and_device(visitor: Visitor, client: httpx.Client) -> None:
    page = visitor.open()
    visitor.describe(page, steps=LONG)
    job = visitor.render(page)
    expect(page.locator(".line")).to_have_text(re.compile("Step"))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".job")).to_have_count(0)
    assert client.get(f"/v1/jobs/{job}").json()["state"] == "cancelled"
    visitor.describe(page)
    visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(1)


@pytest.mark.slow
def test_a_render_goes_on_over_a_reload(visitor: Visitor, client: httpx.Client) -> None:
    page = visitor.open()
    visitor.describe(page, prompt="1girl, sea", steps=LONG)
    job = visitor.render(page)
    expect(page.locator(".preview")).to_be_visible()
    page.reload()
    expect(page.locator(".job .prompt")).to_have_text("1girl, sea")
    expect(page.locator(".line")).to_have_text(re.compile(rf"Step \d+ of {LONG}"))
    assert page.input_value("#prompt") == "1girl, sea" and page.input_value("#seed") == "9"
    expect(page.locator("#grid li")).to_have_count(1)
    page.reload()
    expect(page.locator("#grid li")).to_have_count(1)
    assert np.array_equal(
        visitor.pixels(page.locator("#grid img")), pixels_in(file_of(client, job))
    )
    expect(page.locator(".job")).to_have_count(0)


@pytest.mark.slow
def test_several_jobs_at_once(visitor: Visitor) -> None:
    page = visitor.open()
    page.click(".count label >> nth=1")
    for seed in (1, 2, 3, 4):
        visitor.describe(page, steps=40, seed=str(10 * seed))
        visitor.render(page)
    expect(page.locator(".job")).to_have_count(4)
    expect(page.locator(".job.large")).to_have_count(1)
    expect(page.locator(".line >> nth=3")).to_have_text(re.compile(r"In line, \d+ pictures ahead"))
    expect(page.locator("#grid li")).to_have_count(8)
    expect(page.locator(".job")).to_have_count(1)
    page.click("#grid li >> nth=0 >> button")
    assert "Seed: 41" in page.inner_text("#viewer-text")
    page.keyboard.press("ArrowRight")
    assert "Seed: 40" in page.inner_text("#viewer-text")
    page.keyboard.press("Escape")
    page.click("#again")
    assert page.input_value("#seed") == "41"
    page.click("#dice")
    assert page.input_value("#seed") == ""


@pytest.mark.slow
def test_a_server_with_a_token_and_one_that_is_started_anew(
    visit: Callable[[str], Visitor],
    serve: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    token = "an-example-of-a-token"
    (tmp_path / "token").write_text(token)
    (tmp_path / "token").chmod(0o600)
    server = serve("--token", str(tmp_path / "token"))
    visitor = visit(server.url)
    page = visitor.context.new_page()
    page.goto(server.url)
    for text in ("not-the-token", token):
        expect(page.locator("#token")).to_be_visible()
        page.fill("#token", text)
        page.keyboard.press("Enter")
        if text != token:
            expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    expect(page.locator("#token-dialog")).to_be_hidden()
    expect(page.locator("#render")).to_be_enabled()
    visitor.describe(page)
    visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(1)
    page.reload()
    expect(page.locator("#render")).to_be_enabled()
    visitor.describe(page, steps=1000)
    visitor.render(page)
    expect(page.locator(".line")).to_have_text(re.compile("Step"))
    visitor.forgive("401")
    server.process.kill()
    server.process.wait()
    expect(page.locator(".line")).to_have_text(re.compile("does not answer"))
    server.process = subprocess.Popen(server.process.args, stderr=subprocess.DEVNULL)
    expect(page.get_by_role("alert")).to_contain_text("knows this job no longer")
    visitor.forgive("Failed to load resource")
