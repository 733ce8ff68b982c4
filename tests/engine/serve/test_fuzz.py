"""Whatever is asked of whatever is in the published description, the server answers, with no error
of its own.

Schemathesis makes the requests, those that fit the description and those that do not. Half of what
fits is led to where it goes on: ids that there are, sizes and names that are known.
"""

import base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

schemathesis = pytest.importorskip("schemathesis")

LIMIT_S = 60  # of an answer, a stream of events too; pictures take milliseconds here
FEW, MANY = 4, 500
PARTS = {"jobs": "/v1/jobs", "openai": "/v1/images", "a1111": "/sdapi", "others": ""}
OPEN = {"bundle", "model", "sampler", "sampler_index", "sampler_name", "schedule", "scheduler",
        "seed_resize", "rng", "emphasis", "size", "override_settings"}  # fmt: skip
LED: dict[str, Any] = {"prompt": "1girl", "width": 128, "height": 160, "steps": 5}
BODY = {"prompt": "hat", "width": 128, "height": 128, "steps": 2}


@dataclass(frozen=True)
class Known:
    """What there is: jobs in every state that lasts, and the file of a picture."""

    ids: list[str]
    picture: bytes


@pytest.fixture(scope="module")
def known(quick_server: Any) -> Known:  # noqa: ANN401
    with httpx.Client(base_url=quick_server.url, timeout=LIMIT_S) as client:
        bodies = [BODY, BODY | {"count": 3, "format": "webp", "preview_every": 1}, BODY]
        bodies += [BODY | {"deadline_s": 1e-9}]
        ids = [client.post("/v1/jobs", json=body).json()["id"] for body in bodies]
        client.delete(f"/v1/jobs/{ids[2]}")
        for id in ids:
            client.get(f"/v1/jobs/{id}/events")
        return Known(ids, client.get(f"/v1/jobs/{ids[0]}/pictures/0").raise_for_status().content)


def operations(server: Any) -> Iterator[Any]:  # noqa: ANN401
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    for found in schema.get_all_operations():
        yield found.ok()


def part_of(path: str) -> str:
    return next(part for part, start in PARTS.items() if path.startswith(start))


def led(case: Any, known: Known, data: st.DataObject) -> None:  # noqa: ANN401
    """Lead a request to where it goes on."""
    if case.path_parameters and "id" in case.path_parameters:
        case.path_parameters["id"] = data.draw(st.sampled_from([*known.ids, "sdxl-tiny"]))
    if case.path_parameters and "index" in case.path_parameters:
        case.path_parameters["index"] = data.draw(st.integers(0, 3))
    if case.path == "/v1/settings":
        case.body = known.picture
    elif case.path == "/sdapi/v1/png-info":
        case.body = {"image": base64.b64encode(known.picture).decode()}
    elif case.path == "/sdapi/v1/options" and case.method == "POST":
        case.body = {"sd_model_checkpoint": "sdxl-tiny"}
    elif isinstance(case.body, dict) and "prompt" in case.body:
        case.body = {name: value for name, value in case.body.items() if name not in OPEN}
        case.body |= {name: LED[name] for name in LED if name in case.body}


def ask(operation: Any, known: Known, examples: int) -> Counter[int]:  # noqa: ANN401
    """So many times; the statuses of the answers."""
    modes, statuses = schemathesis.GenerationMode, Counter[int]()
    cases = operation.as_strategy(generation_mode=modes.POSITIVE)
    if operation.body or any(operation.iter_parameters()):
        cases |= operation.as_strategy(generation_mode=modes.NEGATIVE)

    @settings(max_examples=examples, deadline=None, database=None,
              suppress_health_check=cast("list[HealthCheck]", list(HealthCheck)))  # fmt: skip
    @given(case=cases, data=st.data())
    def each(case: Any, data: st.DataObject) -> None:  # noqa: ANN401
        if data.draw(st.booleans()):
            led(case, known, data)
        answer = case.call(timeout=LIMIT_S)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)

    each()
    return statuses


def ask_all(server: Any, known: Known, part: str, examples: int) -> dict[str, Counter[int]]:  # noqa: ANN401
    """Every operation of a part, with the statuses of its answers. The engine must be the same
    afterwards, and nothing the framework swallows may be in the log."""
    engine, asked = server.children(), dict[str, Counter[int]]()
    for operation in operations(server):
        if part in ("all", part_of(operation.path)):
            asked[operation.label] = ask(operation, known, examples)
    assert server.ready() and server.children() == engine
    assert "Traceback" not in server.explain()
    return asked


@pytest.mark.filterwarnings("ignore")
def test_a_few_of_everything(quick_server: Any, known: Known) -> None:  # noqa: ANN401
    assert len(ask_all(quick_server, known, "all", FEW)) > 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", PARTS)
def test_many_of_everything(quick_server: Any, known: Known, part: str) -> None:  # noqa: ANN401
    asked = ask_all(quick_server, known, part, MANY)
    print("", *(f"{label}: {dict(found)}" for label, found in asked.items()), sep="\n")
    # Of no operation everything was refused.
    assert all(min(found) < 300 for found in asked.values())
