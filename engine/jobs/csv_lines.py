"""Job files of comma-separated values (RFC 4180): names of fields first, then a job a row."""

import csv
import io
from collections.abc import Iterator, Sequence

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.fields import FIELD_OF, FIELDS
from sakuga.engine.jobs.line import Line, Place, checked
from sakuga.engine.jobs.text_file import check_length

# A German Excel writes semicolons, a clipboard tabs. The names of the fields tell which it is.
DELIMITERS = (",", ";", "\t")
_PRIVATE_USE = range(0xE000, 0xF900)  # characters that stand for nothing


def read_csv(text: str, source: str) -> Iterator[Line]:
    """The jobs of a table. An empty cell is not given; a row of empty cells is none.

    Raises UsageError that names the line a row begins in, the column and the field.
    """
    rows = _rows(text, source)
    number, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    columns = {name: nth for nth, name in enumerate(names, 1)}
    _check_header(names, Place(source, number, columns))
    for number, row in rows:
        place = Place(source, number, columns)
        if len(row) != len(names):
            raise _other_width(len(row), names, place)
        cells = {name: cell for name, cell in zip(names, row, strict=True) if cell.strip()}
        given = {name: FIELDS[FIELD_OF[name]].from_text(cell) for name, cell in cells.items()}
        yield Line(place, checked(given, place))


def _rows(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that hold something, with the number of the line each begins in."""
    reader = csv.reader(_lines(text, source), delimiter=_delimiter(text), strict=True)
    begins = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(
            f"{source}, line {begins}: not a row of comma-separated values.",
            note=f"{error}.",
            hint='Put a cell that holds a comma or a quote into "…", and double a quote in it.',
        ) from error


def _lines(text: str, source: str) -> Iterator[str]:
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        check_length(line, source, number)
        yield line


def _delimiter(text: str) -> str:
    """What separates cells. Where the first row is one name nothing does: a spreadsheet quotes its
    own delimiter alone, and of the three nobody can say which that was."""
    headers = {each: _header(text, each) for each in DELIMITERS}
    if all(len(names) == 1 and names[0].strip() in FIELD_OF for names in headers.values()):
        return next((mark for mark in map(chr, _PRIVATE_USE) if mark not in text), DELIMITERS[0])
    return max(headers, key=lambda each: sum(name.strip() in FIELD_OF for name in headers[each]))


def _header(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []


def _check_header(names: Sequence[str], place: Place) -> None:
    if "" in names:
        raise UsageError(
            f"{place}, column {names.index('') + 1}: the column has no name.",
            hint="The first row names the fields, such as prompt,seed,steps.",
        )
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"{place.of(name)}: there are two columns {name!r}.", hint="Keep one of them."
            )
    checked(dict.fromkeys(names), place)


def _other_width(cells: int, names: Sequence[str], place: Place) -> UsageError:
    return UsageError(
        f"{place}: the row has {cells} cells, the first row {len(names)}.",
        note=f"Its fields are {', '.join(names)}.",
        hint='Put a cell that holds a comma into "…".',
    )
