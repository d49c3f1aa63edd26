"""Messages: columns that come back as they went, answers that are given once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core import messages
from rxfero.core.call import OK, Call
from rxfero.core.messages import (
    PENDING,
    REMEMBERED,
    SESSIONS,
    Dest,
    Inbound,
    Run,
    Shelf,
    Shelves,
    bare,
)
from rxfero.core.path import Path
from rxfero.core.value import pack, pack_body, unpack, unpack_body
from rxfero.errors import ProtocolError, ValueRefused

LIMIT = 65_536
DEST = Dest("wire", "client", "session")
SCALARS: Any = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8"), max_size=40), st.binary(max_size=40),
)  # fmt: skip
VALUES: Any = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=6,
)
KEYS: Any = st.none() | st.lists(st.text("abc.", min_size=1), min_size=1, max_size=3).map(tuple)
ROWS: Any = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from(["login", "é"]), KEYS, VALUES),
    min_size=1, max_size=20,
)  # fmt: skip


def calls_of(rows: list[tuple[int, str, Any, Any]]) -> list[Call]:
    number, calls = 0, list[Call]()
    for step, verb, key, value in rows:
        number += step
        call = Call(verb, None if key is None else Path(key), pack(value))
        call.number = number
        calls.append(call)
    return calls


@given(ROWS)
def test_a_batch_comes_back_as_it_went(rows: list[tuple[int, str, Any, Any]]) -> None:
    calls = calls_of(rows)
    body = unpack_body(pack_body(messages.write("session", calls)))
    got = messages.read(body, LIMIT)
    assert list(got.numbers) == [c.number for c in calls]
    assert list(got.verbs) == [c.verb for c in calls]
    keys = got.keys or [None] * len(calls)
    assert [None if k is None else tuple(k) for k in keys] == [row[2] for row in rows]
    assert got.values == [unpack(c.value) for c in calls]
    assert got.sid == "session"


@given(st.lists(SCALARS, min_size=1, max_size=30), st.integers(1, 1 << 40))
def test_answers_come_back_as_they_went(answers: list[Any], first: int) -> None:
    numbers = range(first, first + len(answers))
    body = unpack_body(pack_body(messages.write_answers("session", numbers, answers)))
    sid, told, given_, receipt = messages.read_answers(body)
    assert (sid, list(told), given_, receipt) == ("session", list(numbers), answers, False)
    body = messages.write_answers("session", numbers, answers, receipt=True)
    assert messages.read_answers(unpack_body(pack_body(body)))[2:] == (answers, True)


def test_an_answer_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ValueRefused):
        messages.write_answers("s", [1, 2], ["a", 1 << 70])
    with pytest.raises(ValueRefused):
        messages.write_answers("s", [1], ["\ud800"])


GOOD = ["session", [1, 2], "login", None, b"\x92\x01\x02"]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, ""), (0, 7), (0, "s" * 129), (1, [1, 3]), (1, [0, [1, 1]]), (1, [0, [2, 1]]),
        (1, [0, ["1", 2]]), (1, [0, [0, 1]]), (1, None), (1, [1, LIMIT + 1]), (2, 7), (2, ["a"]),
        (2, ["a", 7]), (3, ["a"]), (3, [{}, None]), (3, 7), (4, "text"), (4, b""), (4, b"\x92\x01"),
        (4, b"\x91\x01"), (4, b"\x01"), (4, b"\x92\xc1\xc1"),
    ],
)  # fmt: skip
def test_a_bad_column_is_a_breach_of_protocol(at: int, value: Any) -> None:
    body: list[Any] = list(GOOD)
    messages.read(body, LIMIT)
    body[at] = value
    with pytest.raises(ProtocolError):
        messages.read(body, LIMIT)


@pytest.mark.parametrize(
    "body", [["s", [1, 2], b"\x91\x01"], ["s", [1, 1], 7], ["s", [1, 1]], ["s", 1, b"\x91\x01"],
             ["s", [1, 1], b"\x91\x01", False], ["s", [1, 1], b"\x91\x01", True, 1]]
)
def test_bad_answers_are_a_breach_of_protocol(body: list[Any]) -> None:
    with pytest.raises((ProtocolError, ValueError)):
        messages.read_answers(body)


@given(VALUES)
def test_a_request_reads_its_value_once(value: Any) -> None:
    inbound = Inbound(DEST, 1, "login", None, pack(value))
    assert inbound.value == value
    assert inbound.value is inbound.value


# --- remembered answers


def run_of(*numbers: int) -> Run:
    return Run(DEST, numbers)


def test_a_batch_is_taken_once() -> None:
    shelf = Shelf()
    assert shelf.take(run_of(3, 4))
    assert not shelf.take(run_of(3, 4))
    assert not shelf.take(run_of(4, 5))
    assert shelf.take(run_of(7, 9))
    assert [n for n in range(1, 11) if shelf.knows(n)] == [3, 4, 7, 9]


def test_an_answer_is_found_when_it_is_there() -> None:
    shelf, run = Shelf(), run_of(3, 5, 8)
    shelf.take(run)
    assert shelf.find(3) is None
    run.answered(["a", PENDING, None], None)
    assert shelf.find(3) == (OK, pack("a"))
    assert shelf.find(5) is None
    assert shelf.find(8) == (OK, None)
    shelf.note(5, (OK, b"\x01"))
    assert shelf.find(5) == (OK, b"\x01")
    assert shelf.find(4) is None
    whole = run_of(9, 11)
    shelf.take(whole)
    whole.answered(["b", 2], messages.write_answers("s", [9, 11], ["b", 2])[2])
    assert [shelf.find(n) for n in (9, 10, 11)] == [(OK, pack("b")), None, (OK, pack(2))]


def test_a_batch_makes_its_requests_as_they_are_asked_for() -> None:
    run = Run(DEST, [4, 7], bare(Inbound), ["a", "b"], None, ["x", 2])
    for _ in range(2):
        told = [(r.number, r.type, r.key, r.value, r.dest) for r in run]
        assert told == [(4, "a", None, "x", DEST), (7, "b", None, 2, DEST)]
    (first, _), made = run, Inbound(DEST, 4, "a", None, b"", "x")
    fields = [getattr(first, name) for name in Inbound.__slots__]
    assert fields == [getattr(made, name) for name in Inbound.__slots__], "all that a request has"
    run.answered(["y", "z"], None)
    assert list(run) == []


@given(st.lists(st.integers(1, 60), max_size=60))
def test_no_number_is_new_twice(numbers: list[int]) -> None:
    """Singles and batches of three in any order: each number is handled at most once."""
    shelf, handled = Shelf(), list[int]()
    for at, number in enumerate(numbers):
        batch = [number, number + 1, number + 2] if at % 2 else [number]
        if len(batch) == 3 and shelf.take(run_of(*batch)):
            handled += batch
            continue
        for one in batch:
            if not shelf.knows(one):
                shelf.note(one, None)
                handled.append(one)
    assert len(handled) == len(set(handled))
    assert set(handled) >= set(numbers)


def test_what_is_remembered_is_bounded() -> None:
    shelf = Shelf()
    for first in range(1, 4 * REMEMBERED, 1000):
        shelf.take(Run(DEST, range(first, first + 1000)))
    known = sum(shelf.knows(n) for n in range(1, 5 * REMEMBERED))
    assert REMEMBERED - 1000 <= known <= REMEMBERED
    shelves = Shelves()
    for sid in range(2 * SESSIONS):
        shelves.of(str(sid)).note(1, (OK, None))
    assert shelves.find("0", 1) is None
    assert shelves.find(str(2 * SESSIONS - 1), 1) == (OK, None)
