"""Whatever is asked of whatever is in the published description, the server answers, with no error
of its own.

Schemathesis makes the requests, those that fit the description and those that do not. Half of what
fits is led to where it goes on: ids that there are, sizes and names that are known.
"""

from collections.abc import Iterator
from typing import Any

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


@pytest.fixture(scope="module")
def ids(quick_server: Any) -> list[str]:  # noqa: ANN401
    """Jobs in every state that lasts; the one in the middle of its work waits for a deadline."""
    with httpx.Client(base_url=quick_server.url, timeout=LIMIT_S) as client:
        bodies = [BODY, BODY | {"count": 3, "format": "webp", "preview_every": 1}, BODY]
        bodies += [BODY | {"deadline_s": 1e-9}]
        found = [client.post("/v1/jobs", json=body).json()["id"] for body in bodies]
        client.delete(f"/v1/jobs/{found[2]}")
        for id in found:
            client.get(f"/v1/jobs/{id}/events")
    return found


def operations(server: Any) -> Iterator[Any]:  # noqa: ANN401
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    for found in schema.get_all_operations():
        yield found.ok()


def part_of(path: str) -> str:
    return next(part for part, start in PARTS.items() if path.startswith(start))


def led(case: Any, ids: list[str], data: st.DataObject) -> None:  # noqa: ANN401
    """Lead a request to where it goes on."""
    if case.path_parameters and "id" in case.path_parameters:
        case.path_parameters["id"] = data.draw(st.sampled_from([*ids, "sdxl-tiny"]))
    if isinstance(case.body, dict) and "prompt" in case.body:
        case.body = {name: value for name, value in case.body.items() if name not in OPEN}
        case.body |= {name: LED[name] for name in LED if name in case.body}


def ask(operation: Any, ids: list[str], examples: int) -> None:  # noqa: ANN401
    """So many times."""
    modes = schemathesis.GenerationMode
    cases = operation.as_strategy(generation_mode=modes.POSITIVE)
    if operation.body or any(operation.iter_parameters()):
        cases |= operation.as_strategy(generation_mode=modes.NEGATIVE)

    @settings(max_examples=examples, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=cases, data=st.data())
    def each(case: Any, data: st.DataObject) -> None:  # noqa: ANN401
        if data.draw(st.booleans()):
            led(case, ids, data)
        answer = case.call(timeout=LIMIT_S)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)

    each()


def ask_all(server: Any, ids: list[str], part: str, examples: int) -> int:  # noqa: ANN401
    """Every operation of a part; how many there are. The engine must be the same afterwards, the
    counts must hold, and nothing the framework swallows may be in the log."""
    engine, count = server.children(), 0
    for operation in operations(server):
        if part in ("all", part_of(operation.path)):
            ask(operation, ids, examples)
            count += 1
    assert server.ready() and server.children() == engine
    assert "Traceback" not in server.explain()
    return count


@pytest.mark.filterwarnings("ignore")
def test_a_few_of_everything(quick_server: Any, ids: list[str]) -> None:  # noqa: ANN401
    assert ask_all(quick_server, ids, "all", FEW) > 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", PARTS)
def test_many_of_everything(quick_server: Any, ids: list[str], part: str) -> None:  # noqa: ANN401
    assert ask_all(quick_server, ids, part, MANY) > 0
