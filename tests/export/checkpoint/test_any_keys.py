"""Any set of keys: a checkpoint opens, or is refused with a reason; never with a bare KeyError.

The files have the headers of real ones and holes for data, so that writing one takes no time.
"""

import json
import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sakuga.engine.errors import SakugaError, TensorError, UnknownFamilyError
from sakuga.export.checkpoint.folder_names import folder_tables
from sakuga.export.checkpoint.layouts import Checkpoint, open_checkpoint
from sakuga.export.checkpoint.ldm_unet import ema_unet_table
from sakuga.export.checkpoint.overrides import Overrides
from sakuga.export.checkpoint.single_file import single_file_tables
from sakuga.export.checkpoint.sources import Shape, stored_shape
from sakuga.profiles.families import SD15, SD15_TINY, SDXL, SDXL_TINY, Family
from sakuga.profiles.weights import weights

FAMILIES = (SDXL_TINY, SD15_TINY)
FAST = settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
NAMED = {
    ("sdxl", "text_encoder"): "text encoder",
    ("sdxl", "text_encoder_2"): "second text encoder",
    ("sdxl", "vae"): "VAE",
    ("sd15", "text_encoder"): "text encoder",
    ("sd15", "vae"): "VAE",
}


@cache
def required(family: Family) -> dict[str, Shape]:
    """Every key a single file must have, and its shape."""
    shapes = weights(family)
    return {
        source.key: stored_shape(source.operation, shapes[component][name])
        for component, table in single_file_tables(family).items()
        for name, (source, *_) in table.items()
    }


def write(path: Path, shapes: dict[str, Shape], dtype: str = "F16") -> Path:
    """A safetensors file of these shapes; its data is a hole."""
    entries, end = {}, 0
    for key, shape in shapes.items():
        size = 2 * math.prod(shape)
        entries[key] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + end)
    return path


def without(shapes: dict[str, Shape], gone: Iterable[str]) -> dict[str, Shape]:
    lost = set(gone)
    return {key: shape for key, shape in shapes.items() if key not in lost}


def opened(path: Path, overrides: Overrides | None = None) -> Checkpoint:
    with open_checkpoint(path, overrides) as checkpoint:
        return checkpoint


def keys_of(family: Family) -> st.SearchStrategy[set[str]]:
    """Some of the keys that must be there: scattered ones, or all under one beginning."""
    keys = sorted(required(family))
    beginnings = sorted({key[:end] for key in keys for end in range(len(key)) if key[end] == "."})
    scattered = st.sets(st.sampled_from(keys), min_size=1, max_size=40)
    together = st.sampled_from(beginnings).map(
        lambda start: {k for k in keys if k.startswith(start)}
    )
    return scattered | together


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_whole_set_opens(family: Family, tmp_path: Path) -> None:
    checkpoint = opened(write(tmp_path / "m.safetensors", required(family)))
    assert checkpoint.family == family
    assert checkpoint.ignored == checkpoint.unknown == ()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@FAST
@given(data=st.data())
def test_any_missing_keys_are_told(family: Family, tmp_path: Path, data: st.DataObject) -> None:
    gone = data.draw(keys_of(family))
    path = write(tmp_path / "m.safetensors", without(required(family), gone))
    with pytest.raises((TensorError, UnknownFamilyError)) as caught:
        opened(path)
    assert caught.value.note and caught.value.hint


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@FAST
@given(data=st.data())
def test_any_one_missing_key_is_named(family: Family, tmp_path: Path, data: st.DataObject) -> None:
    """Named by what diffusers calls it; without its first convolution a UNet is not known."""
    component = data.draw(st.sampled_from(sorted(weights(family))))
    table = single_file_tables(family)[component]
    name = data.draw(st.sampled_from(sorted(set(table) - {"conv_in.weight"})))
    key = table[name][0].key
    lost = {n for n, (source, *_) in table.items() if source.key == key}  # a fused one holds three
    with pytest.raises(TensorError, match=f"lacks {len(lost)} of the tensors") as caught:
        opened(write(tmp_path / "m.safetensors", without(required(family), [key])))
    for each in lost:
        assert f"{component}: {each}" in caught.value.note


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@FAST
@given(data=st.data())
def test_any_surplus_is_listed_or_refused(
    family: Family, tmp_path: Path, data: st.DataObject
) -> None:
    letters = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="._"))
    keys = sorted(required(family))  # too many to be spelled out, as hypothesis would do
    mixed = st.builds(lambda at, end: f"{keys[at]}.{end}", st.integers(0, len(keys) - 1), letters)
    added = data.draw(st.sets((letters | mixed).filter(bool), min_size=1, max_size=5))
    added -= required(family).keys()
    path = write(tmp_path / "m.safetensors", {**required(family), **dict.fromkeys(added, (2,))})
    try:
        checkpoint = opened(path)
    except UnknownFamilyError as error:
        assert error.note and error.hint
    else:
        assert set(checkpoint.ignored) | set(checkpoint.unknown) == added


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@FAST
@given(data=st.data())
def test_any_other_shape_is_told(family: Family, tmp_path: Path, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(required(family))))
    shape = tuple(data.draw(st.lists(st.integers(0, 40), max_size=4)))
    path = tmp_path / "m.safetensors"
    if shape == required(family)[key] or _same_matrix(shape, required(family)[key]):
        return
    with pytest.raises(SakugaError) as caught:
        opened(write(path, {**required(family), key: shape}))
    assert caught.value.hint


def _same_matrix(shape: Shape, usual: Shape) -> bool:
    """Projections may be written as matrices or as convolutions of 1x1."""
    return len(usual) == 4 and set(usual[2:]) == {1} and shape[:2] == usual[:2]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@FAST
@given(data=st.data())
def test_any_missing_average_is_told(family: Family, tmp_path: Path, data: st.DataObject) -> None:
    shapes = weights(family)["unet"]
    averages = {source.key: shapes[name] for name, (source,) in ema_unet_table(family).items()}
    gone = data.draw(st.sets(st.sampled_from(sorted(averages)), max_size=20))
    path = write(tmp_path / "m.safetensors", {**required(family), **without(averages, gone)})
    assert opened(path).unknown == ()
    if not gone:
        assert opened(path, Overrides(ema=True)).unknown == ()
        return
    with pytest.raises((TensorError, UnknownFamilyError)) as caught:
        opened(path, Overrides(ema=True))
    assert caught.value.hint


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@FAST
@given(data=st.data())
def test_any_missing_key_of_a_folder_is_told(
    family: Family, tmp_path: Path, data: st.DataObject
) -> None:
    shapes = weights(family)
    component = data.draw(st.sampled_from(sorted(shapes)))
    names = sorted(shapes[component])
    gone = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=10) | st.just(set(names)))
    for part in folder_tables(family):
        (tmp_path / part).mkdir(exist_ok=True)
        held = without(shapes[part], gone) if part == component else shapes[part]
        write(tmp_path / part / "model.safetensors", held)
    with pytest.raises((TensorError, UnknownFamilyError)) as caught:
        opened(tmp_path)
    assert caught.value.note and caught.value.hint


@pytest.mark.parametrize(("kind", "component"), NAMED)
def test_a_whole_missing_network_is_named(kind: str, component: str, tmp_path: Path) -> None:
    family = SDXL_TINY if kind == "sdxl" else SD15_TINY
    gone = {source.key for source, *_ in single_file_tables(family)[component].values()}
    with pytest.raises(TensorError, match=f"has no {NAMED[kind, component]} ?"):
        opened(write(tmp_path / "m.safetensors", without(required(family), gone)))


@pytest.mark.parametrize("family", [SDXL, SD15], ids=lambda family: family.name)
def test_the_full_families_are_known_by_their_headers(family: Family, tmp_path: Path) -> None:
    assert opened(write(tmp_path / "m.safetensors", required(family))).family == family


def test_distilled_sdxl_is_named(tmp_path: Path) -> None:
    """SSD-1B has four transformer layers where SDXL has ten."""
    gone = {key for key in required(SDXL) if ".transformer_blocks.9." in key}
    path = write(tmp_path / "m.safetensors", without(required(SDXL), gone))
    with pytest.raises(UnknownFamilyError, match="a distilled SDXL model"):
        opened(path)
