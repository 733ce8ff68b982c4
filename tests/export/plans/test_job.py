"""`--gpu`, `--shapes` and `--max-batch` in words, and every way to get them wrong."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import MissingDependencyError, SizeError, TargetError, UsageError
from sakuga.engine.gpu import Gpu
from sakuga.export.plans import job as job_module
from sakuga.export.plans.flavour import Flavour, PlanBackend
from sakuga.export.plans.job import (
    PlanJob,
    Targets,
    check_refit,
    default_backend,
    plan_shapes,
    targets,
)
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SD15, SDXL, SDXL_TINY, TRACED, Family
from sakuga.profiles.plan_shapes import PlanShapes

DESKTOP = Gpu("NVIDIA GeForce RTX 4090", "sm89", 24 << 30, "13.0")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answers on machines with and without one."""
    monkeypatch.setattr(job_module, "find_gpu", lambda: None)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """A machine with a GPU."""
    monkeypatch.setattr(job_module, "find_gpu", lambda: DESKTOP)
    return DESKTOP


@pytest.mark.parametrize(
    "words, names",
    [
        ("sm89", ("sm89",)),
        ("89", ("sm89",)),
        ("sm_89", ("sm89",)),
        ("SM86, sm89 ,120", ("sm86", "sm89", "sm120")),
        ("sm120,sm89", ("sm89", "sm120")),  # one plan, one key
        ("sm89,89,SM89", ("sm89",)),
        ("any", ("any",)),
        ("ANY", ("any",)),
    ],
)
def test_capabilities_are_read_as_people_write_them(words: str, names: tuple[str, ...]) -> None:
    aims = targets("rtx", words)
    assert aims.names == names
    assert aims.tuned_on is None


@pytest.mark.parametrize(
    "words, what",
    [
        ("sm33", "'sm33' is no GPU target"),
        ("sm999", "'sm999' is no GPU target"),
        ("rtx4090", "'rtx4090' is no GPU target"),
        ("8.9", "'8.9' is no GPU target"),
        ("", "'' is no GPU target"),
        ("sm89,", "'' is no GPU target"),
        ("sm89 sm120", "'sm89 sm120' is no GPU target"),
        ("sm90", "cannot build for sm90"),
        ("sm89,sm100", "cannot build for sm100"),
        ("any,sm89", "stand alone"),
        ("current,any", "stand alone"),
        ("current", "no GPU here"),
    ],
)
def test_a_target_that_cannot_be_built_for_is_named(words: str, what: str) -> None:
    with pytest.raises(TargetError, match=what) as caught:
        targets("rtx", words)
    assert caught.value.note and caught.value.hint
    assert caught.value.exit_code == 2


def test_the_refusal_names_targets_that_are_taken() -> None:
    for words in ("sm90", "current"):
        with pytest.raises(TargetError) as caught:
            targets("rtx", words)
        named = caught.value.hint.rpartition("--gpu ")[2]
        assert targets("rtx", named).names


@given(st.text(max_size=12) | st.from_regex(r"(sm_?|SM)?\d{0,3}(,(any|current|sm89))?"))
def test_any_word_is_a_target_or_a_target_error(words: str) -> None:
    try:
        aims = targets("rtx", words)
    except TargetError:
        return
    assert set(aims.names) <= {"any", *aims.flavour.capabilities()}


def test_the_gpu_at_hand_tunes_the_plans_and_names_them(gpu: Gpu) -> None:
    aims = targets("rtx", "current")
    assert aims.tuned_on == gpu
    job = PlanJob(aims, plan_shapes("range", 4, SDXL))
    assert job.name == f"rtx-{aims.flavour.version}-sm89"


def test_plans_built_ahead_of_time_belong_to_no_gpu(gpu: Gpu) -> None:
    aims = targets("rtx", "sm89,sm120")
    assert aims.gpu == gpu and aims.tuned_on is None
    job = PlanJob(aims, plan_shapes("range", 4, SDXL))
    assert job.name == f"rtx-{aims.flavour.version}-sm89+sm120"


def test_plans_that_take_other_weights_are_built_on_their_gpu(gpu: Gpu) -> None:
    check_refit(targets("rtx", "current"))
    with pytest.raises(TargetError, match="built on their GPU") as caught:
        check_refit(targets("rtx", "sm89,sm120"))
    assert "--gpu sm89,sm120" in caught.value.note
    assert "--refit" in caught.value.hint


@pytest.mark.parametrize("version, right", [("11.2.9", True), ("11.3.0", False), ("11.4", True)])
def test_a_library_that_loses_biases_does_not_refit(gpu: Gpu, version: str, right: bool) -> None:
    aims = Targets(Flavour("tensorrt", SimpleNamespace(), version), ("current",), gpu)
    if right:
        check_refit(aims)
    else:
        with pytest.raises(TargetError, match=r"tensorrt 11\.3\.0 may lose biases"):
            check_refit(aims)


# What each library says it can build for; TensorRT names nothing and builds for the GPU at hand.
FULL, SOME, NONE_OF_IT = (), ("sm86", "sm89"), ("sm120",)


@pytest.mark.parametrize(
    "able, expected",
    [
        ({}, None),
        ({"rtx": SOME}, "rtx"),
        ({"rtx": NONE_OF_IT}, None),
        ({"tensorrt": FULL}, "tensorrt"),
        ({"tensorrt": FULL, "rtx": SOME}, "tensorrt"),
        ({"tensorrt": NONE_OF_IT, "rtx": SOME}, "rtx"),
    ],
)
def test_the_default_backend_needs_a_gpu_and_a_library_that_builds_for_it(
    able: dict[PlanBackend, tuple[str, ...]],
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(backend: PlanBackend) -> Flavour:
        if backend not in able:
            raise MissingDependencyError(f"no {backend}")
        names = SimpleNamespace()
        names.__dict__.update(dict.fromkeys(map(str.upper, able[backend])))
        return Flavour(backend, SimpleNamespace(ComputeCapability=names), "9.9")

    monkeypatch.setattr(job_module, "load_flavour", load)
    assert default_backend() is None
    monkeypatch.setattr(job_module, "find_gpu", lambda: DESKTOP)
    assert default_backend() == expected


@pytest.mark.parametrize("family", TRACED.values(), ids=TRACED.keys())
def test_buckets_and_range_are_those_of_the_family(family: Family) -> None:
    assert plan_shapes("buckets", 4, family) == PlanShapes("buckets", family.buckets, 4)
    assert plan_shapes("range", 2, family) == PlanShapes("range", family.buckets, 2)


@pytest.mark.parametrize(
    "words, sizes",
    [
        ("832x1216", [(832, 1216)]),
        (" 832x1216 , 1024x1024", [(832, 1216), (1024, 1024)]),
        ("1024x1024,832x1216,1024x1024", [(1024, 1024), (832, 1216)]),
        ("512x2048", [(512, 2048)]),
    ],
)
def test_sizes_are_taken_in_their_order_and_once(words: str, sizes: list[tuple[int, int]]) -> None:
    expected = tuple(Size(width, height) for width, height in sizes)
    assert plan_shapes(words, 1, SDXL) == PlanShapes("sizes", expected, 1)


@pytest.mark.parametrize(
    "words, size, near",
    [
        ("1000x1000", "1000x1000", "992x992"),
        ("832x1216,1024x1030", "1024x1030", "1024x1024"),
        ("64x64", "64x64", "512x512"),
        ("0x0", "0x0", "512x512"),
        ("1024x4096", "1024x4096", "512x2048"),
    ],
)
def test_a_size_the_family_does_not_render_is_named_with_its_neighbours(
    words: str, size: str, near: str
) -> None:
    with pytest.raises(SizeError, match=f"^{size} is no size that sdxl renders") as caught:
        plan_shapes(words, 4, SDXL)
    assert "multiples of 32 from 512 to 2048" in caught.value.note
    assert near in caught.value.hint


def test_the_rule_is_the_familys_own() -> None:
    assert plan_shapes("512x728", 4, SD15).sizes == (Size(512, 728),)
    with pytest.raises(SizeError):
        plan_shapes("512x728", 4, SDXL)
    with pytest.raises(SizeError):
        plan_shapes("1024x1024", 4, SDXL_TINY)


@pytest.mark.parametrize(
    "words",
    ["", ",", "big", "832", "832x", "x832", "-832x1216", "832x1216;1024x1024", "832 x 1216",
     "832x1216,", "Range", "1e3x512", "123456x512", "832x1216x2"],
)  # fmt: skip
def test_words_that_are_no_shapes_are_named(words: str) -> None:
    with pytest.raises(UsageError, match="--shapes does not know") as caught:
        plan_shapes(words, 4, SDXL)
    assert "buckets" in caught.value.note and "832x1216" in caught.value.hint


@given(st.text(max_size=15) | st.from_regex(r"\d{1,5}x\d{1,5}(,\d{1,4}x\d{1,4})?"))
def test_any_word_is_shapes_or_a_usage_error(words: str) -> None:
    try:
        found = plan_shapes(words, 4, SDXL)
    except UsageError:
        return
    assert found.sizes and all(map(SDXL.sizes.allows, found.sizes))


@pytest.mark.parametrize("batch", [-1, 0, 32, 1000])
def test_more_rows_than_a_graph_takes_are_refused(batch: int) -> None:
    with pytest.raises(UsageError, match=f"A batch of {batch} pictures") as caught:
        plan_shapes("range", batch, SDXL)
    assert "2 rows" in caught.value.note and "63" in caught.value.note
    assert "from 1 to 31" in caught.value.hint


@pytest.mark.parametrize("batch", [1, 31])
def test_the_smallest_and_the_largest_batch_are_taken(batch: int) -> None:
    assert plan_shapes("range", batch, SDXL).max_batch == batch
