"""A bundle with plans: what is in it, what its report says, what a second build takes over."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sakuga.engine.backend.cuda.opening import residency_of, sizes_of
from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.digests import file_sha256
from sakuga.engine.engine import Engine
from sakuga.engine.errors import BundleDamagedError
from sakuga.engine.manifest import Manifest
from sakuga.engine.runtime.request import Request
from sakuga.export.build import BuildOptions, build
from sakuga.export.plans import build_plans as build_plans_module
from sakuga.export.plans.build_plans import Site, build_plans
from sakuga.export.plans.job import PlanJob, plan_shapes, targets
from sakuga.export.plans.report import REPORT, BuildReport, read_report
from sakuga.export.plans.store import PlanStore
from sakuga.export.plans.worker import Record
from sakuga.profiles.families import SDXL_TINY
from sakuga.profiles.networks import networks
from sakuga.profiles.plan_shapes import PlanShapes, profiles_of

OPTIONS = BuildOptions(backend="rtx", gpu="sm89")
RANGE = PlanShapes("range", SDXL_TINY.buckets, 4)


def report_of(bundle: Bundle) -> BuildReport:
    report = read_report(bundle.path)
    assert report is not None
    return report


def reused(bundle: Bundle) -> dict[str, bool]:
    return {row.network: row.reused for row in report_of(bundle).networks}


def ignore(stage: str, done: int, total: int) -> None:
    return None


def flipped(path: Path) -> None:
    """Put a copy with one byte changed in the place of a file that may be a link."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def test_every_network_has_a_plan_for_the_gpu(rtx_bundle: Bundle) -> None:
    ((name, plans),) = rtx_bundle.manifest.plans.items()
    assert name == f"rtx-{plans.version}-sm89"
    assert (plans.backend, plans.targets, plans.gpu) == ("rtx", ("sm89",), None)
    assert (plans.shapes, plans.max_batch) == ("range", 4)
    assert plans.sizes == tuple(map(str, SDXL_TINY.buckets))
    assert list(plans.plans) == list(networks(SDXL_TINY)) == list(rtx_bundle.manifest.networks)
    for network, plan in plans.plans.items():
        assert plan.file == f"plans/{name}/{network}.plan"
        assert (rtx_bundle.path / plan.file).stat().st_size > 1_000_000


def test_the_manifest_says_which_shapes_each_profile_takes(rtx_bundle: Bundle) -> None:
    (plans,) = rtx_bundle.manifest.plans.values()
    for name, network in networks(SDXL_TINY).items():
        expected = tuple(
            {tensor: (s.minimum, s.optimum, s.maximum) for tensor, s in profile.items()}
            for profile in profiles_of(network, RANGE)
        )
        assert plans.plans[name].profiles == expected
    assert len(plans.plans["vae_decoder"].profiles) == len(SDXL_TINY.buckets) + 1


def test_the_manifest_says_what_memory_plans_need(rtx_bundle: Bundle) -> None:
    """The runtime plans with it before it loads anything."""
    (plans,) = rtx_bundle.manifest.plans.values()
    rows = {row.network: row for row in report_of(rtx_bundle).networks}
    for name, plan in plans.plans.items():
        assert plan.weights_bytes == rows[name].weights_bytes > 0
        assert plan.activation_bytes == rows[name].record.facts.activation_bytes > 0
    residency = residency_of(plans, 1 << 30)
    assert residency.rows == 8 and not residency.visitors
    assert sizes_of(rtx_bundle, plans).allows(SDXL_TINY.buckets[3])


def test_a_second_decoder_computes_in_float32(rtx_bundle: Bundle, sdxl_bundle: Bundle) -> None:
    """For pictures of which the mixed one makes NaN; it has no plan."""
    exact = rtx_bundle.manifest.exact_decoder
    assert exact == "onnx/vae_decoder_fp32/model.onnx"
    assert sdxl_bundle.manifest.exact_decoder is None
    latent = np.random.default_rng(0).standard_normal((1, 4, 16, 20), np.float32)
    found = OnnxSession(rtx_bundle.path / exact, 1).run({"latent": latent})["image"]
    wanted = OnnxSession(sdxl_bundle.graph("vae_decoder"), 1).run({"latent": latent})["image"]
    assert np.array_equal(found, wanted)


def test_manifest_and_report_agree(rtx_bundle: Bundle) -> None:
    manifest, report = rtx_bundle.manifest, report_of(rtx_bundle)
    ((name, plans),) = manifest.plans.items()
    assert report.plans == name
    assert [row.network for row in report.networks] == list(plans.plans)
    for row in report.networks:
        facts, plan = row.record.facts, plans.plans[row.network]
        assert manifest.files[plan.file].size_bytes == facts.size_bytes
        assert manifest.files[plan.file].sha256 == facts.sha256
        assert row.profiles == len(plan.profiles)
        assert row.precision == manifest.networks[row.network].precision
        weights = rtx_bundle.graph(row.network).with_name("weights.bin")
        assert row.weights_bytes == weights.stat().st_size
    assert manifest.files[REPORT].sha256 == file_sha256(rtx_bundle.path / REPORT)


def test_the_report_counts_what_is_worth_knowing(rtx_bundle: Bundle) -> None:
    report = report_of(rtx_bundle)
    rows = {row.network: row for row in report.networks}
    assert {name: row.precision for name, row in rows.items()} == {
        "text_encoder": "float16",
        "text_encoder_2": "float16",
        "unet": "float16",
        "vae_decoder": "mixed",
        "vae_encoder": "mixed",
    }
    for name, attentions in (("text_encoder", 3), ("text_encoder_2", 4), ("unet", 34)):
        assert rows[name].attentions == rows[name].record.facts.fused_attentions == attentions
    assert rows["unet"].graph.masked_attentions == 0
    assert [rows[name].graph.resizes for name in ("unet", "vae_decoder")] == [2, 3]
    for row in rows.values():
        assert 0 < row.record.scan.largest < 65_504
        assert row.record.facts.activation_bytes > 1_000_000
        assert row.record.facts.seconds > 0
    assert report.seconds > 0 and report.verification == {}
    assert report.peak_memory_bytes is None or report.peak_memory_bytes > 100_000_000


def test_the_table_has_a_line_for_each_network(rtx_bundle: Bundle) -> None:
    head, *lines = report_of(rtx_bundle).table().splitlines()
    assert head.startswith("network") and "largest float16" in head
    assert [line.split()[0] for line in lines] == list(rtx_bundle.manifest.networks)
    assert "34 of 34" in lines[2]
    for column in ("computes in", "plan", "profiles", "largest float16"):
        start = head.index(column)
        assert all(line[start - 1] == " " != line[start] for line in lines), column


@pytest.mark.parametrize("network", ["text_encoder", "unet"])
def test_a_flipped_byte_in_a_plan_is_damage_with_its_name(
    rtx_bundle: Bundle, network: str, tmp_path: Path
) -> None:
    copy = shutil.copytree(rtx_bundle.path, tmp_path / "copy.sakuga", copy_function=os.link)
    (plans,) = rtx_bundle.manifest.plans.values()
    flipped(copy / plans.plans[network].file)
    with pytest.raises(BundleDamagedError) as caught:
        open_bundle(copy)
    assert f"{plans.plans[network].file} has changed" in caught.value.note


def test_a_missing_plan_is_damage_with_its_name(rtx_bundle: Bundle, tmp_path: Path) -> None:
    copy = shutil.copytree(rtx_bundle.path, tmp_path / "copy.sakuga", copy_function=os.link)
    (plans,) = rtx_bundle.manifest.plans.values()
    (copy / plans.plans["vae_encoder"].file).unlink()
    with pytest.raises(BundleDamagedError) as caught:
        open_bundle(copy)
    assert f"{plans.plans['vae_encoder'].file} is missing" in caught.value.note


def test_a_second_build_takes_every_plan_over(
    rtx_bundle: Bundle,
    sdxl_file: Path,
    plans_at_hand: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(task: object, advance: object) -> Record:
        raise AssertionError("built again")

    said = list[str]()
    monkeypatch.setattr(build_plans_module, "run_worker", refuse)
    again = build(sdxl_file, tmp_path / "again.sakuga", OPTIONS, say=said.append)
    assert said == [f"Plans {report_of(again).plans}: all are there already."]
    assert set(reused(again).values()) == {True}

    def without_report(manifest: Manifest) -> Manifest:
        files = {name: entry for name, entry in manifest.files.items() if name != REPORT}
        return replace(manifest, files=files)

    assert without_report(again.manifest) == without_report(rtx_bundle.manifest)
    plan = "plans/" + report_of(again).plans + "/unet.plan"
    assert any((again.path / plan).samefile(path) for path in plans_at_hand.iterdir())


def test_a_damaged_plan_in_the_store_is_built_again_and_the_others_are_not(
    rtx_bundle: Bundle, sdxl_file: Path, plans_at_hand: Path, tmp_path: Path
) -> None:
    (plans,) = rtx_bundle.manifest.plans.values()
    stored = plans_at_hand / f"{plans.plans['text_encoder'].key[:32]}.plan"
    flipped(stored)
    told = list[float]()

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "plan text_encoder":
            told.append(done / total)

    again = build(sdxl_file, tmp_path / "b", OPTIONS, progress)
    assert {name for name, there in reused(again).items() if not there} == {"text_encoder"}
    place = plans.plans["text_encoder"].file
    assert file_sha256(stored) == again.manifest.files[place].sha256
    assert told == sorted(told) and told[-1] == 1.0


def test_a_plan_for_two_gpus_has_a_profile_for_each_size_named(
    rtx_bundle: Bundle, tmp_path: Path
) -> None:
    chosen = ("text_encoder", "vae_encoder")
    folder = shutil.copytree(rtx_bundle.path, tmp_path / "b", copy_function=os.link)
    shutil.rmtree(folder / "plans")
    manifest = rtx_bundle.manifest
    part = replace(
        manifest,
        networks={name: manifest.networks[name] for name in chosen},
        token_embeddings={chosen[0]: manifest.token_embeddings[chosen[0]]},
    )
    sizes = SDXL_TINY.buckets[:2]
    job = PlanJob(
        targets("rtx", "sm89,sm120"), plan_shapes(",".join(map(str, sizes)), 4, SDXL_TINY)
    )
    said = list[str]()
    made = build_plans(Site(job, folder, part, PlanStore(tmp_path / "s"), ignore, said.append))
    assert "2 of 2 to build: about" in said[0]
    profiles = {name: plan.profiles for name, plan in made.entry.plans.items()}
    counts = {name: len(found) for name, found in profiles.items()}
    assert counts == {"text_encoder": 1, "vae_encoder": 2}
    assert {row.network: row.profiles for row in made.report.networks} == counts
    for bucket, profile in zip(sizes, profiles["vae_encoder"], strict=True):
        assert set(profile["image"]) == {(1, 3, bucket.height, bucket.width)}
    assert (made.entry.shapes, made.entry.targets) == ("sizes", ("sm89", "sm120"))
    assert made.report.plans.endswith("-sm89+sm120")
    for place, entry in made.files.items():
        assert file_sha256(folder / place) == entry.sha256


def test_a_bundle_with_plans_still_renders_on_the_processor(
    rtx_bundle: Bundle, sdxl_engine: Engine
) -> None:
    request = Request("1girl, smile", width=128, height=160, steps=3, seed=5)
    expected = sdxl_engine.render(request).pixels.astype(np.float64)
    with Engine.open(rtx_bundle.path, threads=1) as engine:
        found = engine.render(request).pixels.astype(np.float64)
    assert found.shape == expected.shape == (160, 128, 3)
    assert np.abs(found - expected).mean() < 1.0
