"""How many engines a cluster has room for."""

from dataclasses import replace
from typing import Any

import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.cluster.slots import find_slots
from sakuga.engine.manifest import PlanSetEntry

PLANS = PlanSetEntry("rtx", "1.7", ("any",), None, "buckets", ("128x128",), 4, {})


def node(cpus: int, gpus: int = 0, alive: bool = True) -> dict[str, Any]:
    """As Ray lists it; what a machine has none of is not there."""
    resources = {"CPU": float(cpus), "GPU": float(gpus), "memory": 1e9}
    return {"Alive": alive, "Resources": {name: each for name, each in resources.items() if each}}


@pytest.fixture
def planned_bundle(sdxl_bundle: Bundle) -> Bundle:
    """As far as its manifest goes."""
    manifest = replace(sdxl_bundle.manifest, plans={"rtx-1.7-any": PLANS})
    return replace(sdxl_bundle, manifest=manifest)


def test_one_engine_a_gpu(planned_bundle: Bundle, sdxl_bundle: Bundle) -> None:
    nodes = [node(16, 2), node(8, 1), node(4), node(64, 8, alive=False)]
    slots = find_slots(nodes, planned_bundle, None, None)
    assert (slots.count, slots.cpus, slots.gpus) == (3, 1, 1)
    assert str(slots) == "3 engines with a GPU each"
    assert find_slots(nodes, sdxl_bundle, "onnx-cuda", None) == slots


def test_processors_where_nothing_needs_a_gpu(planned_bundle: Bundle, sdxl_bundle: Bundle) -> None:
    nodes = [node(8, 1), node(4)]
    for bundle, backend in [(sdxl_bundle, None), (planned_bundle, "onnx")]:
        slots = find_slots(nodes, bundle, backend, 4)
        assert (slots.count, slots.cpus, slots.gpus, slots.note) == (3, 4, 0, "")
    assert str(find_slots([node(1)], sdxl_bundle, None, None)) == "1 engine on one core"
    assert find_slots([node(2)], planned_bundle, None, 1).count == 2


def test_an_engine_has_the_largest_machine_to_itself(sdxl_bundle: Bundle) -> None:
    slots = find_slots([node(0), node(8), node(6), node(8)], sdxl_bundle, None, None)
    assert (slots.count, slots.cpus) == (2, 8)
    assert slots.note == "Machines with fewer than 8 cores, without an engine: 1."


def test_no_room(sdxl_bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="has a GPU, which the backend rtx needs"):
        find_slots([node(8)], sdxl_bundle, "rtx", None)
    with pytest.raises(UsageError, match="has 9 cores for an engine") as error:
        find_slots([node(8), node(2)], sdxl_bundle, None, 9)
    assert error.value.note == "They have 8, 2."
    with pytest.raises(UsageError, match="has one core"):
        find_slots([node(0)], sdxl_bundle, None, None)
