"""Verification: what passes, what does not, and that it judges."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import BuildError
from sakuga.export.assemble import unchanged
from sakuga.export.bind import Adapt
from sakuga.export.build import BuildOptions, build
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.relative_error import relative_error
from sakuga.export.verify import BARS, Weights, verify

Array = NDArray[Any]
TENSOR = "text_encoder/text_model.final_layer_norm.weight"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def silent(stage: str, done: int, total: int) -> None:
    return None


def verified(bundle: Bundle, file: Path, adapt: Adapt = unchanged) -> dict[str, float]:
    with open_checkpoint(file) as checkpoint:
        return verify(Weights(checkpoint, adapt), bundle.path, bundle.manifest, silent)


def test_the_error_is_relative_to_the_largest_value() -> None:
    assert relative_error(np.array([1.0, 2.5]), np.array([1.5, -2.0])) == 4.5 / 2
    assert relative_error(np.zeros(2), np.zeros(2)) == 0
    assert relative_error(np.ones(2), np.zeros(2)) == math.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_infinitely_wrong(bad: float) -> None:
    good, broken = np.ones(3, np.float32), np.array([1, bad, 1], np.float32)
    assert relative_error(broken, good) == math.inf
    assert relative_error(good, broken) == math.inf
    assert relative_error(broken, broken) == math.inf


@pytest.mark.slow
def test_bundles_pass(
    sd15_bundle: Bundle, sd15_file: Path, sdxl_fp16_bundle: Bundle, sdxl_file: Path
) -> None:
    exact = verified(sd15_bundle, sd15_file)
    assert exact.keys() == sd15_bundle.manifest.networks.keys()
    assert 0 < max(exact.values()) <= BARS["float32"] == 1e-4
    half = verified(sdxl_fp16_bundle, sdxl_file)
    assert 1e-4 < half["unet"] <= 1e-2 < BARS["float16"]


@pytest.mark.parametrize("factor, figure", [(1.001, "e-0"), (np.nan, "inf")])
def test_another_network_is_refused(
    sd15_bundle: Bundle, sd15_file: Path, factor: float, figure: str
) -> None:
    def adapt(name: str, values: Array) -> Array:
        return values * np.float32(factor) if name == TENSOR else values

    with pytest.raises(BuildError, match="text_encoder is not what diffusers computes") as caught:
        verified(sd15_bundle, sd15_file, adapt)
    assert figure in caught.value.note and "0.0001" in caught.value.note
    assert caught.value.hint


def test_a_build_that_does_not_pass_leaves_nothing(sd15_file: Path, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def adapt(name: str, values: Array) -> Array:
        seen[name] += 1
        return values * np.float32(2) if name == TENSOR and seen[name] > 1 else values

    with pytest.raises(BuildError, match="text_encoder is not"):
        build(sd15_file, tmp_path / "new" / "b", BuildOptions(verify=True), adapt=adapt)
    assert list(tmp_path.iterdir()) == []


def test_a_build_with_changed_tensors_passes(sd15_file: Path, tmp_path: Path) -> None:
    def adapt(name: str, values: Array) -> Array:
        return values * np.float32(1.5) if "embedding" in name else values

    bundle = build(sd15_file, tmp_path / "b", BuildOptions(verify=True), adapt=adapt)
    assert 0 < max(bundle.manifest.verification.values()) <= BARS["float32"]
