"""Pictures that cannot be begun from: refused in every dialect's form, soon, and by name."""

import base64
import io
import struct
import zlib
from collections.abc import Callable
from time import perf_counter
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from sakuga.engine.errors import OverloadedError
from sakuga.engine.serve.holding import Holding

LIMIT_S = 0.15
GREY = np.full((64, 64, 3), 90, np.uint8)


def file_of(image: Image.Image, format: str = "PNG", **how: Any) -> bytes:  # noqa: ANN401
    file = io.BytesIO()
    image.save(file, format, **how)
    return file.getvalue()


def bomb(side: int) -> bytes:
    """A PNG whose header promises a square of zeros, and that holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


IMAGE = Image.fromarray(GREY)
GOOD = file_of(IMAGE)
BAD = {
    "text": (b"no picture at all", "no picture that is taken"),
    "gif": (file_of(IMAGE, "GIF"), "no picture that is taken"),
    "nothing": (b"", "no picture that is taken"),
    "cut": (file_of(Image.effect_noise((64, 64), 50))[:-600], "is damaged or cut"),
    "bomb": (bomb(30_000), "is too large"),
    "large": (bomb(4097), "is too large"),
    "animated": (
        file_of(IMAGE, save_all=True, append_images=[Image.new("RGB", (64, 64))]),
        "several frames",
    ),
    "inks": (file_of(IMAGE.convert("CMYK"), "JPEG"), "CMYK"),
}
MASKS = {
    "small": (file_of(Image.new("L", (32, 64), 255)), "another size"),
    "black": (file_of(Image.new("L", (64, 64))), "mask is empty"),
    "text": (b"no picture", "no picture that is taken"),
}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def native(client: httpx.Client, picture: bytes, mask: bytes | None) -> httpx.Response:
    init: dict[str, Any] = {"picture": encoded(picture)}
    if mask is not None:
        init["mask"] = {"picture": encoded(mask)}
    return client.post("/v1/jobs", json={"prompt": "hat", "init": init})


def a1111(client: httpx.Client, picture: bytes, mask: bytes | None) -> httpx.Response:
    body = {"init_images": [encoded(picture)], "mask": None if mask is None else encoded(mask)}
    return client.post("/sdapi/v1/img2img", json=body | {"width": 128, "height": 128})


def extras(client: httpx.Client, picture: bytes, mask: bytes | None) -> httpx.Response:
    body = {"image": encoded(picture), "upscaler_1": "Lanczos"}
    return client.post("/sdapi/v1/extra-single-image", json=body)


def openai(client: httpx.Client, picture: bytes, mask: bytes | None) -> httpx.Response:
    files = {"image": ("a.png", picture)} | ({} if mask is None else {"mask": ("m.png", mask)})
    return client.post("/v1/images/edits", data={"prompt": "hat"}, files=files)


Ask = Callable[[httpx.Client, bytes, bytes | None], httpx.Response]
STATUS: dict[Ask, int] = {native: 422, a1111: 422, extras: 422, openai: 400}


def refused(client: httpx.Client, ask: Ask, picture: bytes, mask: bytes | None) -> str:
    """What is said, of the quickest of three answers."""
    answers, times = list[httpx.Response](), list[float]()
    for _ in range(3):
        begin = perf_counter()
        answers.append(ask(client, picture, mask))
        times.append(perf_counter() - begin)
    answer = answers[-1]
    assert answer.status_code == STATUS[ask], answer.text
    assert min(times) < LIMIT_S
    body = answer.json()
    assert body["error"]["message"] == body["detail"] and body["error"]["type"]
    return str(body["detail"])


@pytest.mark.parametrize("ask", STATUS, ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("name", BAD)
def test_pictures(client: httpx.Client, ask: Ask, name: str) -> None:
    picture, words = BAD[name]
    assert words in refused(client, ask, picture, None)


@pytest.mark.parametrize("ask", [native, a1111], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("name", MASKS)
def test_masks(client: httpx.Client, ask: Ask, name: str) -> None:
    mask, words = MASKS[name]
    assert words in refused(client, ask, GOOD, mask)


def test_files_and_bodies_have_a_limit(client: httpx.Client) -> None:
    large = GOOD + bytes(20 << 20)
    assert "too large" in openai(client, large, None).json()["detail"]
    answer = openai(client, GOOD + bytes(33 << 20), None)
    assert answer.status_code == 413 and answer.json()["error"]["kind"] == "TooLargeError"
    answer = client.post("/sdapi/v1/txt2img", content=b" " * (2 << 20))
    assert answer.status_code == 413


def test_what_lies_here_has_a_limit() -> None:
    holding = Holding(100)
    holding.take(150)  # one alone
    with pytest.raises(OverloadedError):
        holding.take(1)
    holding.give(150)
    holding.take(60)
    with pytest.raises(OverloadedError):
        holding.take(41)
    assert holding.held == 60
