"""Files that torch itself writes, in both forms, against the tensors they were written from."""

import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.text.torch_file import TorchFile, read_torch
from sakuga.engine.text.torch_values import Module, PickleError, Tensor

archives = pytest.mark.parametrize("archive", [True, False], ids=["archive", "stream"])


def saved(value: object, archive: bool = True, **options: Any) -> bytes:  # noqa: ANN401
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of typed storages, by torch for itself
        torch.save(value, file, _use_new_zipfile_serialization=archive, **options)
    return file.getvalue()


def numbers(file: TorchFile, value: object) -> torch.Tensor:
    assert isinstance(value, Tensor)
    return torch.from_numpy(file.numbers(value))


def entry(file: TorchFile, *keys: str) -> Any:  # noqa: ANN401
    value: Any = file.value
    for key in keys:
        value = (value.parameters if isinstance(value, Module) else value)[key]
    return value


@archives
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str
)
def test_every_type_of_floats(archive: bool, dtype: torch.dtype) -> None:
    given = torch.randn(3, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    file = read_torch(saved({"<cat>": given}, archive))
    assert torch.equal(numbers(file, entry(file, "<cat>")), given.float())


@archives
@pytest.mark.parametrize("step", [500, 70_000, 2**40, -1, 0.5, None, True])
def test_all_that_a1111_writes(archive: bool, step: object) -> None:
    given = torch.nn.Parameter(torch.randn(3, 32))
    said = {"name": "猫", "step": step, "sd_checkpoint": "e3c4", "sd_checkpoint_name": "x"}
    token = {"string_to_token": {"*": torch.tensor(265)}}
    file = read_torch(saved(token | {"string_to_param": {"*": given}} | said, archive))
    assert torch.equal(numbers(file, entry(file, "string_to_param", "*")), given)
    assert {key: entry(file, key) for key in said} == said
    with pytest.raises(PickleError, match="no floats"):
        numbers(file, entry(file, "string_to_token", "*"))


@archives
def test_a_dictionary_of_parameters(archive: bool) -> None:
    given = torch.randn(2, 32)
    file = read_torch(saved({"string_to_param": torch.nn.ParameterDict({"*": given})}, archive))
    assert torch.equal(numbers(file, entry(file, "string_to_param", "*")), given)


@archives
def test_views_of_one_storage(archive: bool) -> None:
    table = torch.randn(9, 8)
    views = {
        "row": table[4:5],
        "column": table[:, 3],
        "turned": table.T,
        "every other": table[::2, 1::3],
        "spread": table[:1].expand(5, 8),
        "number": table[1, 1],
    }
    file = read_torch(saved(views, archive))
    for name, view in views.items():
        assert torch.equal(numbers(file, entry(file, name)), view), name


@given(st.data())
def test_any_view(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    view = torch.arange(float(np.prod(shape))).reshape(shape)
    view = view.permute(data.draw(st.permutations(range(len(shape)))))
    view = view[tuple(slice(data.draw(st.integers(0, size - 1)), None) for size in view.shape)]
    file = read_torch(saved({"a": view}, data.draw(st.booleans())))
    assert torch.equal(numbers(file, entry(file, "a")), view)


def test_another_protocol_is_not_torch_s() -> None:
    with pytest.raises(PickleError, match="of protocol 4"):
        read_torch(saved({"a": torch.ones(1)}, pickle_protocol=4))


def test_an_empty_tensor_is_none() -> None:
    file = read_torch(saved({"a": torch.ones(0, 32)}))
    with pytest.raises(PickleError, match="impossible shape"):
        numbers(file, entry(file, "a"))
