"""OpenAI's own client, unmodified, against the server."""

import base64
import io

import httpx
import openai
import pytest
from PIL import Image

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request

MORE = {"steps": 4, "seed": 9}


@pytest.fixture
def images(client: httpx.Client) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{client.base_url}/v1", api_key="unused", max_retries=0)


def test_pictures_of_a_prompt(images: openai.OpenAI, sdxl_bundle: Bundle) -> None:
    found = images.images.generate(
        prompt="1girl, hat", n=2, size="128x160", response_format="b64_json", extra_body=MORE
    )
    assert found.data is not None and len(found.data) == 2
    data = base64.b64decode(found.data[1].b64_json or "")
    with Engine.open(sdxl_bundle.path, threads=1) as engine:
        expected = engine.render(Request("1girl, hat", width=128, height=160, steps=4, seed=10))
    picture = Image.open(io.BytesIO(data))
    assert picture.convert("RGB").tobytes() == expected.pixels.tobytes()
    assert picture.info["parameters"] == expected.parameters


def test_a_picture_by_its_address(images: openai.OpenAI) -> None:
    found = images.images.generate(
        prompt="hat", size="128x128", response_format="url", output_format="webp", extra_body=MORE
    )
    assert found.data is not None and found.data[0].url is not None
    fetched = httpx.get(found.data[0].url)
    assert Image.open(io.BytesIO(fetched.content)).format == "WEBP"


def test_partial_pictures_on_the_way(images: openai.OpenAI) -> None:
    stream = images.images.generate(
        prompt="hat", size="128x128", stream=True, partial_images=2, extra_body={"steps": 9}
    )
    kinds = [(event.type, base64.b64decode(event.b64_json)) for event in stream]
    assert [kind for kind, _ in kinds] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    sizes = [Image.open(io.BytesIO(data)).size for _, data in kinds]
    assert sizes == [(16, 16), (16, 16), (128, 128)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": "130x128"}, "Nearest"),
        ({"model": "gpt-image-1"}, "no bundle called"),
        ({"background": "transparent"}, "transparent"),
        ({"n": 11}, "n: "),
        ({"extra_body": {"colour": 1}}, "colour"),
        ({"extra_body": {"steps": 4, "num_inference_steps": 5}}, "two things"),
    ],
)
def test_what_cannot_be_done_is_a_bad_request(
    images: openai.OpenAI, change: dict[str, object], words: str
) -> None:
    wanted = {"prompt": "hat", "size": "128x128"} | change
    with pytest.raises(openai.BadRequestError, match=words) as caught:
        images.images.generate(**wanted)  # type: ignore[call-overload]
    assert caught.value.type == "invalid_request_error"


def test_bundles_are_models(images: openai.OpenAI, sdxl_bundle: Bundle) -> None:
    name = sdxl_bundle.path.name.removesuffix(".sakuga")
    assert [model.id for model in images.models.list()] == [name]
    assert images.models.retrieve(name).owned_by == "sakuga"
    with pytest.raises(openai.NotFoundError):
        images.models.retrieve("other")


def test_a_client_that_goes_away_frees_its_place(images: openai.OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        images.images.generate(prompt="hat", size="128x128", extra_body={"steps": 900}, timeout=0.5)
    after = images.images.generate(prompt="hat", size="128x128", extra_body=MORE, timeout=20)
    assert after.data is not None
