"""What a pickle of torch may name, and the inert values that stand for it.

Nothing here is torch's: a storage is a key, a tensor a view of it, a parameter its tensor. A name
that is not in `NAMES` cannot be said.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class PickleError(Exception):
    """Why a pickle cannot be read, in a few words."""


@dataclass(frozen=True)
class Kind:
    """The type of the numbers of a storage, as safetensors calls it, and the bytes of one."""

    dtype: str
    item_bytes: int


@dataclass(frozen=True)
class Storage:
    """A row of numbers that lies outside the pickle, by its key."""

    kind: Kind
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage, as its pickle has it: nothing is checked against the storage yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass
class Module:
    """A torch.nn.ParameterDict, and the parameters it holds."""

    parameters: dict[object, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Name:
    """What a name in a pickle stands for: `call` makes a value of arguments."""

    call: Callable[[tuple[object, ...]], object]


def _empty(arguments: tuple[object, ...]) -> object:
    if arguments:
        raise PickleError("it makes a dictionary of something")
    return {}


def _set_of_names(arguments: tuple[object, ...]) -> object:
    """Part of a module's state, of which nothing is used."""
    return None


def _module(arguments: tuple[object, ...]) -> object:
    return Module()


def _tensor(arguments: tuple[object, ...]) -> object:
    match arguments[:4]:
        case (Storage() as storage, int(offset), tuple(shape), tuple(strides)):
            if all(type(each) is int for each in (*shape, *strides)):
                return Tensor(storage, offset, shape, strides)
    raise PickleError("it makes a tensor of what is no storage with a shape")


def _parameter(arguments: tuple[object, ...]) -> object:
    if not arguments or not isinstance(arguments[0], Tensor):
        raise PickleError("it makes a parameter of what is no tensor")
    return arguments[0]


_KINDS = {
    "Double": Kind("F64", 8),
    "Float": Kind("F32", 4),
    "Half": Kind("F16", 2),
    "BFloat16": Kind("BF16", 2),
    "Long": Kind("I64", 8),
    "Int": Kind("I32", 4),
    "Short": Kind("I16", 2),
    "Char": Kind("I8", 1),
    "Byte": Kind("U8", 1),
    "Bool": Kind("BOOL", 1),
}

# Every name a pickle may say.
NAMES: Mapping[str, object] = {
    "collections.OrderedDict": Name(_empty),
    "__builtin__.set": Name(_set_of_names),
    "torch.nn.modules.container.ParameterDict": Name(_module),
    "torch._utils._rebuild_tensor": Name(_tensor),
    "torch._utils._rebuild_tensor_v2": Name(_tensor),
    "torch._utils._rebuild_parameter": Name(_parameter),
    **{f"torch.{name}Storage": kind for name, kind in _KINDS.items()},
}
