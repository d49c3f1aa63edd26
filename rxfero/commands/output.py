"""The output: results on standard output as JSON, as a table, or as tab-separated text.

A row is a dict of plain values. What is said besides goes to standard error. A closed pipe ends a
command quietly: :mod:`rxfero.cli` sees to that.
"""

from __future__ import annotations

import base64
import json
import operator
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rxfero.errors import ConfigurationError

Row: TypeAlias = dict[str, Any]
_CONDITION: Final = re.compile(r"([\w.]+)\s*(!=|>=|<=|=|>|<|~)\s*(.*)", re.DOTALL)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
    ">=": operator.ge, "<=": operator.le, "~": lambda a, b: str(b) in str(a),
}  # fmt: skip


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """How rows are shown: a table on a terminal, else tab-separated text.

    Attributes:
        json: A line of JSON for each row.
        table: A table, also where there is no terminal.
        sort: Column to sort by; descending with a minus before it.
        where: Only rows for which this holds, as status=alive, keys>10, name~web; all of several.
    """

    json: bool = False
    table: bool = False
    sort: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    where: Annotated[tuple[str, ...], Parameter(negative="")] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ConfigurationError: JSON and a table at once, or a condition that is none.
        """
        if self.json and self.table:
            raise ConfigurationError("--table", True, "not together with --json")
        for condition in self.where:
            if _CONDITION.fullmatch(condition) is None:
                hint = "must be a column, one of = != > < >= <= ~, and a value"
                raise ConfigurationError("--where", condition, hint)

    @property
    def live(self) -> bool:
        """Whether a table can be redrawn."""
        return not self.json and sys.stdout.isatty()

    def select(self, rows: Iterable[Row], columns: Sequence[str] | None = None) -> list[Row]:
        """Give the rows that are wanted, in the order that is wanted.

        Raises:
            ConfigurationError: a condition or the order is about none of the columns.
        """
        chosen = list(rows)
        for condition in self.where:
            chosen = [row for row in chosen if self.fits(row, condition, columns)]
        if self.sort is not None:
            down = self.sort.startswith("-")
            name = _known(self.sort.removeprefix("-"), columns, "--sort")
            chosen.sort(key=lambda row: _order(row.get(name)), reverse=down)
        return chosen

    def wanted(self, row: Row) -> bool:
        """Whether one row is wanted."""
        return all(self.fits(row, condition, None) for condition in self.where)

    def fits(self, row: Row, condition: str, columns: Sequence[str] | None) -> bool:
        """Whether a condition holds for a row."""
        match = _CONDITION.fullmatch(condition)
        assert match is not None, "conditions are checked when they are given"
        name, how, text = match.groups()
        _known(name, columns, "--where")
        there, value = row.get(name), parse(text)
        if how in ("=", "!=") or type(there) is type(value) or how == "~":
            return _COMPARE[how](there, value)
        if isinstance(there, int | float) and isinstance(value, int | float):
            return _COMPARE[how](there, value)
        return False

    def show(self, rows: Sequence[Row], columns: Sequence[str]) -> None:
        """Print all rows."""
        if self.json:
            for row in rows:
                say(dumps(row))
        elif self.table or sys.stdout.isatty():
            screen = console()
            with screen.capture() as shown:  # it would end the process itself on a closed pipe
                screen.print(table_of(rows, columns))
            say(shown.get().rstrip("\n"))
        else:
            say("\t".join(columns))
            for row in rows:
                say("\t".join(text_of(row.get(name)) for name in columns))

    def line(self, row: Row, columns: Sequence[str]) -> None:
        """Print one row of many that are still to come."""
        if self.json:
            say(dumps(row))
        else:
            say("\t".join(text_of(row.get(name)) for name in columns))


def table_of(rows: Sequence[Row], columns: Sequence[str]) -> Table:
    """Give a table; numbers stand at the right."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        numbers = any(type(row.get(name)) in (int, float) for row in rows)
        made.add_column(name, justify="right" if numbers else "left", no_wrap=name in ("name",))
    for row in rows:
        made.add_row(*[cell(row.get(name)) for name in columns])
    return made


def cell(value: Any) -> Text:
    """Give a value as it stands in a table: one that has a colour brings it along."""
    return value if isinstance(value, Text) else Text(text_of(value))


def console() -> Console:
    """Give the console of standard output; as wide as need be where that is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=250)


def say(text: str) -> None:
    """Print a line of a result, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Print a line for a human, on standard error."""
    sys.stderr.write(f"rxfero: {text}\n")
    sys.stderr.flush()


def dumps(value: Any) -> str:
    """Give a value as one line of JSON; bytes and times as `{"$bytes": base64}` and ISO 8601."""
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(", ", ": "))


def parse(text: str) -> Any:
    """Read a value: JSON if it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def text_of(value: Any) -> str:
    """Give a value as text: text as it is on one line, nothing as -, the rest as JSON."""
    if value is None:
        return "-"
    if isinstance(value, Text):
        return value.plain
    if isinstance(value, str):
        return value.replace("\t", "\\t").replace("\n", "\\n")
    return f"{value:.1f}" if isinstance(value, float) else dumps(value)


def _plain(value: object) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Text):
        return value.plain
    return str(value)


def _known(name: str, columns: Sequence[str] | None, option: str) -> str:
    if columns is not None and name not in columns:
        raise ConfigurationError(option, name, f"must be about one of {', '.join(columns)}")
    return name


def _order(value: Any) -> tuple[int, Any]:
    """Give what orders values of any kind: nothing first, numbers, then text."""
    if value is None:
        return 0, 0
    if isinstance(value, int | float):
        return 1, value
    return 2, text_of(value)
