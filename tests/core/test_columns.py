"""The columns: what is written is read again, and what is no column is refused whole."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core import columns
from rxfero.core.change import Record
from rxfero.core.columns import Batch, read_numbers, write_numbers
from rxfero.core.path import wire
from rxfero.core.position import Term
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError
from tests.core.test_path import paths

A, B = Term(1, 7), Term(2, 1 << 63)
LIMIT = 100

terms = st.builds(Term, st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 64) - 1))
records = st.lists(
    st.builds(
        Record,
        st.sampled_from([A, B]) | terms,
        st.integers(1, 1 << 60),
        st.integers(0, 5),
        st.sampled_from(["", "a", "b"]),
        st.integers(0, 1 << 60),
        st.just(()) | paths.map(wire),
        st.sampled_from(["update", "add", ""]),
        st.binary(max_size=8),
        st.sampled_from([5, 6, 7]) | st.integers(0, (1 << 64) - 1),
        st.none() | st.tuples(terms, st.integers(0, 99)),
        st.sampled_from([0, 0, 99]),
    ),
    min_size=1,
    max_size=12,
)


def sent(body: list[Any]) -> list[Any]:
    return unpack_body(pack_body(body))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=12), st.data())
def test_pieces_are_the_records_in_their_order(where: list[int], data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.integers(0, 1), min_size=len(where), max_size=len(where)))
    given_ = [Record(A, n, kind, "s", n, "k", "add", b"", n, None, 0) for n, kind in enumerate(kinds)]
    found = [(shard, list(run)) for shard, run in columns.pieces(where, given_)]
    assert [record for _, run in found for record in run] == given_
    assert [shard for shard, run in found for _ in run] == where
    assert all(len({record.kind for record in run}) == 1 for _, run in found)


@given(terms, records, st.data())
def test_records_come_back_as_they_went(fence: Term, given_: list[Record], data: Any) -> None:
    where = data.draw(st.lists(st.integers(0, 3), min_size=len(given_), max_size=len(given_)))
    batch = columns.read(sent(columns.write(fence, where, given_)), LIMIT)
    assert batch == Batch(fence, where, given_, max(r.term for r in given_))
    assert [type(r) for r in batch.records] == [Record] * len(given_)
    assert type(batch.fence) is Term
    assert all(type(r.term) is Term for r in batch.records)


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_runs_are_short_and_spread_again(column: list[str]) -> None:
    pairs = columns.runs(column)
    assert list(columns.spread(pairs)) == column
    assert all(one[0] != other[0] for one, other in pairwise(pairs))


def test_what_repeats_travels_once() -> None:
    written = [Record(A, n, 0, "s", n, "k", "update", b"\x01", 9 + n, None, 0) for n in (1, 2)]
    assert columns.write(A, [3, 3], written) == [
        A, 3, [[A, 2]], (1, 2), None, [["s", 2]], (1, 2), ("k", "k"), "update",
        (b"\x01", b"\x01"), 10, None, None,
    ]  # fmt: skip


def good() -> list[Any]:
    made = [
        Record(t, n, 1, sid, n, ("k", n), verb, b"\x01", hlc, (A, 3), 5)
        for n, (t, sid, verb, hlc) in enumerate(
            [(A, "a", "update", 7), (A, "a", "add", 3), (B, "b", "add", 9)], 1
        )
    ]
    return sent(columns.write(B, [1, 2, 3], made))


HUGE = 1 << 64
FIELDS = [
    "fence", "shards", "terms", "numbers", "kinds", "sids", "seqs", "keys", "verbs", "values",
    "stamps", "origins", "expires",
]  # fmt: skip
BAD: list[tuple[str, Any]] = [
    ("fence", 1), ("fence", [1]), ("fence", ["a", "b"]), ("fence", [1, None]), ("fence", [-1, 0]),
    ("fence", [HUGE - 1, 0]),
    ("shards", "123"), ("shards", [1, 2]), ("shards", [1, 2, -1]), ("shards", [1, 2, True]),
    ("shards", {}), ("shards", -1),
    ("terms", 5), ("terms", []), ("terms", [[[1, 7], 2]]), ("terms", [[[1, 7], 3.0]]),
    ("terms", [[["a", 7], 3]]), ("terms", [[[1, 7, 9], 3]]), ("terms", [[[1, -7], 3]]),
    ("terms", [[[1, 7], -1], [[2, 7], 4]]), ("terms", [[[1, 7], 0], [[2, 7], 3]]),
    ("terms", [[[1, 7], 1 << 62], [[1, 7], 3 - (1 << 62)]]),
    ("numbers", 3), ("numbers", []), ("numbers", [1, 2]), ("numbers", [0, 1, 2]),
    ("numbers", [1, 2, "3"]), ("numbers", [1, 2, None]),
    ("kinds", 1), ("kinds", [1, 1]), ("kinds", [1, 1, "1"]), ("kinds", [1, 1, 6]),
    ("kinds", [1, 1, -1]),
    ("sids", "abc"), ("sids", [["a", 4]]), ("sids", [[7, 3]]), ("sids", [[["a"], 3]]),
    ("seqs", [1, 2]), ("seqs", [1, 2, None]), ("seqs", None), ("seqs", [1, 2, -1]),
    ("keys", ["a", "b"]), ("keys", ["a", "b", None]), ("keys", ["a", "b", 1.5]),
    ("keys", ["a", "b", ""]), ("keys", ["a", "b", ["x"] * 33]), ("keys", ["a", "b", "x" * 1025]),
    ("keys", ["a", "b", {}]),
    ("verbs", 1), ("verbs", ["add", "add"]), ("verbs", ["add", "add", 1]),
    ("verbs", {"a": 1, "b": 2, "c": 3}),
    ("values", [b"", b""]), ("values", [b"", b"", "x"]), ("values", b"abc"),
    ("stamps", "abc"), ("stamps", [1, 2]), ("stamps", [1, 2, None]), ("stamps", [1, 2, 1.0]),
    ("stamps", None), ("stamps", -1), ("stamps", [1, 2, -1]),
    ("origins", [None, None]), ("origins", [None, None, 3]), ("origins", [None, None, [1, 2]]),
    ("origins", [None, None, [[1, 2], "3"]]), ("origins", [None, None, [["a", 2], 3]]),
    ("expires", [0, 0]), ("expires", [0, 0, None]), ("expires", 0), ("expires", [0, 0, -1]),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), BAD, ids=lambda x: repr(x)[:40])
def test_a_column_that_is_none_is_refused(field: str, value: Any) -> None:
    body = good()
    assert len(columns.read(copy.deepcopy(body), 3).records) == 3
    body[FIELDS.index(field)] = value
    with pytest.raises(ProtocolError):
        columns.read(body, LIMIT)


def test_more_records_than_the_limit_are_refused() -> None:
    with pytest.raises(ProtocolError, match="3 records in a frame, the limit is 2"):
        columns.read(good(), 2)
    with pytest.raises(ProtocolError, match="12 columns"):
        columns.read(good()[:-1], LIMIT)


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), HUGE - 1) | st.floats() | st.text(max_size=3)
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 12), json)
def test_whatever_comes_is_read_or_refused(place: int, value: Any) -> None:
    body = good()
    body[place] = value
    try:
        batch = columns.read(body, LIMIT)
    except ProtocolError:
        return
    assert len(batch.shards) == len(batch.records) == 3
    columns.write(batch.fence, batch.shards, batch.records)


@given(st.lists(st.integers(1, 1 << 40), min_size=1, max_size=20))
def test_request_numbers_come_back_as_they_went(numbers: list[int]) -> None:
    assert list(read_numbers(sent(write_numbers(numbers)), LIMIT)) == numbers


@given(st.integers(1, 1 << 40), st.integers(1, LIMIT))
def test_dense_request_numbers_are_two_integers(first: int, count: int) -> None:
    dense = range(first, first + count)
    assert write_numbers(dense) == write_numbers(list(dense)) == [first, count]
    assert read_numbers([first, count], LIMIT) == dense


@pytest.mark.parametrize(
    "spec",
    [
        None, 5, [], [1], [1, 2, 3], "ab", [0, 5], [0, []], [0, [1] * 101], [1, 0], [1, -1],
        [1, 101], [1, [1]], [-1, 3], [1.0, 3], ["1", 3], [True, 3], [0, {}], [0, (1 << 64) - 1],
        [0, ["1"]], [0, [None]], [0, [[]]], [0, [1.0]], [0, [True]], [0, [1, 0]], [0, [1, -1]],
        [0, [1 << 62]], [1 << 62, 1],
    ],
    ids=repr,
)  # fmt: skip
def test_request_numbers_that_are_none_are_refused(spec: Any) -> None:
    with pytest.raises(ProtocolError):
        read_numbers(spec, LIMIT)
