"""What is counted in graphs: attentions as TensorRT fuses them, and resizes."""

import onnx
import pytest
from onnx import TensorProto, helper

from sakuga.export.network_graph import network_graphs
from sakuga.export.plans.graph_facts import GraphFacts, graph_facts
from sakuga.profiles.families import SD15, SDXL, TRACED, Family

Node = tuple[str, list[str], str]

PLAIN: list[Node] = [
    ("Mul", ["q", "scale"], "scaled"),
    ("MatMul", ["scaled", "k"], "scores"),
    ("Softmax", ["scores"], "shares"),
    ("MatMul", ["shares", "v"], "out"),
]


def facts_of(family: Family) -> dict[str, GraphFacts]:
    plans = network_graphs(family, "rtx", "fp16")
    return {plan.network.name: graph_facts(plan.model) for plan in plans}


def facts(nodes: list[Node]) -> GraphFacts:
    made = [
        helper.make_node(op, inputs, [out], to=TensorProto.FLOAT16)
        if op == "Cast"
        else helper.make_node(op, inputs, [out])
        for op, inputs, out in nodes
    ]
    return graph_facts(onnx.ModelProto(graph=helper.make_graph(made, "g", [], [])))


def test_the_networks_of_sdxl_have_the_attentions_of_their_blocks() -> None:
    """Two in each of the UNet's 70 transformer layers, one in each layer of a text encoder."""
    assert facts_of(SDXL) == {
        "text_encoder": GraphFacts(0, 12, 0),
        "text_encoder_2": GraphFacts(0, 32, 0),
        "unet": GraphFacts(140, 0, 2),
        "vae_decoder": GraphFacts(1, 0, 3),
        "vae_encoder": GraphFacts(1, 0, 0),
    }


def test_the_networks_of_sd15_have_the_attentions_of_their_blocks() -> None:
    assert facts_of(SD15) == {
        "text_encoder": GraphFacts(0, 12, 0),
        "unet": GraphFacts(32, 0, 3),
        "vae_decoder": GraphFacts(1, 0, 3),
        "vae_encoder": GraphFacts(1, 0, 0),
    }


@pytest.mark.parametrize("family", TRACED.values(), ids=TRACED.keys())
def test_no_softmax_is_left_out_and_only_text_is_masked(family: Family) -> None:
    for plan in network_graphs(family, "rtx", "fp16"):
        found = graph_facts(plan.model)
        softmaxes = sum(node.op_type == "Softmax" for node in plan.model.graph.node)
        assert found.attentions + found.masked_attentions == softmaxes > 0
        text = plan.network.name.startswith("text_encoder")
        assert (found.attentions == 0) == text
        assert (found.masked_attentions == 0) == (not text)


def test_an_attention_is_product_softmax_product() -> None:
    assert facts(PLAIN) == GraphFacts(1, 0, 0)
    assert facts(PLAIN * 2).attentions == 2


def test_casts_between_are_looked_through() -> None:
    casts: list[Node] = [
        *PLAIN[:2],
        ("Cast", ["scores"], "wide"),
        ("Softmax", ["wide"], "wide shares"),
        ("Cast", ["wide shares"], "shares"),
        PLAIN[3],
    ]
    assert facts(casts) == GraphFacts(1, 0, 0)


def test_a_mask_is_noticed() -> None:
    masked: list[Node] = [
        *PLAIN[:2],
        ("Add", ["scores", "mask"], "masked"),
        ("Softmax", ["masked"], "shares"),
        PLAIN[3],
    ]
    assert facts(masked) == GraphFacts(0, 1, 0)


@pytest.mark.parametrize(
    "nodes",
    [
        PLAIN[:3],  # the shares are the graph's output
        [*PLAIN[:3], ("Add", ["shares", "v"], "out")],
        [*PLAIN, ("Add", ["shares", "v"], "other")],  # read elsewhere too: cannot be fused
        [("Mul", ["q", "k"], "scores"), *PLAIN[2:]],
        PLAIN[2:],  # the scores are an input
        [*PLAIN[:3], ("Cast", ["shares"], "half")],
    ],
)
def test_what_is_no_attention_is_not_counted(nodes: list[Node]) -> None:
    assert facts(nodes) == GraphFacts(0, 0, 0)


def test_resizes_are_counted() -> None:
    assert (
        facts([("Resize", ["x", "", "scales"], "y"), ("Resize", ["y", "", "s"], "z")]).resizes == 2
    )
