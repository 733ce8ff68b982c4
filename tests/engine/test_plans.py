"""Which plans run on a machine: the field in the way is named, and the command that helps."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sakuga.engine import plans as plans_module
from sakuga.engine.bundle import Bundle
from sakuga.engine.doctor import examine
from sakuga.engine.errors import BundleFormatError, PlanMismatchError
from sakuga.engine.gpu import Gpu
from sakuga.engine.manifest import PlanSetEntry
from sakuga.engine.plans import Here, here, mismatch, rebuild_command, usable_plans

ADA = Gpu("NVIDIA GeForce RTX 4090", "sm89", 24 << 30, "13.0")
BLACKWELL = Gpu("NVIDIA GeForce RTX 5090", "sm120", 32 << 30, "13.0")
HOPPER = Gpu("NVIDIA H200", "sm90", 140 << 30, "13.0")
VERSIONS = {"rtx": "1.7.1.116"}
MACHINE = Here(VERSIONS, ADA)
AHEAD = PlanSetEntry(
    "rtx", "1.7.1.116", ("sm89", "sm120"), None, "range", ("256x256", "320x224"), 4, {}
)
TUNED = replace(AHEAD, targets=("current",), gpu="NVIDIA GeForce RTX 4090 (sm89)")
With = Callable[..., Bundle]


@pytest.fixture
def bundle_with(sdxl_bundle: Bundle) -> With:
    """`bundle_with(plans, …)`: a bundle whose manifest has these plan sets, by running letter."""

    def make(*plans: PlanSetEntry) -> Bundle:
        named = dict(zip("abc", plans, strict=False))
        return replace(sdxl_bundle, manifest=replace(sdxl_bundle.manifest, plans=named))

    return make


@pytest.mark.parametrize("gpu", [ADA, BLACKWELL])
def test_plans_run_where_library_and_target_are_theirs(gpu: Gpu) -> None:
    assert mismatch(AHEAD, Here(VERSIONS, gpu)) is None
    assert mismatch(replace(AHEAD, targets=("any",)), Here(VERSIONS, gpu)) is None


def test_tuned_plans_run_on_the_gpu_they_were_tuned_on() -> None:
    assert mismatch(TUNED, MACHINE) is None
    assert mismatch(TUNED, Here(VERSIONS, replace(ADA, driver="13.1", memory_bytes=1))) is None


@pytest.mark.parametrize(
    "plans, machine, reason",
    [
        (AHEAD, Here({}, ADA), "library: tensorrt-rtx is not installed"),
        (AHEAD, Here({"tensorrt": "10.13"}, ADA), "library: tensorrt-rtx is not installed"),
        (
            replace(AHEAD, backend="tensorrt"),
            MACHINE,
            "library: tensorrt is not installed",
        ),
        (
            AHEAD,
            Here({"rtx": "1.7.1.117"}, ADA),
            "version: built with 1.7.1.116, installed is 1.7.1.117",
        ),
        (AHEAD, Here(VERSIONS, None), "GPU: there is none here"),
        (
            AHEAD,
            Here(VERSIONS, HOPPER),
            "target: built for sm89, sm120, here is sm90 (NVIDIA H200)",
        ),
        (
            TUNED,
            Here(VERSIONS, replace(ADA, name="NVIDIA L40S")),
            "GPU: built on NVIDIA GeForce RTX 4090 (sm89), here is NVIDIA L40S (sm89)",
        ),
        (
            TUNED,
            Here(VERSIONS, BLACKWELL),
            "GPU: built on NVIDIA GeForce RTX 4090 (sm89), here is NVIDIA GeForce RTX 5090 (sm120)",
        ),
    ],
)
def test_the_field_in_the_way_is_named(plans: PlanSetEntry, machine: Here, reason: str) -> None:
    assert mismatch(plans, machine) == reason


def test_the_first_plans_that_run_are_taken(bundle_with: With) -> None:
    elsewhere = replace(AHEAD, targets=("sm86",))
    assert usable_plans(bundle_with(elsewhere, TUNED, AHEAD), MACHINE) == ("b", TUNED)
    assert usable_plans(bundle_with(AHEAD), MACHINE) == ("a", AHEAD)


def test_where_none_run_every_reason_is_given_and_what_to_do(bundle_with: With) -> None:
    bundle = bundle_with(replace(AHEAD, targets=("sm86",)), replace(AHEAD, version="1.8.0"))
    with pytest.raises(PlanMismatchError, match=f"No plan of {bundle.path.name}") as caught:
        usable_plans(bundle, MACHINE)
    assert "a: target: built for sm86, here is sm89" in caught.value.note
    assert "b: version: built with 1.8.0, installed is 1.7.1.116." in caught.value.note
    assert rebuild_command(bundle, MACHINE) in caught.value.hint


def test_a_bundle_without_plans_says_so(sdxl_bundle: Bundle) -> None:
    with pytest.raises(PlanMismatchError) as caught:
        usable_plans(sdxl_bundle, MACHINE)
    assert caught.value.note == "The bundle was built without plans."
    assert "--backend rtx" in caught.value.hint


def options_of(command: str) -> dict[str, str]:
    words = shlex.split(command)
    assert words[:2] == ["sakuga", "build"]
    return {"model": words[2], **dict(zip(words[3::2], words[4::2], strict=True))}


def test_the_command_builds_for_this_machine_what_the_bundle_has(bundle_with: With) -> None:
    listed = replace(AHEAD, shapes="sizes", max_batch=7)
    bundle = bundle_with(listed)
    assert options_of(rebuild_command(bundle, Here(VERSIONS, HOPPER))) == {
        "model": "MODEL",
        "--out": str(bundle.path),
        "--backend": "rtx",
        "--shapes": "256x256,320x224",
        "--max-batch": "7",
    }


def test_without_a_gpu_the_command_builds_ahead_of_time(bundle_with: With) -> None:
    found = options_of(rebuild_command(bundle_with(AHEAD), Here({"rtx": "1.8.0"}, None)))
    assert (found["--gpu"], found["--shapes"]) == ("sm89,sm120", "range")


def test_the_command_takes_a_library_that_is_installed(bundle_with: With) -> None:
    both = Here({"tensorrt": "10.13", "rtx": "1.7.1.116"}, ADA)
    full_only = Here({"tensorrt": "10.13"}, ADA)
    assert options_of(rebuild_command(bundle_with(AHEAD), both))["--backend"] == "rtx"
    assert options_of(rebuild_command(bundle_with(AHEAD), full_only))["--backend"] == "tensorrt"


def test_without_a_gpu_it_is_rtx_whatever_there_was(bundle_with: With) -> None:
    tuned = replace(AHEAD, targets=("current",), gpu="NVIDIA H200 (sm90)")
    found = options_of(rebuild_command(bundle_with(tuned), Here({"rtx": "1.8.0"}, None)))
    assert (found["--backend"], found["--gpu"]) == ("rtx", "any")
    found = options_of(rebuild_command(bundle_with(AHEAD), Here({"tensorrt": "10.13"}, None)))
    assert (found["--backend"], found["--gpu"]) == ("rtx", "sm89,sm120")


def test_a_path_with_a_space_is_one_word(bundle_with: With) -> None:
    bundle = replace(bundle_with(AHEAD), path=Path("/my models/demo.sakuga"))
    assert "/my models/demo.sakuga" in shlex.split(rebuild_command(bundle, MACHINE))


def test_this_machine_has_tensorrt_for_rtx() -> None:
    import tensorrt_rtx

    assert here().versions["rtx"] == tensorrt_rtx.__version__


def test_doctor_names_the_plans_of_a_bundle_and_what_keeps_them(
    rtx_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((name, plans),) = rtx_bundle.manifest.plans.items()
    place = f"{rtx_bundle.path}/plans/{name}"
    for gpu, words in (
        (ADA, "ready to run"),
        (None, "for sm89; here"),
    ):
        monkeypatch.setattr(plans_module, "find_gpu", lambda gpu=gpu: gpu)
        found = examine([rtx_bundle.path])
        assert found[place].startswith(words)
        assert "sakuga build" not in found[place]
        assert found["tensorrt-rtx"] == plans.version
    assert found["gpu"] == "none: pictures are rendered on the processor"


def test_doctor_names_the_command_for_another_gpu(
    rtx_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans_module, "find_gpu", lambda: HOPPER)
    ((name, _),) = rtx_bundle.manifest.plans.items()
    words = examine([rtx_bundle.path])[f"{rtx_bundle.path}/plans/{name}"]
    assert words.startswith("cannot run here, target: built for sm89, here is sm90")
    assert "sakuga build" in words


def test_doctor_of_a_bundle_without_plans_and_of_none(sdxl_bundle: Bundle, tmp_path: Path) -> None:
    found = examine([sdxl_bundle.path])
    assert found[str(sdxl_bundle.path)] == "no plans in it: it runs on ONNX Runtime"
    with pytest.raises(BundleFormatError):
        examine([tmp_path / "absent"])


def test_doctor_counts_the_plans_in_the_store(plans_at_hand: Path, rtx_bundle: Bundle) -> None:
    (plans,) = rtx_bundle.manifest.plans.values()
    found = examine()
    assert str(plans_at_hand) in found["plan store"]
    size = sum(path.stat().st_size for path in plans_at_hand.glob("*.plan"))
    kind = f"  rtx {plans.version} for sm89"
    assert found[kind] == f"5 plans, {size / 1e9:.2f} GB"
    (plans_at_hand / "0123.json").write_text("{")
    assert "cannot be read" in examine()["plan store"]
