"""The rows: requests that come back as they went, and columns that can be none are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core import rows
from rxfero.core.call import ALL, AUTO, COMMIT, DURABLE, LOWEST, NO_QUORUM, Call
from rxfero.core.path import Path
from rxfero.core.rows import Row, Rows, check_replies, read
from rxfero.core.value import pack, pack_body, unpack_body
from rxfero.errors import ProtocolError
from rxfero.testing.strategies import paths, values
from tests.core.parts import ONE, request

LIMIT = 100
ROWS: Any = st.lists(
    st.builds(
        Row,
        st.integers(1, 9),  # as a step from the one before
        st.sampled_from(["update", "add", "push", "é"]),
        st.none() | st.just(()) | paths(max_size=3).map(tuple),
        values(max_leaves=4).map(pack),
        st.integers(0, 9),
        st.sampled_from([AUTO, COMMIT, ALL, 1, LOWEST, DURABLE - 1]),
        st.none() | st.just(["absent"]) | st.integers(1, 9).map(lambda n: ["number", n]),
        st.sampled_from([0, 0, 0, 5000]),
    ),
    min_size=1, max_size=20,
)  # fmt: skip


def numbered(drawn: list[Row]) -> list[Row]:
    number, found = 0, list[Row]()
    for row in drawn:
        number += row.number
        found.append(row._replace(number=number))
    return found


@given(ROWS)
def test_requests_come_back_as_they_went(drawn: list[Row]) -> None:
    sent = numbered(drawn)
    body = unpack_body(pack_body(rows.write("to", 2, "session", sent)))
    got = read(body, LIMIT)
    assert (got.to, got.hops, got.sid) == ("to", 2, "session")
    assert got.gathered() == sent
    assert rows.write("to", 2, "session", got.gathered()) == rows.write("to", 2, "session", sent)


@given(ROWS, st.data())
def test_some_of_them_are_those_at_their_places(drawn: list[Row], data: st.DataObject) -> None:
    sent = [r._replace(verb="add", level=AUTO, expect=None, ttl_ms=0) for r in numbered(drawn)]
    places = sorted(data.draw(st.sets(st.integers(0, len(sent) - 1))))
    got = read(unpack_body(pack_body(rows.write("to", 0, "session", sent))), LIMIT)
    assert got.only(places).gathered() == [sent[place] for place in places]


@given(ROWS)
def test_the_rows_of_calls_are_what_they_ask(drawn: list[Row]) -> None:
    calls: list[Call] = []
    for row in numbered(drawn):
        path = None if row.path is None else Path(row.path)
        call = Call(row.verb, path, row.value, row.level, row.expect, row.ttl_ms)
        call.number, call.seq = row.number, row.seq
        calls.append(call)
    assert Rows.of("session", calls).gathered() == numbered(drawn)


@pytest.mark.parametrize("body", [[], [1], request()[:-1], [*request(), None]], ids=repr)
def test_a_body_of_another_length_is_refused(body: list[Any]) -> None:
    with pytest.raises(ProtocolError):
        read(body, LIMIT)


def test_no_more_requests_in_a_frame_than_the_limit() -> None:
    columns: Any = {"keys": ["k"] * 3, "values": [ONE] * 3, "seqs": [1, 2, 3]}
    body = request(numbers=[1, 3], **columns)
    assert len(read(body, 3).numbers) == 3
    with pytest.raises(ProtocolError):
        read(body, 2)


def test_only_what_answers_can_be_is_taken_for_them() -> None:
    check_replies(2, [0, NO_QUORUM], [0, 1], [None, 3])
    with pytest.raises(ProtocolError):
        check_replies(2, [0, NO_QUORUM + 1], [0, 1], [None, 3])
