"""Pictures that were made, and the page on a phone."""

import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

Visitor = Any  # the one of conftest.py, which tests cannot import


def file_of(client: httpx.Client, job: str) -> bytes:
    return client.get(f"/v1/jobs/{job}/pictures/0").raise_for_status().content


@pytest.mark.slow
def test_what_can_be_done_with_a_picture(visitor: Visitor, client: httpx.Client) -> None:
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visitor.open()
    visitor.describe(page, seed="")
    job = visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(1)
    file = file_of(client, job)
    visitor.describe(page, prompt="another", steps=9)
    page.click(".job .tile")
    with page.expect_download() as download:
        page.locator("#viewer").get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == file
    page.locator("#viewer").get_by_role("button", name="Copy settings").click()
    expect(page.locator("#said")).to_have_text("Copied")
    told = Image.open(io.BytesIO(file)).info["parameters"]
    assert page.evaluate("() => navigator.clipboard.readText()") == told
    page.locator("#viewer").get_by_role("button", name="Use these settings").click()
    expect(page.locator("#viewer")).to_be_hidden()
    assert page.input_value("#prompt") == "1girl, hat" and page.input_value("#steps") == "4"
    assert f"Seed: {page.input_value('#seed')}" in told
    again = visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(2)
    assert file_of(client, again) == file
    page.click("#grid li >> nth=0 >> button")
    page.locator("#viewer").get_by_role("button", name="Forget").click()
    expect(page.locator("#grid li")).to_have_count(1)


@pytest.mark.slow
def test_a_phone_needs_no_scrolling_sideways(visitor: Visitor) -> None:
    page = visitor.open()
    page.set_viewport_size({"width": 360, "height": 740})
    page.click(".count label >> nth=3")
    visitor.describe(page, prompt="1girl, " * 40, steps=20)
    for name in ("about", "more"):
        page.click(f"#{name} summary")
    visitor.render(page)
    visitor.render(page)
    expect(page.locator(".job")).to_have_count(2)
    expect(page.locator(".preview").first).to_be_visible()
    width = "() => document.documentElement.scrollWidth"
    assert page.evaluate(width) == 360
    expect(page.locator("#grid li")).to_have_count(8)
    assert page.evaluate(width) == 360
    page.click("#grid button >> nth=0")
    assert page.evaluate("() => document.querySelector('#viewer').scrollWidth") <= 360
    bar = page.locator(".go").bounding_box()
    assert bar is not None and bar["y"] + bar["height"] == 740
