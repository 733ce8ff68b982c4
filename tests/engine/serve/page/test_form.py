"""The page's form: what fills it, what it keeps, what it says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from sakuga.engine.bundle import Bundle
from sakuga.engine.text.surround import surround

Visitor = Any  # the one of conftest.py, which tests cannot import

CARD = """
title = "A card"
source = "https://example.org/card"
family = "sdxl-tiny"
size = "224x320"
sampler = "Euler a"
steps = 11
guidance = 4.5
prefix = "best quality"
suffix = "end"
negative_prompt = "lowres"
licence = { name = "A licence", meaning = "Anything goes." }
tags = [{ group = "all", meaning = "Any.", tags = [{ tag = "best quality" }, { tag = "old" }] }]
"""

WORDS = """
async ([prompt, prefix, suffix, rule]) => {
  const { withWords } = await import("/page/words.js");
  return withWords(prompt, { prefix, suffix }, rule);
}
"""


def file_of(client: httpx.Client, job: str) -> bytes:
    return client.get(f"/v1/jobs/{job}/pictures/0").raise_for_status().content


@pytest.mark.slow
def test_shapes_presets_and_what_a_reload_keeps(visitor: Visitor) -> None:
    page = visitor.open()
    expect(page.locator(".shape")).to_have_count(9)
    assert [page.input_value(f"#{name}") for name in ("steps", "guidance", "sampler")] == [
        "28", "7", "Euler a",
    ]  # fmt: skip
    page.get_by_label("160 × 384").check()
    assert (page.input_value("#width"), page.input_value("#height")) == ("160", "384")
    rectangle = page.locator(".shape:has(:checked) .rectangle").bounding_box()
    assert rectangle is not None and abs(rectangle["height"] / rectangle["width"] - 2.4) < 0.15
    page.get_by_role("button", name="Swap width and height").click()
    assert page.get_by_label("384 × 160").is_checked()
    page.get_by_label("Steps, roughly").fill("40")
    assert page.input_value("#steps") == "40"
    page.reload()
    expect(page.locator("#render")).to_be_enabled()
    assert page.get_by_label("384 × 160").is_checked() and page.input_value("#steps") == "40"
    page.get_by_role("button", name="Back to the preset’s settings").click()
    assert page.input_value("#steps") == "28" and page.get_by_label("256 × 256").is_checked()


@pytest.mark.slow
def test_several_bundles_and_presets(
    visit: Callable[[str], Visitor],
    serve: Any,  # noqa: ANN401
    sd15_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "card.toml").write_text(CARD)
    monkeypatch.setenv("SAKUGA_PRESETS", str(tmp_path))
    visitor = visit(serve(str(sd15_bundle.path)).url)
    page = visitor.open()
    page.fill("#guidance", "3")
    page.select_option("#preset", label="A card")
    assert [page.input_value(f"#{name}") for name in ("steps", "guidance", "negative")] == [
        "11", "3", "lowres",
    ]  # fmt: skip
    expect(page.locator("#licence")).to_have_text("Licence: A licence")
    page.fill("#prompt", "1girl")
    page.get_by_role("button", name="Put the card’s words into the prompt").click()
    assert page.input_value("#prompt") == "best quality, 1girl, end"
    page.get_by_role("button", name="Put the card’s words into the prompt").click()
    assert page.input_value("#prompt") == "best quality, 1girl, end"
    page.click("#tags summary")
    best = page.get_by_role("button", name="best quality", exact=True)
    expect(best).to_have_attribute("aria-pressed", "true")
    best.click()
    page.get_by_role("button", name="old", exact=True).click()
    assert page.input_value("#prompt") == "1girl, end, old"
    page.select_option("#bundle", "sd15-tiny")
    expect(page.locator(".shape")).to_have_count(5)
    assert [page.input_value(f"#{name}") for name in ("steps", "guidance", "width")] == [
        "28", "3", "128",
    ]  # fmt: skip
    page.fill("#steps", "2")
    visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(1)
    page.click("#grid button")
    assert "Size: 128x128" in page.inner_text("#viewer-text")
    visitor.context.close()


@pytest.mark.slow
def test_a_card_s_words_go_in_once(visitor: Visitor) -> None:
    """As the server does it with those of a bundle's own preset."""
    page = visitor.open()
    cards = (
        ("best quality, (a, b:1.2)", "end"), ("Best_Quality", "flat, end"), ("", "flat"), ("x", ""),
    )  # fmt: skip
    prompts = (
        "", "1girl", "(best_quality:1.1), 1girl, ", "1girl, b, END", "sky, a", "1girl AND sky :0.5",
        "1girl, end:-.5", "(hat:0.5)", r"lucy \(x\), hat:2 <lora:x:1>", " 1girl\nflat",
    )  # fmt: skip
    for prefix, suffix in cards:
        for prompt in prompts:
            for rule in ("a1111", "comfy"):
                found = page.evaluate(WORDS, [prompt, prefix, suffix, rule])
                assert found == surround(prompt, prefix, suffix, rule), prompt


@pytest.mark.slow
def test_a_dropped_picture_fills_the_form(
    visitor: Visitor, client: httpx.Client, until: Callable[[Callable[[], bool]], None]
) -> None:
    seed = str(2**64 - 1)  # beyond the numbers of JavaScript
    asked = client.post("/v1/jobs", json={
        "prompt": "(hat:1.2), sea", "negative_prompt": "bad", "width": 160, "height": 128,
        "steps": 5, "guidance": 4.5, "sampler": "DPM++ 2M", "schedule": "Karras", "seed": seed,
        "compat": "comfy", "ensd": 3,
    }).json()["id"]  # fmt: skip
    until(lambda: client.get(f"/v1/jobs/{asked}").json()["state"] == "done")
    file = file_of(client, asked)
    page = visitor.open()
    visitor.drop(page, "sea.png", file)
    expect(page.locator(".notice")).to_contain_text("The settings of sea.png are in the form.")
    for name, value in (
        ("prompt", "(hat:1.2), sea"), ("negative", "bad"), ("width", "160"), ("height", "128"),
        ("steps", "5"), ("guidance", "4.5"), ("sampler", "DPM++ 2M"), ("schedule", "Karras"),
        ("seed", seed), ("clip-skip", ""),
    ):  # fmt: skip
        assert page.input_value(f"#{name}") == value
    expect(page.locator("#carried .chip").first).to_have_text("Compat: comfy")
    again = visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(1)
    assert file_of(client, again) == file
    visitor.drop(page, "notes.txt", b"no picture")
    expect(page.get_by_role("alert").first).to_contain_text("Give a picture of one of these")
    visitor.forgive("422")


@pytest.mark.slow
def test_errors_are_shown_in_full(visitor: Visitor) -> None:
    page = visitor.open()
    visitor.describe(page, prompt="<lora:nobody:1>")
    render_refused(page)
    expect(page.get_by_role("alert").first).to_contain_text("nobody")
    expect(page.get_by_role("alert").first).to_contain_text("sakuga build")
    visitor.forgive("422")
    page.get_by_role("button", name="Dismiss").click()
    page.fill("#width", "130")
    page.click("#render")  # the browser says what is wrong with the number
    assert page.evaluate("() => document.querySelector('#width').validity.stepMismatch")
    expect(page.locator(".job")).to_have_count(0)


def render_refused(page: Page) -> None:
    with page.expect_response("**/v1/jobs") as asked:
        page.click("#render")
    assert asked.value.status == 422
