"""OpenAI's own client, unmodified: edits and variations."""

import base64
import io
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from hand_made_upscalers import scene
from PIL import Image

from sakuga.engine.engine import Engine
from sakuga.engine.image.source import Source
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Init, Mask

MORE = {"steps": 3, "seed": 9}
PICTURE = Image.fromarray(scene(160, 128))


def file_of(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def opened(image: Image.Image) -> Image.Image:
    """With a hole in the middle."""
    found = image.convert("RGBA")
    found.paste((0, 0, 0, 0), (30, 40, 90, 100))
    return found


@pytest.fixture
def images(client: httpx.Client) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{client.base_url}/v1", api_key="unused", max_retries=0)


def pictures(found: Any) -> list[Image.Image]:  # noqa: ANN401
    return [Image.open(io.BytesIO(base64.b64decode(each.b64_json))) for each in found.data]


def same(image: Image.Image, engine: Engine, request: Request) -> None:
    expected = engine.render(request)
    assert image.convert("RGB").tobytes() == expected.pixels.tobytes()
    assert image.info["parameters"] == expected.parameters


def test_a_picture_of_a_picture(images: openai.OpenAI, equipped: Engine) -> None:
    data = file_of(PICTURE)
    found = images.images.edit(
        image=("a.png", data), prompt="hat", n=2, size="auto",
        extra_body=MORE | {"strength": 0.6, "negative_prompt": "bad", "guidance": 5},
    )  # fmt: skip
    init = Init(Source.of(data), 0.6, "crop")
    wanted = Request("hat", "bad", steps=3, seed=9, guidance=5, init=init)
    first, second = pictures(found)
    same(first, equipped, wanted)
    same(second, equipped, wanted.times(2)[1])
    assert first.size == (128, 160)  # its own


def test_what_the_mask_leaves_open_is_painted(images: openai.OpenAI, equipped: Engine) -> None:
    data, mask = file_of(PICTURE), file_of(opened(Image.new("RGB", (128, 160), "white")))
    found = images.images.edit(
        image=[("a.png", data)], mask=("m.png", mask), prompt="hat", size="128x160", extra_body=MORE
    )
    (image,) = pictures(found)
    init = Init(Source.of(data), 1.0, "crop", Mask(Source.of(mask), invert=True))
    same(image, equipped, Request("hat", width=128, height=160, steps=3, seed=9, init=init))
    made, before = np.asarray(image.convert("RGB")), scene(160, 128)
    assert np.array_equal(made[:20], before[:20])
    assert (made[50:90, 40:80] != before[50:90, 40:80]).mean() > 0.5


def test_without_a_mask_the_picture_s_own_holes(images: openai.OpenAI, equipped: Engine) -> None:
    data = file_of(opened(PICTURE))
    found = images.images.edit(image=("a.png", data), prompt="hat", extra_body=MORE)
    source = Source.of(data)
    init = Init(source, 1.0, "crop", Mask(source, invert=True))
    same(pictures(found)[0], equipped, Request("hat", steps=3, seed=9, init=init))


def test_partial_pictures_and_addresses(images: openai.OpenAI) -> None:
    stream = images.images.edit(
        image=("a.png", file_of(PICTURE)), prompt="hat", stream=True, partial_images=1,
        extra_body={"steps": 8, "strength": 1},
    )  # fmt: skip
    kinds = [event.type for event in stream]
    assert kinds == ["image_edit.partial_image", "image_edit.completed"]
    found = images.images.edit(
        image=("a.png", file_of(PICTURE)), prompt="hat", response_format="url",
        output_format="webp", extra_body=MORE,
    )  # fmt: skip
    assert found.data is not None and found.data[0].url is not None
    assert Image.open(io.BytesIO(httpx.get(found.data[0].url).content)).format == "WEBP"


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_variations(images: openai.OpenAI, equipped: Engine) -> None:
    data = file_of(PICTURE)
    found = images.images.create_variation(
        image=("a.png", data), response_format="b64_json", extra_body=MORE
    )
    same(
        pictures(found)[0],
        equipped,
        Request("", steps=3, seed=9, init=Init(Source.of(data), resize="crop")),
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": [("a.png", file_of(PICTURE))] * 2}, "image is 2 pictures"),
        ({"mask": ("m.png", file_of(PICTURE))}, "mask is transparent nowhere"),
        ({"mask": ("m.png", file_of(opened(Image.new("RGB", (96, 160)))))}, "another size"),
        ({"extra_body": {"colour": 1}}, "colour"),
        ({"extra_body": {"strenght": 1}}, "Did you mean 'strength'?"),
        ({"extra_body": {"strength": 2}}, "strength: "),
        ({"n": 11}, "n: "),
        ({"model": "gpt-image-1"}, "no bundle called"),
    ],
)
def test_what_cannot_be_done_is_a_bad_request(
    images: openai.OpenAI, change: dict[str, Any], words: str
) -> None:
    wanted = {"image": ("a.png", file_of(PICTURE)), "prompt": "hat"} | change
    with pytest.raises(openai.BadRequestError, match=words.replace("?", r"\?")):
        images.images.edit(**wanted)


def test_forms_that_are_none(client: httpx.Client) -> None:
    for content, kind, words in (
        (b"{}", "application/json", "Send a form"),
        (b"nothing", "multipart/form-data", ""),
        (b"nothing", "multipart/form-data; boundary=a", ""),
    ):
        answer = client.post("/v1/images/edits", content=content, headers={"content-type": kind})
        assert answer.status_code == 400 and words in answer.json()["error"]["message"]
    answer = client.post("/v1/images/edits", data={"prompt": "a"}, files={"picture": b"x"})
    assert answer.status_code == 400 and "no file 'picture'" in answer.json()["detail"]
