"""Stages by the native API: the same pictures as the engine's, from pictures in the body."""

import base64
import io
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from hand_made_upscalers import scene
from PIL import Image

from sakuga.engine.engine import Engine
from sakuga.engine.image.source import Source
from sakuga.engine.refine.detail import Detail
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask, Upscale
from sakuga.profiles.buckets import Size

SMALL: dict[str, Any] = {"prompt": "hat", "steps": 3, "seed": 9}
Until = Callable[[Callable[[], bool]], None]


def png(pixels: Any, **how: Any) -> bytes:  # noqa: ANN401
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **{"format": "PNG"} | how)
    return file.getvalue()


def drawn(height: int = 160, width: int = 128) -> Any:  # noqa: ANN401
    mask = np.zeros((height, width), np.uint8)
    mask[40:100, 30:90] = 255
    return mask


PICTURE, MASK = png(scene(160, 128)), png(drawn())


def encoded(data: bytes, prefix: str = "") -> str:
    return prefix + base64.b64encode(data).decode()


def made(client: httpx.Client, until: Until, body: dict[str, Any]) -> Image.Image:
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    where = f"/v1/jobs/{answer.json()['id']}"
    until(lambda: client.get(where).json()["state"] in ("done", "failed"))
    assert client.get(where).json()["error"] is None
    return Image.open(io.BytesIO(client.get(f"{where}/pictures/0").content))


def test_a_part_of_a_picture_painted_anew(
    client: httpx.Client, until: Until, equipped: Engine
) -> None:
    mask = {"picture": encoded(MASK), "blur": 2, "fill": "noise", "area": "masked", "padding": 8}
    init = {"picture": encoded(PICTURE, "data:image/png;base64,"), "strength": 0.6, "mask": mask}
    found = made(client, until, SMALL | {"width": 128, "height": 128, "init": init})
    part = Mask(Source.of(MASK), 2, fill="noise", area="masked", padding=8)  # type: ignore[arg-type]
    wanted = Init(Source.of(PICTURE), 0.6, mask=part)
    expected = equipped.render(Request("hat", width=128, height=128, steps=3, seed=9, init=wanted))
    assert found.convert("RGB").tobytes() == expected.pixels.tobytes()
    assert found.info["parameters"] == expected.parameters
    assert np.array_equal(np.asarray(found.convert("RGB"))[:20], scene(160, 128)[:20])


def test_all_stages_after_another(client: httpx.Client, until: Until, equipped: Engine) -> None:
    body = SMALL | {
        "width": 128, "height": 128,
        "hires": {"size": "160x160", "upscaler": "sharp", "strength": 0.5, "steps": 2},
        "detail": [{"confidence": 0.5, "steps": 2}], "upscale": {"upscaler": "lanczos"},
    }  # fmt: skip
    found = made(client, until, body)
    hires = Hires(size=Size(160, 160), upscaler="sharp", strength=0.5, steps=2)
    stages = (hires, Detail(confidence=0.5, steps=2), Upscale("lanczos"))
    asked = Request("hat", width=128, height=128, steps=3, seed=9, stages=stages)
    assert found.convert("RGB").tobytes() == equipped.render(asked).pixels.tobytes()
    assert found.size == (320, 320)


def test_tools_are_told(client: httpx.Client) -> None:
    (bundle,) = client.get("/v1/bundles").json()["bundles"]
    assert "latent" in bundle["upscalers"] and "sharp" in bundle["upscalers"]
    assert bundle["detectors"] == ["face_yolov8n"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"init": {"picture": encoded(PICTURE), "strengh": 1}}, "Did you mean 'strength'?"),
        ({"hires": {"upscaller": "latent"}}, "Did you mean 'upscaler'?"),
        ({"init": {"picture": "/etc/passwd"}}, "init.picture is no base64"),
        ({"init": {"picture": encoded(PICTURE), "mask": {"picture": "http://x/"}}},
         "init.mask.picture is no base64"),
        ({"hires": {"upscaler": "nothing"}}, "no upscaler 'nothing'"),
        ({"detail": [{"model": "hand"}]}, "no detector called 'hand'"),
        ({"upscale": {"upscaler": "lanczos", "scale": 9}}, "upscale.scale"),
        ({"hires": {"scale": 2, "size": "256x256"}}, "a scale or a size"),
        ({"hires": {"upscaler": "lanczos", "scale": 8}, "width": 512, "height": 512,
          "upscale": {"upscaler": "lanczos", "scale": 1.5}}, "larger than this server makes"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    client: httpx.Client, change: dict[str, Any], words: str
) -> None:
    answer = client.post("/v1/jobs", json=SMALL | change)
    assert answer.status_code == 422 and words in answer.json()["detail"], answer.text
