"""`/v1/settings`: a picture's file goes in, and the job that comes out makes the picture again."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

SMALL: dict[str, Any] = {
    "prompt": "1girl, (hat:1.2)", "negative_prompt": "lowres", "width": 128, "height": 160,
    "steps": 3, "seed": 2**64 - 1,
}  # fmt: skip
JOBS: list[dict[str, Any]] = [
    {},
    {"compat": "comfy", "sampler": "DPM++ 2M", "schedule": "Karras", "clip_skip": 1},
    {"compat": "diffusers", "negative_prompt": None, "rng": "NV", "format": "webp"},
    {"seed": 3, "ensd": 31337, "variation_seed": 2**63, "variation_strength": 0.25, "eta": 0.5,
     "emphasis": "No norm", "guidance_interval": [0.25, 0.75], "format": "jpeg"},
    {"seed_resize": "192x128", "sampler": "DDIM", "pad_conds": True},
    {"hires": {"size": "160x192", "upscaler": "sharp", "strength": 0.5, "prompt": "hat"},
     "detail": [{"model": "face_yolov8n", "confidence": 0.5}, {"model": "face", "top_k": 1}],
     "upscale": {"upscaler": "lanczos", "scale": 1.5}},
]  # fmt: skip
Until = Callable[[Callable[[], bool]], None]


def render(client: httpx.Client, until: Until, body: dict[str, Any]) -> bytes:
    """The file of a job's picture."""
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    where = f"/v1/jobs/{answer.json()['id']}"
    until(lambda: client.get(where).json()["state"] == "done")
    return client.get(f"{where}/pictures/0").content


def read(client: httpx.Client, picture: bytes, **query: str) -> httpx.Response:
    """What is answered to a picture's file."""
    headers = {"content-type": "application/octet-stream"}
    return client.post("/v1/settings", content=picture, headers=headers, params=query)


@pytest.mark.parametrize("change", JOBS, ids=range(len(JOBS)))
def test_the_job_makes_the_same_file(
    client: httpx.Client, until: Until, change: dict[str, Any]
) -> None:
    asked = SMALL | change
    file = render(client, until, asked)
    answer = read(client, file).json()
    assert answer["notes"] == [] and answer["job"]["seed"] == str(asked["seed"])
    format = {"format": asked.get("format", "png")}
    assert render(client, until, answer["job"] | format) == file


def test_what_cannot_be_followed_is_told(client: httpx.Client) -> None:
    text = (
        "1girl, <lora:line:1>\nNegative prompt: bad\nSteps: 7, Sampler: Euler a, CFG scale: 6, "
        "Seed: 5, Size: 320x224, Model hash: 0123456789, Denoising strength: 0.5, "
        "Hires upscale: 2, Hires upscaler: SwinIR 4x, Version: v1.10.1"
    )
    answer = read(client, png(text)).json()
    assert answer["parameters"] == text
    assert answer["job"]["steps"] == 7 and answer["job"]["prefix"] == "none"
    notes = " ".join(answer["notes"])
    assert "Left out: Model hash 0123456789" in notes and "SwinIR 4x" in notes
    assert "hires" not in answer["job"]


def test_what_holds_no_settings_is_refused(client: httpx.Client) -> None:
    for picture, words in ((png(None), "no settings in the picture"), (b"GIF89a", "no picture")):
        answer = read(client, picture)
        assert answer.status_code == 422 and words in answer.json()["error"]["what"]
        assert answer.json()["error"]["hint"]
    assert read(client, png("Steps: 1"), bundle="nobody").status_code == 422


def png(text: str | None) -> bytes:
    """A picture of another program."""
    info, file = PngInfo(), io.BytesIO()
    if text is not None:
        info.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    return file.getvalue()
