"""`/v1/bundles`: what the page is filled with is what a job without settings gets."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.runtime.request import Request
from sakuga.engine.sampling.samplers import SAMPLERS
from sakuga.engine.serve.app import AppOptions, create_app
from sakuga.engine.serve.keeper import Patience
from sakuga.engine.serve.messages import Opening
from sakuga.engine.serve.run import DEFAULT_LIMITS
from sakuga.engine.serve.served import Served, ServedBundle, serve_bundle

PRESET = """
title = "A card"
source = "https://example.org/card"
family = "sdxl-tiny"
size = "224x320"
sizes = ["224x320", "256x256", "288x288"]
sampler = "DPM++ 2M Karras"
steps = 11
guidance = 4.5
guidance_range = [4.0, 5.0]
clip_skip = 2
prefix = "best quality"
negative_prompt = "lowres"

[licence]
name = "A licence"
meaning = "Anything goes."

[[tags]]
group = "quality"
meaning = "Best first."
tags = [{ tag = "best quality" }, { tag = "worst quality" }]
"""


@pytest.fixture
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with presets for sdxl-tiny."""
    (tmp_path / "own.toml").write_text(PRESET)
    (tmp_path / "other.toml").write_text(PRESET.replace("A card", "Another").replace("11", "12"))
    monkeypatch.setenv("SAKUGA_PRESETS", str(tmp_path))
    return tmp_path


def told(*bundles: ServedBundle) -> dict[str, Any]:
    """What `/v1/bundles` answers."""

    async def ask() -> dict[str, Any]:
        app = create_app(Served(bundles, DEFAULT_LIMITS), AppOptions())
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            answer = await client.get("/v1/bundles")
        assert answer.status_code == 200 and "/tmp" not in answer.text
        found: dict[str, Any] = answer.json()
        return found

    return asyncio.run(ask())


def serve(bundle: Bundle, preset: str | None = None) -> ServedBundle:
    return serve_bundle("tiny", Opening(bundle.path, preset=preset), Patience())


def test_the_defaults_are_those_of_a_job(sdxl_bundle: Bundle, presets: Path) -> None:
    served = serve(sdxl_bundle, "own")
    (bundle,) = told(served)["bundles"]
    assert [each["name"] for each in bundle["presets"]] == ["own", "other", "none"]
    assert bundle["preset"] == "own" and not bundle["ready"]
    resolve = served.resolver()
    usual = resolve(Request("cat", seed=1))
    spelled = resolve(Request("cat", seed=1, **bundle["presets"][0]["defaults"]))
    for name in ("prompt", "negative_prompt", "size", "guidance", "sampler", "schedule", "layer"):
        assert getattr(spelled, name) == getattr(usual, name)
    assert spelled.table is usual.table and spelled.steps == 11
    assert bundle["presets"][1]["defaults"]["steps"] == 12
    assert bundle["presets"][2]["defaults"]["negative_prompt"] == ""


def test_the_card_is_told(sdxl_bundle: Bundle, presets: Path) -> None:
    (bundle,) = told(serve(sdxl_bundle, "own"))["bundles"]
    own, _, none = bundle["presets"]
    assert own["licence"]["name"] == "A licence" and own["prefix"] == "best quality"
    assert [tag["tag"] for tag in own["tags"][0]["tags"]] == ["best quality", "worst quality"]
    sizes = {(each["width"], each["height"]): each["recommended"] for each in own["sizes"]}
    assert len(sizes) == 10 and sizes[224, 320] and sizes[288, 288] and not sizes[384, 160]
    assert len(none["sizes"]) == 9 and all(each["recommended"] for each in none["sizes"])


def test_samplers_are_told_by_the_names_in_pictures(sdxl_bundle: Bundle) -> None:
    found = told(serve(sdxl_bundle))
    assert found["samplers"] == [each.label for each in SAMPLERS.values()]
    assert found["schedules"][0] == "Automatic" and "Karras" in found["schedules"]
    assert found["bundles"][0]["preset"] == "none" and found["notes"] == []


def test_a_preset_that_cannot_be_used_is_told_with_its_fault(
    sdxl_bundle: Bundle, presets: Path
) -> None:
    (presets / "other.toml").write_text(PRESET.replace("DPM++ 2M Karras", "Oiler"))
    (bundle,) = told(serve(sdxl_bundle))["bundles"]
    faults = {each["name"]: each.get("fault") for each in bundle["presets"]}
    assert faults["own"] is None and faults["none"] is None and "Oiler" in (faults["other"] or "")


def test_a_preset_that_cannot_be_read_hides_no_bundle(sdxl_bundle: Bundle, presets: Path) -> None:
    served = serve(sdxl_bundle, "own")
    (presets / "other.toml").write_text("title = ")
    found = told(served)
    assert [each["name"] for each in found["bundles"][0]["presets"]] == ["own", "none"]
    assert "broken" in found["notes"][0]
