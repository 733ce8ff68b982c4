"""The Ray Serve application on a Ray of this machine alone."""

from collections.abc import Iterator
from time import sleep
from typing import Any

import httpx
import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request

ray = pytest.importorskip("ray", reason="`make full` installs Ray")
pytest.importorskip("ray.serve", reason="`make full` installs Ray Serve")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

STEPS = 3
NEW_SIDE = 192  # nobody has rendered it before
TOLD_S = 3.0  # until the router has heard what is warm where; it asks for that as it goes


@pytest.fixture(scope="module")
def door(sdxl_bundle: Bundle) -> Iterator[Any]:
    """Two replicas of half a processor each, behind HTTP."""
    from sakuga.engine.serve.ray import RaySettings, application

    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
        object_store_memory=100 << 20,
    )  # fmt: skip
    try:
        settings = RaySettings(sdxl_bundle.path, replicas=(2, 2), cpus=0.5, backend="onnx")
        yield ray.serve.run(application(settings), route_prefix="/sakuga")
        ray.serve.shutdown()
    finally:
        ray.shutdown()


def request(seed: int, width: int = 128) -> Request:
    return Request("1girl, hat", width=width, height=128, steps=STEPS, seed=seed)


def test_pictures_are_the_engine_s_whichever_replica_makes_them(
    door: Any,  # noqa: ANN401
    sdxl_bundle: Bundle,
) -> None:
    requests = [request(seed, 128 if seed % 2 else 160) for seed in range(8)]
    found = [each.result(timeout_s=120) for each in [door.render.remote(one) for one in requests]]
    with Engine.open(sdxl_bundle.path, threads=1) as engine:
        expected = [engine.render(one) for one in requests]
    assert [each.data for each in found] == [picture.to_png() for picture in expected]
    assert {each.seed for each in found} == set(range(8))


def test_a_size_goes_where_it_is_warm(door: Any) -> None:  # noqa: ANN401
    def replica(seed: int) -> str:
        found: str = door.render.remote(request(seed, NEW_SIDE)).result(timeout_s=120).replica
        return found

    first = replica(0)
    sleep(TOLD_S)
    assert {replica(seed) for seed in range(1, 8)} == {first}


def test_over_http(door: Any) -> None:  # noqa: ANN401
    url = "http://127.0.0.1:8000/sakuga"
    fields = {"prompt": "hat", "width": 128, "height": 128, "steps": STEPS, "seed": 3}
    answer = httpx.post(url, json=fields | {"format": "webp"}, timeout=120)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-sakuga-seed"] == "3"
    refused = httpx.post(url, json=fields | {"width": 129}, timeout=120)
    assert refused.status_code == 422 and "129" in refused.json()["detail"]
