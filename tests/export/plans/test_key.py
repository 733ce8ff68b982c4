"""A plan's key: whatever makes two plans different makes two digests different."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.gpu import Gpu
from sakuga.export.plans.builder import Recipe
from sakuga.export.plans.flavour import Flavour
from sakuga.export.plans.key import PlanKey, plan_key, read_key
from sakuga.profiles.families import SDXL_TINY
from sakuga.profiles.networks import networks
from sakuga.profiles.plan_shapes import PlanShapes, profiles_of

Profiles = tuple[Mapping[str, tuple[tuple[int, ...], ...]], ...]

RANGE: Profiles = ({"latent": ((1, 4, 16, 16), (1, 4, 32, 32), (1, 4, 64, 64)), "t": ((1,),) * 3},)
KEY = PlanKey("rtx", "1.7.1.116", 1, "unet", "a" * 64, "b" * 64, ("sm89",), None, False, RANGE)
OTHERS = {
    "backend": ["tensorrt"],
    "version": ["1.7.1.117"],
    "builder": [2],
    "network": ["vae_decoder"],
    "graph_sha256": ["b" * 64, "A" * 64],
    "weights_sha256": ["a" * 64],
    "targets": [("sm120",), ("sm89", "sm120"), ("any",), ()],
    "gpu": ["NVIDIA H200 sm90", ""],
    "refittable": [True],
    "profiles": [(), RANGE * 2, ({"latent": ((1, 4, 16, 16),) * 3, "t": ((1,),) * 3},)],
}
GPU = Gpu("NVIDIA GeForce RTX 4090", "sm89", 24 << 30, "13.0")
FLAVOUR = Flavour("rtx", SimpleNamespace(), "1.7.1.116")

words = st.sampled_from(["", "a", "b", "ab", "sm89", '"', ","])
shapes = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=2).map(tuple)
profiles = st.lists(st.dictionaries(words, shapes, max_size=2), max_size=2).map(tuple)
keys = st.builds(
    PlanKey,
    backend=words,
    version=words,
    builder=st.integers(0, 2),
    network=words,
    graph_sha256=words,
    weights_sha256=words,
    targets=st.lists(words, max_size=2).map(tuple),
    gpu=st.none() | words,
    refittable=st.booleans(),
    profiles=profiles,
)


def recipe(kind: str = "range", batch: int = 4, targets: tuple[str, ...] = ("sm89",)) -> Recipe:
    shapes = PlanShapes("buckets" if kind == "buckets" else "range", SDXL_TINY.buckets, batch)
    profiles = profiles_of(networks(SDXL_TINY)["unet"], shapes)
    return Recipe("unet", Path("model.onnx"), profiles, targets, False)


@pytest.mark.parametrize("field", [field.name for field in fields(PlanKey)])
def test_each_field_changes_the_digest(field: str) -> None:
    """A new field fails here until it is among the others."""
    for value in OTHERS[field]:
        changed = replace(KEY, **{field: value})
        assert changed.digest != KEY.digest, value


@given(keys, keys)
def test_digests_are_equal_where_keys_are(one: PlanKey, other: PlanKey) -> None:
    assert (one.digest == other.digest) == (one == other)


@given(keys, st.sampled_from([field.name for field in fields(PlanKey)]), st.data())
def test_any_change_of_any_key_changes_its_digest(
    key: PlanKey, field: str, data: st.DataObject
) -> None:
    value = getattr(data.draw(keys), field)
    changed = replace(key, **{field: value})
    assert (changed.digest == key.digest) == (value == getattr(key, field))


@given(keys)
def test_a_key_reads_back_the_same(key: PlanKey) -> None:
    read = read_key(json.loads(json.dumps(asdict(key))))
    assert read == key
    assert read.digest == key.digest


@given(keys, keys)
def test_plans_that_differ_in_weights_alone_can_take_each_others(
    one: PlanKey, other: PlanKey
) -> None:
    same = replace(one, weights_sha256=other.weights_sha256) == other
    assert (one.digest_without_weights == other.digest_without_weights) == same


def test_the_digest_is_a_name_for_a_file() -> None:
    assert len(KEY.digest) == 64
    assert set(KEY.digest) <= set("0123456789abcdef")


def test_the_order_in_which_inputs_are_named_does_not_matter() -> None:
    (profile,) = RANGE
    turned = dict(reversed(list(profile.items())))
    assert list(turned) != list(profile)
    assert replace(KEY, profiles=(turned,)).digest == KEY.digest


def test_the_key_of_a_recipe_follows_its_shapes_and_targets() -> None:
    base = plan_key(FLAVOUR, recipe(), ("a", "b"), None)
    assert (base.graph_sha256, base.weights_sha256) == ("a", "b")
    assert base.profiles[0]["sample"] == ((1, 4, 20, 20), (2, 4, 32, 32), (8, 4, 48, 48))
    refittable = replace(recipe(), refittable=True)
    for other in (
        recipe("buckets"),
        recipe(batch=5),
        recipe(targets=("sm89", "sm120")),
        refittable,
    ):
        assert plan_key(FLAVOUR, other, ("a", "b"), None).digest != base.digest
    assert plan_key(FLAVOUR, recipe(), ("a", "c"), None).digest != base.digest
    assert plan_key(FLAVOUR, recipe(), ("a", "b"), None).digest == base.digest


def test_where_the_graph_lies_does_not_matter() -> None:
    elsewhere = replace(recipe(), graph=Path("elsewhere") / "model.onnx")
    base = plan_key(FLAVOUR, recipe(), ("a", "b"), None)
    assert plan_key(FLAVOUR, elsewhere, ("a", "b"), None).digest == base.digest


def test_the_gpu_counts_where_the_plan_was_tuned_on_it_and_its_driver_does_not() -> None:
    ahead = plan_key(FLAVOUR, recipe(), ("a", "b"), None)
    assert ahead.gpu is None
    tuned = plan_key(FLAVOUR, recipe(), ("a", "b"), GPU)
    other = plan_key(FLAVOUR, recipe(), ("a", "b"), replace(GPU, name="NVIDIA L4"))
    cut = plan_key(FLAVOUR, recipe(), ("a", "b"), replace(GPU, capability="sm90"))
    assert len({key.digest for key in (ahead, tuned, other, cut)}) == 4
    driven = plan_key(FLAVOUR, recipe(), ("a", "b"), replace(GPU, driver="13.1"))
    assert driven.digest == tuned.digest
