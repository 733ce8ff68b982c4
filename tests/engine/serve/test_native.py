"""The native API over real sockets: ask, follow, fetch, cancel."""

import base64
import io
import json
from collections.abc import Iterator
from time import monotonic
from typing import Any

import httpx
import pytest
from PIL import Image

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request

SMALL = {"prompt": "1girl, hat", "width": 128, "height": 160, "steps": 4, "seed": 9}
LONG = SMALL | {"steps": 600}


def events(client: httpx.Client, job: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with client.stream("GET", f"/v1/jobs/{job}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def ask(client: httpx.Client, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    return job


def test_a_job_is_asked_for_followed_and_fetched(client: httpx.Client, sdxl_bundle: Bundle) -> None:
    job = ask(client, SMALL | {"count": 2, "preview_every": 2})
    seen = list(events(client, job["id"]))
    last = seen[-1][1]
    assert last["state"] == "done" and last["error"] is None and last["finished"]
    assert [picture["seed"] for picture in last["pictures"]] == [9, 10]
    previews = [data for name, data in seen if name == "preview"]
    assert [(each["index"], each["step"]) for each in previews if each["index"] == 1][-1:] != []
    image = Image.open(io.BytesIO(base64.b64decode(previews[0]["jpeg"])))
    assert image.size == (16, 20)
    steps = [(data["index"], data["step"]) for name, data in seen if name == "step"]
    assert (1, 3) in steps and all(data["steps"] == 4 for name, data in seen if name == "step")
    fetched = client.get(last["pictures"][1]["url"])
    assert fetched.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(fetched.content))
    with Engine.open(sdxl_bundle.path, threads=1) as engine:
        request = Request("1girl, hat", width=128, height=160, steps=4, seed=10)
        expected = engine.render(request)
    assert picture.convert("RGB").tobytes() == expected.pixels.tobytes()
    assert picture.info["parameters"] == expected.parameters == last["pictures"][1]["parameters"]


@pytest.mark.parametrize("format", ["webp", "jpeg"])
def test_pictures_come_in_other_formats(client: httpx.Client, format: str) -> None:
    job = ask(client, SMALL | {"format": format, "quality": 90})
    *_, (_, last) = events(client, job["id"])
    fetched = client.get(last["pictures"][0]["url"])
    assert fetched.headers["content-type"] == f"image/{format}"
    assert Image.open(io.BytesIO(fetched.content)).format == format.upper()


def test_a_key_given_twice_is_one_job(client: httpx.Client) -> None:
    first = ask(client, SMALL, **{"Idempotency-Key": "once"})
    again = ask(client, SMALL, **{"Idempotency-Key": "once"})
    assert again["id"] == first["id"]
    other = client.post("/v1/jobs", json=LONG, headers={"Idempotency-Key": "once"})
    assert other.status_code == 422 and "another request" in other.json()["error"]["what"]


def test_a_cancelled_job_leaves_the_device(client: httpx.Client) -> None:
    job = ask(client, LONG)
    for name, data in events(client, job["id"]):
        if name == "step" and data["step"] == 3:
            break
    assert client.delete(f"/v1/jobs/{job['id']}").json()["state"] == "cancelled"
    after = ask(client, SMALL)
    *_, (_, last) = events(client, after["id"])
    assert last["state"] == "done"
    assert client.get(f"/v1/jobs/{job['id']}").json()["pictures"][0]["step"] < 60
    assert client.get(f"/v1/jobs/{job['id']}/pictures/0").status_code == 404


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 129}, "Nearest"),
        ({"sampler": "Oiler"}, "Oiler"),
        ({"bundle": "other"}, "no bundle called 'other'"),
        ({"prompt": "<lora:none:1>"}, "none"),
        ({"prompt": "a\x00\ud800"}, "prompt"),
        ({"colour": "red"}, "colour"),
        ({"steps": "many"}, "steps"),
        ({"prompt": "x" * (1 << 15)}, "16384"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(
    client: httpx.Client, change: dict[str, Any], words: str
) -> None:
    content = json.dumps(SMALL | change).encode()
    answer = client.post("/v1/jobs", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422 and words in answer.text
    assert "/tmp" not in answer.text


def test_a_job_nobody_knows_is_not_found(client: httpx.Client) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events"), ("GET", "/pictures/0")):
        assert client.request(method, f"/v1/jobs/nobody{path}").status_code == 404


def test_no_part_of_an_answer_waits_for_the_client_to_acknowledge_another(
    client: httpx.Client,
) -> None:
    """Which takes 40 ms, once a connection is no longer new."""
    seconds = []
    for _ in range(40):
        begun = monotonic()
        assert client.get("/v1/jobs/x").status_code == 404
        seconds.append(monotonic() - begun)
    assert sorted(seconds[20:])[10] < 0.02
