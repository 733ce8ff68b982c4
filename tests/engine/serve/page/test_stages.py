"""Pictures to begin from, a hires pass and the detailer on the page."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hand_made_upscalers import scene
from PIL import Image
from playwright.sync_api import expect

from sakuga.engine.image.infotext_parser import parse_infotext

Visitor = Any  # the one of conftest.py, which tests cannot import


def png(height: int, width: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(scene(height, width)).save(file, "PNG")
    return file.getvalue()


def made(client: httpx.Client, job: str) -> Image.Image:
    file = client.get(f"/v1/jobs/{job}/pictures/0").raise_for_status().content
    return Image.open(io.BytesIO(file))


@pytest.mark.slow
def test_a_dropped_picture_is_begun_from(visitor: Visitor, client: httpx.Client) -> None:
    page = visitor.open()
    visitor.drop(page, "photo.png", png(320, 256))
    expect(page.get_by_role("alert")).to_contain_text("no settings")
    visitor.forgive("422")
    page.get_by_role("button", name="Begin from this picture").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("#init-image")).to_be_visible()
    assert (page.input_value("#width"), page.input_value("#height")) == ("224", "288")
    visitor.describe(page)
    page.get_by_label("How much of it is made anew, roughly").fill("0.5")
    job = visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(1)
    told = parse_infotext(made(client, job).info["parameters"]).extra
    assert told["Denoising strength"] == "0.5" and len(told["Init image hash"]) == 10
    assert page.evaluate("() => JSON.stringify({ ...localStorage }).length") < 20_000
    page.click("#grid button")
    page.locator("#viewer").get_by_role("button", name="Begin from it").click()
    expect(page.locator("#init-image")).to_be_visible()
    assert (page.input_value("#width"), page.input_value("#height")) == ("128", "160")
    page.get_by_role("button", name="Leave it out").click()
    expect(page.locator("#init")).to_be_hidden()
    again = visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(2)
    assert "Init image hash" not in made(client, again).info["parameters"]


@pytest.mark.slow
def test_a_second_pass_and_details(
    visitor: Visitor, client: httpx.Client, until: Callable[[Callable[[], bool]], None]
) -> None:
    page = visitor.open()
    visitor.describe(page)
    page.click("#stages summary")
    page.get_by_label("Make it larger in a second pass").check()
    page.fill("#hires-scale", "1.25")
    page.select_option("#hires-upscaler", "sharp")
    page.fill("#hires-strength", "0.5")
    page.get_by_label("Paint what is found anew").check()
    assert page.input_value("#detail-model") == "face_yolov8n"
    page.reload()
    expect(page.locator("#render")).to_be_enabled()
    page.click("#stages summary")
    assert page.input_value("#hires-scale") == "1.25" and page.is_checked("#detail")
    job = visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(1)
    picture = made(client, job)
    told = parse_infotext(picture.info["parameters"]).extra
    assert told["Hires upscaler"] == "sharp" and told["ADetailer model"] == "face_yolov8n"
    assert picture.size == (160, 200)
    page.get_by_label("Make it larger in a second pass").uncheck()
    page.get_by_label("Paint what is found anew").uncheck()
    page.click("#grid button")
    page.locator("#viewer").get_by_role("button", name="Use these settings").click()
    assert page.is_checked("#hires") and page.input_value("#hires-strength") == "0.5"
    again = visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(2)
    assert made(client, again).tobytes() == picture.tobytes()


@pytest.mark.slow
def test_what_the_form_has_no_field_for_is_kept(visitor: Visitor, client: httpx.Client) -> None:
    stages = {
        "hires": {"size": "160x192", "upscaler": "sharp", "strength": 0.5, "steps": 2},
        "detail": [{"model": "face_yolov8n", "top_k": 1}, {"model": "face", "strength": 0.3}],
        "upscale": {"upscaler": "lanczos", "scale": 1.5},
    }
    small = {"prompt": "hat", "width": 128, "height": 160, "steps": 3, "seed": 9}
    asked = client.post("/v1/jobs", json=small | stages).json()["id"]
    client.get(f"/v1/jobs/{asked}/events")
    file = client.get(f"/v1/jobs/{asked}/pictures/0").raise_for_status().content
    page = visitor.open()
    visitor.drop(page, "a.png", file)
    expect(page.locator("#stages-more")).to_contain_text("1 more of the detailer")
    expect(page.locator("#carried .chip")).to_contain_text(["Upscaler: lanczos, 1.5"])
    again = visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(1)
    assert client.get(f"/v1/jobs/{again}/pictures/0").content == file


@pytest.mark.slow
def test_on_a_phone(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.open()
    page.set_viewport_size({"width": 360, "height": 740})
    (tmp_path / "a.png").write_bytes(png(160, 256))
    page.click("#init-part summary")
    page.set_input_files("#init-file", str(tmp_path / "a.png"))
    expect(page.locator("#init-image")).to_be_visible()
    page.click("#stages summary")
    page.get_by_label("Make it larger in a second pass").check()
    page.get_by_label("Paint what is found anew").check()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    visitor.describe(page)
    visitor.render(page)
    expect(page.locator("#grid li")).to_have_count(1)
