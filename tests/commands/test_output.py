"""The output: conditions, order, and values as text and JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from rxfero.commands.output import Output, dumps, parse, text_of
from rxfero.errors import ConfigurationError

ROWS: list[dict[str, Any]] = [
    {"name": "b", "keys": 10, "lag": None},
    {"name": "a", "keys": 2, "lag": 1.5},
    {"name": "c", "keys": 30, "lag": 0},
]
COLUMNS = ("name", "keys", "lag")


@pytest.mark.parametrize(
    ("conditions", "names"),
    [(["keys>2"], "bc"), (["keys>=2"], "bac"), (["keys<10"], "a"), (["keys<=10", "name!=a"], "b"),
     (["name=c"], "c"), (["name~"], "bac"), (["keys=10"], "b"), (["lag>0"], "a"), (["name>b"], "c"),
     (["keys>x"], ""), (["lag=null"], "b"), (["name = c"], "c")],
    ids=str,
)  # fmt: skip
def test_conditions_choose_rows(conditions: list[str], names: str) -> None:
    chosen = Output(where=tuple(conditions)).select(ROWS, COLUMNS)
    assert "".join(row["name"] for row in chosen) == names


@pytest.mark.parametrize(
    ("sort", "names"), [("name", "abc"), ("-name", "cba"), ("keys", "abc"), ("lag", "bca"), ("-lag", "acb")]
)
def test_rows_are_sorted(sort: str, names: str) -> None:
    assert "".join(r["name"] for r in Output(sort=sort).select(ROWS, COLUMNS)) == names


@pytest.mark.parametrize("wrong", ["keys", "=1", "keys ? 1", ""])
def test_what_is_no_condition_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="--where"):
        Output(where=(wrong,))


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"--where.*name, keys, lag"):
        Output(where=("size>1",)).select(ROWS, COLUMNS)
    with pytest.raises(ConfigurationError, match="--sort"):
        Output(sort="size").select(ROWS, COLUMNS)
    assert Output(where=("size=null",)).wanted({"name": "a"})
    with pytest.raises(ConfigurationError, match="--json"):
        Output(json=True, table=True)


@settings(deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8,
))  # fmt: skip
def test_json_is_one_line_and_reads_back(value: Any) -> None:
    line = dumps(value)
    assert "\n" not in line
    assert json.loads(line) == value
    assert parse(line) == value


def test_what_is_no_json_is_text_and_what_json_has_not_is_told() -> None:
    assert parse("plain text") == "plain text"
    assert parse("{") == "{"
    assert dumps(b"\x00\xff") == '{"$bytes": "AP8="}'
    assert dumps([datetime(2026, 1, 2, tzinfo=UTC), Text("x")]) == '["2026-01-02T00:00:00+00:00", "x"]'


def test_text_stays_on_its_line() -> None:
    assert text_of("a\tb\nc") == "a\\tb\\nc"
    assert (text_of(None), text_of(1.25), text_of(3), text_of(Text("x"))) == ("-", "1.2", "3", "x")
