"""The files of a bundle and what its manifest says of them."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import TensorError
from sakuga.engine.text.tokenizer import Tokenizer, clip_tokenizer
from sakuga.export.assemble import TOKEN_EMBEDDING, Assembly, assemble
from sakuga.export.build import build
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.graph_files import graph_versions
from sakuga.export.network_graph import network_graphs
from sakuga.profiles.families import SD15_TINY, SDXL_TINY
from sakuga.profiles.weights import weights

Array = NDArray[Any]


def silent(stage: str, done: int, total: int) -> None:
    return None


def test_the_hook_sees_every_tensor_once(sdxl_file: Path, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def adapt(name: str, values: Array) -> Array:
        seen[name] += 1
        return values

    build(sdxl_file, tmp_path / "b", adapt=adapt)
    tensors = {f"{part}/{name}" for part, shapes in weights(SDXL_TINY).items() for name in shapes}
    assert seen.keys() == tensors
    assert set(seen.values()) == {1}


@pytest.mark.parametrize(
    "tensor, file",
    [
        ("unet/conv_in.bias", "onnx/unet/weights.bin"),
        (f"text_encoder/{TOKEN_EMBEDDING}", "text/text_encoder.npy"),
    ],
)
def test_what_the_hook_changes_is_what_is_written(
    sd15_file: Path, sd15_bundle: Bundle, tmp_path: Path, tensor: str, file: str
) -> None:
    def adapt(name: str, values: Array) -> Array:
        return values * 2 if name == tensor else values

    before, after = sd15_bundle.manifest, build(sd15_file, tmp_path / "b", adapt=adapt).manifest
    assert {name for name in before.files if before.files[name] != after.files[name]} == {file}


def test_a_tensor_the_hook_lays_out_otherwise_is_written_the_same(
    sd15_file: Path, sd15_bundle: Bundle, tmp_path: Path
) -> None:
    def adapt(name: str, values: Array) -> Array:
        return np.asfortranarray(values)

    assert build(sd15_file, tmp_path / "b", adapt=adapt).manifest == sd15_bundle.manifest


def test_what_the_hook_breaks_is_refused(sd15_file: Path, tmp_path: Path) -> None:
    def adapt(name: str, values: Array) -> Array:
        return values * np.float32(np.inf) if name == "unet/conv_in.bias" else values

    with pytest.raises(TensorError, match=r"conv_in\.bias"):
        build(sd15_file, tmp_path / "b", adapt=adapt)
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_lists_every_file_as_it_is(sdxl_bundle: Bundle) -> None:
    on_disk = {
        path.relative_to(sdxl_bundle.path).as_posix(): path
        for path in sdxl_bundle.path.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert sdxl_bundle.manifest.files.keys() == on_disk.keys()
    for name, entry in sdxl_bundle.manifest.files.items():
        data = on_disk[name].read_bytes()
        assert (entry.size_bytes, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_manifest_says_where_the_bundle_comes_from(
    sdxl_bundle: Bundle, sdxl_file: Path
) -> None:
    manifest, digest = sdxl_bundle.manifest, hashlib.sha256(sdxl_file.read_bytes()).hexdigest()
    assert manifest.checkpoint.sha256 == digest
    assert manifest.checkpoint.model_hash == digest[:10]
    assert manifest.checkpoint.name == "sdxl-tiny"
    assert manifest.checkpoint.layout == "single"
    assert manifest.family == "sdxl-tiny"
    assert manifest.prediction == "epsilon"
    assert manifest.exporter == graph_versions()
    assert manifest.preset is None and manifest.loras == ()


@pytest.mark.parametrize(
    "name, dtype", [("sdxl_bundle", "float32"), ("sdxl_fp16_bundle", "float16")]
)
def test_token_embeddings_are_the_checkpoint_s(
    name: str, dtype: str, sdxl_file: Path, request: pytest.FixtureRequest
) -> None:
    bundle: Bundle = request.getfixturevalue(name)
    with open_checkpoint(sdxl_file) as checkpoint:
        for config in SDXL_TINY.text_encoders:
            expected = checkpoint.components[config.name].read(TOKEN_EMBEDDING)
            found = np.load(bundle.token_embedding(config.name), allow_pickle=False)
            assert found.dtype == dtype
            assert np.array_equal(found, expected.astype(dtype))


def test_the_tokenizer_is_the_shipped_one(sdxl_bundle: Bundle) -> None:
    text = "1girl, green hair, \u82b1 masterpiece!"
    assert Tokenizer.load(sdxl_bundle.tokenizer).encode(text) == clip_tokenizer().encode(text)


def test_the_size_is_known_beforehand(sdxl_file: Path, sdxl_bundle: Bundle) -> None:
    with open_checkpoint(sdxl_file) as checkpoint:
        plans = network_graphs(SDXL_TINY, "onnx", "fp32")
        estimate = Assembly(checkpoint, plans, Path("unused")).size_bytes
    real = sum(entry.size_bytes for entry in sdxl_bundle.manifest.files.values())
    assert real <= estimate <= real + (1 << 25)


def test_progress_counts_to_the_end_of_each_network(sd15_file: Path, tmp_path: Path) -> None:
    reports: dict[str, list[tuple[int, int]]] = {}

    def note(stage: str, done: int, total: int) -> None:
        reports.setdefault(stage, []).append((done, total))

    with open_checkpoint(sd15_file) as checkpoint:
        plans = network_graphs(SD15_TINY, "onnx", "fp32")
        assemble(Assembly(checkpoint, plans, tmp_path / "b"), note)
    assert list(reports) == ["text_encoder", "unet", "vae_decoder", "vae_encoder"]
    for counts in reports.values():
        assert [done for done, _ in counts] == sorted(done for done, _ in counts)
        assert counts[-1][0] == counts[-1][1]
