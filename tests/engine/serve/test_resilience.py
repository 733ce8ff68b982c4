"""Engines that die, servers that are told to stop, clients that may not: over real processes."""

import os
import signal
import threading
from time import monotonic
from typing import Any

import httpx
import pytest

BODY = {"prompt": "hat", "width": 128, "height": 128, "steps": 8}
LONG = BODY | {"steps": 800}
TOKEN = "a-token-of-some-length"
READY_S = 5.0  # an engine opens in a second or two


def state(client: httpx.Client, job: str) -> str:
    found: str = client.get(f"/v1/jobs/{job}").json()["state"]
    return found


def ask(client: httpx.Client, body: dict[str, Any]) -> str:
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job: str = answer.json()["id"]
    return job


def kill(server: Any) -> None:  # noqa: ANN401
    (engine,) = server.children()
    os.kill(engine, signal.SIGKILL)


def test_an_engine_that_is_killed_is_replaced_and_nothing_is_lost(serve: Any, until: Any) -> None:  # noqa: ANN401
    server = serve()
    with httpx.Client(base_url=server.url, timeout=30) as client:
        jobs = [ask(client, BODY | {"seed": seed}) for seed in range(6)]
        until(lambda: state(client, jobs[0]) != "waiting")
        kill(server)
        until(lambda: all(state(client, job) == "done" for job in jobs))
    assert server.ready()


@pytest.mark.slow
def test_twenty_kills_under_load(serve: Any, until: Any) -> None:  # noqa: ANN401
    """Eight clients that ask again as soon as they have a picture, and get every one of them."""
    server, over = serve(), threading.Event()
    statuses: list[int] = []

    def load(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not over.is_set():
                body = {"prompt": "hat", "size": "128x128", "steps": 8, "seed": number}
                statuses.append(client.post("/v1/images/generations", json=body).status_code)

    loads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
    for each in loads:
        each.start()
    seconds = []
    for _ in range(20):
        made = len(statuses)
        until(lambda made=made: len(statuses) > made + 8)
        begun = monotonic()
        kill(server)
        until(lambda: not server.ready())
        until(server.ready)
        seconds.append(monotonic() - begun)
    over.set()
    for each in loads:
        each.join(60)
    print(f"ready again after {max(seconds):.2f} s at most, {len(statuses)} pictures")
    assert set(statuses) == {200} and max(seconds) < READY_S
    metrics = httpx.get(f"{server.url}/metrics").text
    for outcome in ("accepted", "completed"):
        assert f'sakuga_pictures_total{{outcome="{outcome}"}} {len(statuses)}.0' in metrics
    assert 'sakuga_engine_restarts_total{bundle="sdxl-tiny"} 20.0' in metrics


@pytest.mark.slow
def test_an_engine_that_does_not_answer_is_replaced(serve: Any, until: Any) -> None:  # noqa: ANN401
    server = serve("--silence", "2")
    with httpx.Client(base_url=server.url, timeout=30) as client:
        (engine,) = server.children()
        os.kill(engine, signal.SIGSTOP)
        job = ask(client, BODY)
        until(lambda: state(client, job) == "done")
        assert server.children() != [engine]


@pytest.mark.slow
def test_a_picture_that_kills_three_engines_is_given_up(serve: Any, until: Any) -> None:  # noqa: ANN401
    server = serve()
    with httpx.Client(base_url=server.url, timeout=30) as client:
        job = ask(client, LONG)
        for _ in range(3):
            until(lambda: state(client, job) == "running")
            os.kill(server.children()[0], signal.SIGKILL)
            until(lambda: state(client, job) != "running")
        found = client.get(f"/v1/jobs/{job}").json()
        assert found["state"] == "failed" and "3 times" in found["error"]["what"]
        until(server.ready)
        after = ask(client, BODY)
        until(lambda: state(client, after) == "done")


def test_a_server_told_to_stop_finishes_what_it_has(serve: Any, until: Any) -> None:  # noqa: ANN401
    server = serve()
    with httpx.Client(base_url=server.url, timeout=30) as client:
        job = ask(client, BODY | {"steps": 60})
        got: list[httpx.Response] = []
        follower = threading.Thread(
            target=lambda: got.append(httpx.get(f"{server.url}/v1/jobs/{job}/events", timeout=60))
        )
        follower.start()
        until(lambda: state(client, job) == "running")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: client.get("/health/ready").status_code == 503)
        refused = client.post("/v1/jobs", json=BODY)
        assert refused.status_code == 503 and "retry-after" in refused.headers
        assert client.get("/health/live").status_code == 200
    follower.join(60)
    assert '"state": "done"' in got[0].text
    assert server.stop() == 0 and server.children() == []


def test_without_the_token_nothing_is_open(serve: Any, tmp_path: Any) -> None:  # noqa: ANN401
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    server = serve("--token", str(secret))
    with httpx.Client(base_url=server.url, timeout=30) as client:
        shown = {"Authorization": f"Bearer {TOKEN}"}
        paths = client.get("/openapi.json", headers=shown).json()["paths"]
        assert len(paths) > 15
        for path, methods in paths.items():
            for method in methods:
                for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
                    url = path.replace("{id}", "x").replace("{index}", "0")
                    answer = client.request(method, url, headers=headers)
                    open_to_all = path in ("/health/live", "/health/ready")
                    assert (answer.status_code == 401) != open_to_all, path


def test_bodies_are_bounded(client: httpx.Client) -> None:
    words = "/v1/images/generations"
    assert client.post(words, content=b"x" * (2 << 20)).status_code == 413
    assert client.post("/v1/jobs", content=b"x" * (40 << 20)).status_code == 413

    def pieces() -> Any:  # noqa: ANN401
        for _ in range(40):
            yield b"x" * (64 << 10)

    assert client.post(words, content=pieces()).status_code == 413


def test_more_than_the_limit_is_told_to_come_again(serve: Any, until: Any) -> None:  # noqa: ANN401
    server = serve("--max-pictures", "3")
    with httpx.Client(base_url=server.url, timeout=30) as client:
        jobs = [ask(client, LONG) for _ in range(3)]
        refused = client.post("/v1/jobs", json=LONG)
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
        assert client.delete(f"/v1/jobs/{jobs[0]}").json()["state"] == "cancelled"
        two = client.post("/v1/jobs", json=BODY | {"count": 2})
        assert two.status_code == 429  # both or none
        ask(client, BODY)
        for job in jobs:
            client.delete(f"/v1/jobs/{job}")
