"""The manifest: the same text back, and one clear error for everything else."""

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sakuga.engine.bundle import Bundle
from sakuga.engine.errors import BundleFormatError
from sakuga.engine.manifest import SCHEMA, CheckpointEntry, FileEntry, parse_manifest

Json = Any
Place = tuple[Any, ...]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def text(sdxl_bundle: Bundle) -> str:
    return sdxl_bundle.manifest.to_json()


def test_a_manifest_reads_back_the_same(sdxl_bundle: Bundle, text: str) -> None:
    assert parse_manifest(text) == sdxl_bundle.manifest
    assert parse_manifest(text).to_json() == text
    assert (sdxl_bundle.path / "manifest.json").read_text() == text


def test_fields_a_reader_does_not_know_do_no_harm(sdxl_bundle: Bundle, text: str) -> None:
    content = json.loads(text)
    content["colour"] = "green"
    content["networks"]["unet"]["colour"] = ["green"]
    assert parse_manifest(json.dumps(content)) == sdxl_bundle.manifest


def test_figures_of_a_verification_survive(text: str) -> None:
    content = json.loads(text) | {"verification": {"unet": 3e-6, "vae_decoder": 0}}
    manifest = parse_manifest(json.dumps(content))
    assert manifest.verification == {"unet": 3e-6, "vae_decoder": 0.0}


def test_the_bundle_hash_covers_what_decides_over_pixels(
    sdxl_bundle: Bundle, sdxl_fp16_bundle: Bundle
) -> None:
    manifest = sdxl_bundle.manifest
    assert re.fullmatch("[0-9a-f]{10}", manifest.bundle_hash)
    other = FileEntry(1, "0" * 64)
    changed = {
        replace(manifest, files={**manifest.files, name: other}).bundle_hash
        for name in manifest.files
    }
    assert len(changed | {manifest.bundle_hash}) == len(manifest.files) + 1
    assert sdxl_fp16_bundle.manifest.bundle_hash != manifest.bundle_hash
    trailing = replace(manifest, timestep_spacing="trailing")
    assert trailing.bundle_hash != manifest.bundle_hash
    planned = {**manifest.files, "plans/rtx-1.7-any/unet.plan": other, "build-report.json": other}
    assert replace(manifest, files=planned).bundle_hash == manifest.bundle_hash


def test_the_model_hash_is_ten_digits() -> None:
    entry = CheckpointEntry("m", "single", "e3c47aedb0" + "0" * 54, (), ())
    assert entry.model_hash == "e3c47aedb0"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '"schema"', "{}", '{"schema"}', "[" * 100_000, "\ufeff{}"],
    ids=["empty", "cut", "list", "null", "number", "text", "table", "no value", "deep", "mark"],
)
def test_garbage_is_no_manifest(text: str) -> None:
    with pytest.raises(BundleFormatError, match="is no manifest"):
        parse_manifest(text)


@given(JSON)
def test_any_json_is_refused_with_one_error(value: Json) -> None:
    with pytest.raises(BundleFormatError):
        parse_manifest(json.dumps(value))
    with pytest.raises(BundleFormatError):
        parse_manifest(json.dumps({"schema": SCHEMA, "files": value}))


def _places(value: Json, path: Place = ()) -> Iterator[Place]:
    """Where something stands in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _places(inner, (*path, key))


def _kind(value: object) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def test_every_field_is_needed(text: str) -> None:
    content = json.loads(text)
    named = ("files", "networks", "token_embeddings", "exporter", "axes")
    fields: list[Place] = [
        path
        for path in _places(content)
        if isinstance(path[-1], str) and not (len(path) > 1 and path[-2] in named)
    ]
    assert len(fields) > 50
    for path in fields:
        broken = copy.deepcopy(content)
        _inside(broken, path[:-1]).pop(path[-1])
        with pytest.raises(BundleFormatError):
            parse_manifest(json.dumps(broken))


def _inside(value: Json, path: Place) -> Json:
    for key in path:
        value = value[key]
    return value


@settings(max_examples=200)
@given(data=st.data())
def test_a_value_of_the_wrong_kind_is_refused(data: st.DataObject, text: str) -> None:
    content = json.loads(text)
    path = data.draw(st.sampled_from(list(_places(content))))
    wrong = data.draw(st.sampled_from([None, True, 1.5, {"a": 1}, [[]], {}, [], -1, "x"]))
    before = _inside(content, path)
    _inside(content, path[:-1])[path[-1]] = wrong
    try:
        manifest = parse_manifest(json.dumps(content))
    except BundleFormatError:
        return
    # What is read all the same has the kind it had, or is a text that may be None, or a dimension.
    texts = ("preset", "licence", "exact_decoder")
    assert _kind(wrong) == _kind(before) or path[0] in texts or "dims" in path
    assert json.loads(manifest.to_json()) == content or "verification" in path


@pytest.mark.parametrize(
    "field, value",
    [
        ("prediction", "x0"),
        ("precision", "int8"),
        ("dtype", "complex64"),
        ("layout", "gguf"),
        ("timestep_spacing", "karras"),
    ],
)
def test_words_outside_the_vocabulary_are_refused(text: str, field: str, value: str) -> None:
    content = json.loads(text)
    places = [path for path in _places(content) if path[-1] == field]
    assert places
    _inside(content, places[0][:-1])[field] = value
    with pytest.raises(BundleFormatError, match="lacks something"):
        parse_manifest(json.dumps(content))
