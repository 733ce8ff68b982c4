"""Whatever goes wrong, no answer tells where on this machine anything lies."""

import asyncio
import base64
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import UsageError
from sakuga.engine.serve.app import AppOptions, create_app
from sakuga.engine.serve.discretion import Discretion
from sakuga.engine.serve.keeper import Patience
from sakuga.engine.serve.messages import Opening
from sakuga.engine.serve.run import DEFAULT_LIMITS
from sakuga.engine.serve.served import Served, serve_bundle

CANARY = "canary"
FOLDER = f"Größe «{CANARY}», it's 5\" (x)"
PRESET = """
title = "Broken"
source = "https://example.org/card"
family = "sdxl-tiny"
size = "224x320"
sampler = "Nobody's"
steps = 4
guidance = 5.0
licence = { name = "A licence", meaning = "Anything goes." }
"""
BODY = {"prompt": "1girl", "sampler": "Euler a", "width": 128, "height": 128, "steps": 4}
PICTURE = base64.b64encode(b"no picture").decode()


@pytest.fixture
def home(sdxl_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything in it: bundle, embeddings, presets, cache."""
    folder = tmp_path / FOLDER
    shutil.copytree(sdxl_bundle.path, folder / "tiny.sakuga")
    (folder / "embeddings").mkdir()
    (folder / "embeddings" / "damaged.pt").write_bytes(b"no pickle")
    (folder / "presets").mkdir()
    (folder / "presets" / "broken.toml").write_text(PRESET)
    monkeypatch.setenv("SAKUGA_PRESETS", str(folder / "presets"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return folder


def opening(home: Path) -> Opening:
    return Opening(home / "tiny.sakuga", preset="broken", embeddings=home / "embeddings")


@asynccontextmanager
async def asking(home: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Clients of an application whose engine is never started."""
    served = Served([serve_bundle("tiny", opening(home), Patience())], DEFAULT_LIMITS)
    transport = httpx.ASGITransport(create_app(served, AppOptions()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client


def asked() -> list[tuple[str, str, Any]]:
    """What each dialect can be asked that goes wrong before an engine is asked."""
    wrong: list[dict[str, Any]] = [
        {"prompt": "damaged"}, {"prompt": "x" * 20_000}, {"prompt": "<lora:nobody:1>"},
        {"prompt": "hat", "steps": 0}, {"prompt": "hat", "sampler": "nobody's"}, {"hat": 1},
        {"prompt": "hat", "seed": "x"}, {"prompt": 5}, {"prompt": "<lora:/etc/x/y:1>"},
    ]  # fmt: skip
    jobs = [
        BODY | each
        for each in (
            *wrong,
            {},
            {"sampler": None},
            {"bundle": "/x"},
            {"width": 129},
            {"schedule": "x"},
        )
    ]
    jobs += [BODY | {"compat": "comfy", "prompt": text} for text in ("embedding:damaged", "(x")]
    openai = [
        {"prompt": "x", "sampler": "Euler a", **each}
        for each in (*wrong, {"model": "x"}, {"size": "129x1"})
    ]
    a1111 = [*wrong, {"enable_hr": True}, {"override_settings": {"sd_model_checkpoint": "x"}}]
    return [
        *(("POST", "/v1/jobs", body) for body in jobs),
        *(("POST", "/v1/images/generations", body) for body in openai),
        *(("POST", "/sdapi/v1/txt2img", body) for body in a1111),
        ("POST", "/sdapi/v1/options", {"sd_model_checkpoint": "x"}),
        ("POST", "/sdapi/v1/options", {"sd_vae": "x"}),
        ("POST", "/sdapi/v1/png-info", {"image": PICTURE}),
        ("POST", "/sdapi/v1/png-info", {"image": "x"}),
        ("POST", "/v1/settings", "no picture"),
        ("POST", "/v1/settings?bundle=x", "no picture"),
        *(
            ("GET", path, None)
            for path in (
                "/v1/bundles", "/v1/models", "/v1/models/x", "/v1/jobs/x", "/v1/jobs/x/events",
                "/v1/jobs/x/pictures/0", "/v1/jobs/x/pictures/-1", "/health/ready", "/metrics",
                "/openapi.json", "/none", "/page/none", "/sdapi/v1/progress", "/sdapi/v1/options",
                "/sdapi/v1/sd-models", "/sdapi/v1/loras", "/sdapi/v1/embeddings",
                "/sdapi/v1/cmd-flags", "/sdapi/v1/memory",
            )
        ),
        ("DELETE", "/v1/jobs/x", None),
        ("PUT", "/v1/jobs", None),
    ]  # fmt: skip


def test_no_dialect_tells_where_anything_lies(home: Path) -> None:
    async def ask_all() -> list[str]:
        async with asking(home) as client:
            answers = []
            for method, path, body in asked():
                is_file = isinstance(body, str)
                kind = {"content-type": f"application/{'octet-stream' if is_file else 'json'}"}
                content = body if is_file else json.dumps(body)
                asking_it = client.request(method, path, content=content, headers=kind)
                answer = await asyncio.wait_for(asking_it, 10)  # none of it waits for a picture
                answers.append(f"{method} {path} {answer.status_code} {answer.text}")
            return answers

    answers = asyncio.run(ask_all())
    assert [each for each in answers if tells(each)] == []
    assert sum(" 400 " in each or " 422 " in each for each in answers) > 30
    # The faults are told, and what they are about.
    assert (
        sum("…/embeddings/damaged.pt: " in each or "…/damaged.pt: " in each for each in answers)
        == 4
    )
    assert any("…/broken.toml" in each for each in answers)


def tells(answer: str) -> bool:
    """Also where it is quoted as JSON does; but for what the request itself named."""
    return CANARY in answer or "/tmp" in answer or str(Path.home()) in answer


@pytest.mark.slow
def test_nor_does_an_engine_that_cannot_open(
    serve_from: Any,  # noqa: ANN401
    home: Path,
    until: Callable[[Callable[[], bool]], None],
) -> None:
    server = serve_from(home / "tiny.sakuga", "--embeddings", str(home / "embeddings"))
    with httpx.Client(base_url=server.url, timeout=30) as client:
        job = client.post("/v1/jobs", json=BODY | {"steps": 900}).json()["id"]
        for file in (home / "tiny.sakuga").rglob("*"):
            if file.is_file() and file.name != "manifest.json":
                file.write_bytes(file.read_bytes()[:-1])
        os.kill(server.children()[0], signal.SIGKILL)
        answers = [client.get("/v1/bundles").text]

        def troubled() -> bool:
            answers.append(client.get("/v1/bundles").text)
            return json.loads(answers[-1])["bundles"][0]["trouble"] is not None

        until(troubled)
        client.delete(f"/v1/jobs/{job}")
        answers += [client.get(f"/v1/jobs/{job}").text, client.get("/health/ready").text]
    assert not any(map(tells, answers))
    assert "engine.trouble" in server.explain()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{here}/a b/x.pt: no", "…/a b/x.pt: no"),
        ("There is no folder {here}.", "There is no folder …."),
        ("[Errno 2] No such file: {quoted}", "[Errno 2] No such file: '…/y'"),
        ("/usr/lib/x/libfoo.so.1: cannot open", "…/libfoo.so.1: cannot open"),
        (r"C:\Users\me\x.onnx is damaged", r"…\x.onnx is damaged"),
        ("https://example.org/a/b and image/png", "https://example.org/a/b and image/png"),
        (r"1girl, lucy \(x\), \(y\), w/o hat", r"1girl, lucy \(x\), \(y\), w/o hat"),
    ],
)
def test_texts(tmp_path: Path, text: str, told: str) -> None:
    here = tmp_path / FOLDER / "embeddings"
    discretion = Discretion([Opening(Path("x.sakuga"), embeddings=here)])
    given = text.format(here=here, quoted=repr(str(here / "y"))) if "{" in text else text
    found = discretion.error(UsageError("What", note=given))
    assert found.note.replace('"', "'") == told.replace('"', "'")
    assert (found.kind, found.what) == ("UsageError", "What")
