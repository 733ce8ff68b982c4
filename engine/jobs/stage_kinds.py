"""Stages as the values of fields: objects, or words such as `1.5:dat_x2:0.45`.

Words are values between colons, in a fixed order, of which any may be empty; behind them, after one
more colon, what else there is as `name=value` between commas: `face:0.5:prompt=blue eyes, smile`. A
comma that no name of the stage follows belongs to the value.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.kinds import Kind

LONGEST = 1 << 16  # characters of words
Slot = Callable[[str], str]  # from a value between colons to the name of its field

_BEGIN = re.compile(r"(?:^|:)\s*(?=[A-Za-z_]\w*\s*=)")
_NAME = re.compile(r"(?:^|,)\s*([A-Za-z_]\w*)\s*=")


@dataclass(frozen=True)
class Form:
    """What one stage may say. `fields`: by name; `slots`: which of them stand between colons, in
    order; `required`: what cannot be left out; `pattern`: of the words, for the schema; `example`
    of them."""

    make: Callable[..., Any]
    fields: Mapping[str, Kind]
    slots: Sequence[Slot]
    pattern: str
    example: str
    required: tuple[str, ...] = ()

    def read(self, value: object) -> Any:  # noqa: ANN401 (the stage's own type)
        """The stage of words or an object. Raises ValueError, UsageError."""
        if isinstance(value, str):
            value = dict(self._said(value))
        if not isinstance(value, dict):
            raise ValueError
        read = {name: self._field(name, each) for name, each in value.items()}
        given = {name: each for name, each in read.items() if each is not None}
        for name in self.required:
            if name not in given:
                raise UsageError(f"{name!r} is missing.", hint=f"An example: {self.example}")
        return self.make(**given)

    @property
    def schema(self) -> list[Mapping[str, Any]]:
        """The forms of its value in JSON."""
        properties = {
            name: dict(kind.schema)
            if name in self.required
            else {"anyOf": [dict(kind.schema), {"type": "null"}]}
            for name, kind in self.fields.items()
        }
        whole = {"type": "object", "properties": properties, "additionalProperties": False}
        if self.required:
            whole |= {"required": list(self.required)}
        return [{"type": "string", "maxLength": LONGEST, "pattern": self.pattern}, whole]

    def _said(self, words: str) -> Iterator[tuple[str, object]]:
        if len(words) > LONGEST or not re.search(self.pattern, words):
            raise ValueError
        begin = _BEGIN.search(words)
        head, rest = (
            (words, "") if begin is None else (words[: begin.start()], words[begin.end() :])
        )
        values = head.split(":") if head else []
        if len(values) > len(self.slots):
            raise ValueError(f"it has {len(values)} values between colons")
        pairs = [(slot(text), text) for slot, text in zip(self.slots, values, strict=False)]
        pairs = [*((name, text) for name, text in pairs if text.strip()), *self._named(rest)]
        names = [name for name, _ in pairs]
        for name, text in pairs:
            if names.count(name) > 1:
                raise ValueError(f"{name} is given twice")
            yield name, self.fields[name].from_text(text.strip())

    def _named(self, text: str) -> Iterator[tuple[str, str]]:
        marks = [mark for mark in _NAME.finditer(text) if self._is_name(mark)]
        ends = [*(mark.start() for mark in marks[1:]), len(text)]
        for mark, end in zip(marks, ends, strict=False):
            yield mark[1], text[mark.end() : end]

    def _is_name(self, mark: re.Match[str]) -> bool:
        """Whether it names a field; what looks as if it should is refused."""
        if mark[1] in self.fields:
            return True
        if mark.start() == 0 or get_close_matches(mark[1], self.fields, n=1):
            self._refuse(mark[1])
        return False

    def _field(self, name: str, value: object) -> Any:  # noqa: ANN401 (the field's own type)
        if name not in self.fields:
            self._refuse(name)
        kind = self.fields[name]
        if value is None:
            return None
        try:
            return kind.read(value)
        except ValueError as error:
            reason = f": {error}" if error.args else ""
            raise UsageError(
                f"{name!r} must be {kind.description}.",
                note=f"It is {str(value)[:80]!r}{reason}.",
                hint=f"An example: {self.example}",
            ) from error

    def _refuse(self, name: str) -> NoReturn:
        near = get_close_matches(name[:80], self.fields, n=1)
        raise UsageError(
            f"there is no {name[:80]!r} in it.",
            note=f"Known are {', '.join(self.fields)}.",
            hint=f"Did you mean {near[0]!r}?" if near else f"An example: {self.example}",
        )


def stage(form: Form, description: str) -> Kind:
    """A stage, once."""
    return Kind(description, form.read, {"anyOf": form.schema}, from_text)


def stages(form: Form, description: str, most: int) -> Kind:
    """A stage, or a list of up to `most` of them, to a tuple. A list of such lists is an axis."""

    def read(value: object) -> tuple[Any, ...]:
        several = value if isinstance(value, list) else [value]
        if len(several) > most:
            raise ValueError(f"it lists {len(several)}, and at most {most} are made")
        return tuple(map(form.read, several))

    several = {"type": "array", "items": {"anyOf": form.schema}, "maxItems": most}
    schema = {"anyOf": [*form.schema, several]}
    return Kind(description, read, schema, from_text, several)


def from_text(written: str) -> object:
    """The JSON value in a cell or an option: an object, a list, or words."""
    if not written.lstrip().startswith(("{", "[")):
        return written
    try:
        value: object = json.loads(written)
    except (ValueError, RecursionError):
        return written
    return value
