"""Pickles of torch, read without running anything.

A pickle is a program for a small machine with a stack. The machine here knows the instructions
torch writes (protocol 2) and the names of `torch_values.py`, each of which makes an inert value;
whatever else a program asks for ends the reading. It takes a bounded number of steps, each of which
copies no more than its own bytes, so a program costs no more than it is long.

This is the only place where pickles are interpreted; `torch_file.py` reads what lies around them.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sakuga.engine.text.torch_values import NAMES, Kind, Module, Name, PickleError, Storage

EMBEDDING_STEPS = 20_000  # a file of A1111 takes 111
_MOST_LETTERS = 200  # of a name


@dataclass(frozen=True)
class Pickle:
    """What a pickle made: dictionaries, lists, tuples, texts, numbers and the values of
    `torch_values.py`. `end`: where it ends; `storages`: all it speaks of, by their keys."""

    value: object
    end: int
    storages: Mapping[str, Storage]


def read_pickle(data: bytes, start: int = 0, most_steps: int = EMBEDDING_STEPS) -> Pickle:
    """Run the pickle that begins at `start`. Raises PickleError."""
    machine = _Machine(data, start)
    value = machine.run(most_steps)
    return Pickle(value, machine.at, machine.storages)


class _Machine:
    """Runs one pickle. Every instruction is a method; `_INSTRUCTIONS` tells which."""

    def __init__(self, data: bytes, at: int) -> None:
        self.at = at
        self.storages: dict[str, Storage] = {}
        self._data = data
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    def run(self, most_steps: int) -> object:
        for _ in range(most_steps):
            code = self._number(1)
            if code == ord("."):
                return self._pop()
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                raise PickleError(f"it holds the instruction {code:#04x}, which torch never writes")
            instruction(self)
        raise PickleError(f"it takes more than {most_steps:,} steps")

    def _bytes(self, count: int) -> bytes:
        taken = self._data[self.at : self.at + count]
        if len(taken) < count:
            raise PickleError("it is cut off")
        self.at += count
        return taken

    def _number(self, count: int, signed: bool = False) -> int:
        return int.from_bytes(self._bytes(count), "little", signed=signed)

    def _text(self, count: int) -> str:
        try:
            return self._bytes(count).decode("utf-8")
        except UnicodeDecodeError:
            raise PickleError("it holds a text that is none") from None

    def _line(self) -> str:
        stop = self._data.find(b"\n", self.at, self.at + _MOST_LETTERS)
        if stop < 0:
            raise PickleError("it holds a name without an end")
        line = self._text(stop - self.at)
        self.at += 1
        return line

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> object:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise PickleError("it takes values that it never made")
        return self._stack.pop()

    def _pop_to_mark(self) -> list[object]:
        if not self._marks:
            raise PickleError("it takes values that it never made")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _protocol(self) -> None:
        if (version := self._number(1)) != 2:
            raise PickleError(f"it is of protocol {version}, and torch writes protocol 2")

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def _keep(self, number_bytes: int) -> None:
        value = self._pop()
        self._push(value)
        self._memo[self._number(number_bytes)] = value

    def _recall(self, number_bytes: int) -> None:
        number = self._number(number_bytes)
        if number not in self._memo:
            raise PickleError("it takes values that it never made")
        self._push(self._memo[number])

    def _append(self, values: list[object]) -> None:
        target = self._pop()
        if not isinstance(target, list):
            raise PickleError("it appends to what is no list")
        target += values
        self._push(target)

    def _set(self, values: list[object]) -> None:
        target = self._pop()
        if not isinstance(target, dict) or len(values) % 2:
            raise PickleError("it puts entries into what is no dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in (str, int):
                raise PickleError("it holds a dictionary whose keys are neither texts nor numbers")
            target[key] = value
        self._push(target)

    def _global(self) -> None:
        name = f"{self._line()}.{self._line()}"
        found = NAMES.get(name)
        if found is None:
            raise PickleError(f"it asks for {name!r}, which no tensor needs")
        self._push(found)

    def _persistent(self) -> None:
        """A storage: its kind, key, device and length; in streams with None behind it. Streams
        also give classes that way, with their source, of which nothing is read."""
        match self._pop():
            case ("storage", Kind() as kind, str(key), str(), int(count), *rest) if count >= 0:
                storage = Storage(kind, key, count)
                if rest in ([], [None]) and self.storages.setdefault(key, storage) == storage:
                    return self._push(storage)
            case ("module", Name() as name, *_):
                return self._push(name)
        raise PickleError("it asks for something outside of it that is no storage")

    def _call(self) -> None:
        arguments, name = self._pop(), self._pop()
        if not isinstance(arguments, tuple) or not isinstance(name, Name):
            raise PickleError("it calls what cannot be called")
        self._push(name.call(arguments))

    def _build(self) -> None:
        state, target = self._pop(), self._pop()
        if isinstance(target, dict) and isinstance(state, dict) and [*state] == ["_metadata"]:
            return self._push(target)  # versions of modules, which a state_dict carries along
        parameters = state.get("_parameters") if isinstance(state, dict) else None
        if not isinstance(target, Module) or not isinstance(parameters, dict):
            raise PickleError("it fills what is no dictionary of parameters")
        target.parameters = parameters
        self._push(target)


# Every instruction a pickle may hold, by its letter.
_INSTRUCTIONS: Mapping[int, Callable[[_Machine], None]] = {
    0x80: _Machine._protocol,
    ord("("): _Machine._mark,
    ord("}"): lambda machine: machine._push({}),
    ord("]"): lambda machine: machine._push([]),
    ord(")"): lambda machine: machine._push(()),
    ord("t"): lambda machine: machine._push(tuple(machine._pop_to_mark())),
    0x85: lambda machine: machine._tuple(1),
    0x86: lambda machine: machine._tuple(2),
    0x87: lambda machine: machine._tuple(3),
    ord("N"): lambda machine: machine._push(None),
    0x88: lambda machine: machine._push(True),
    0x89: lambda machine: machine._push(False),
    ord("K"): lambda machine: machine._push(machine._number(1)),
    ord("M"): lambda machine: machine._push(machine._number(2)),
    ord("J"): lambda machine: machine._push(machine._number(4, signed=True)),
    0x8A: lambda machine: machine._push(machine._number(machine._number(1), signed=True)),
    ord("G"): lambda machine: machine._push(struct.unpack(">d", machine._bytes(8))[0]),
    ord("X"): lambda machine: machine._push(machine._text(machine._number(4))),
    ord("q"): lambda machine: machine._keep(1),
    ord("r"): lambda machine: machine._keep(4),
    ord("h"): lambda machine: machine._recall(1),
    ord("j"): lambda machine: machine._recall(4),
    ord("a"): lambda machine: machine._append([machine._pop()]),
    ord("e"): lambda machine: machine._append(machine._pop_to_mark()),
    ord("s"): lambda machine: machine._set([machine._pop(), machine._pop()][::-1]),
    ord("u"): lambda machine: machine._set(machine._pop_to_mark()),
    ord("c"): _Machine._global,
    ord("Q"): _Machine._persistent,
    ord("R"): _Machine._call,
    0x81: _Machine._call,
    ord("b"): _Machine._build,
}
