"""The real TensorRT for RTX, and recipes of networks it builds in a second."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from sakuga.engine.bundle import Bundle
from sakuga.export.plans.builder import Recipe
from sakuga.export.plans.flavour import Flavour, load_flavour
from sakuga.profiles.families import SDXL_TINY
from sakuga.profiles.networks import ShapeRange, networks
from sakuga.profiles.plan_shapes import PlanShapes, profiles_of

BATCH = 4
Unreadable = Callable[[str], Recipe]


@pytest.fixture(scope="session")
def flavour() -> Flavour:
    """TensorRT for RTX."""
    return load_flavour("rtx")


@pytest.fixture(scope="session")
def text_recipe(sdxl_fp16_bundle: Bundle) -> Recipe:
    """The first text encoder of sdxl-tiny for one GPU."""
    network = networks(SDXL_TINY)["text_encoder"]
    profiles = profiles_of(network, PlanShapes("range", SDXL_TINY.buckets, BATCH))
    return Recipe(network.name, sdxl_fp16_bundle.graph(network.name), profiles, ("sm89",), False)


@pytest.fixture
def unreadable(tmp_path: Path) -> Unreadable:
    """`unreadable(network)`: a graph with a node TensorRT does not know, the `culprit`."""

    def recipe(network: str) -> Recipe:
        nodes = [
            helper.make_node("Relu", ["x"], ["y"], name="innocent"),
            helper.make_node("Det", ["y"], ["z"], name="culprit"),
        ]
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", [2, 4, 4]), ("z", [2]))
        ]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
        opsets = [helper.make_opsetid("", 18)]
        path = tmp_path / "unreadable.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
        fixed = ShapeRange((2, 4, 4), (2, 4, 4), (2, 4, 4))
        return Recipe(network, path, ({"x": fixed},), ("sm89",), False)

    return recipe
