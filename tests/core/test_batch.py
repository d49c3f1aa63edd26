"""Batches: columns that tell of each message what a call of its own would."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rxfero.core import messages
from rxfero.core.batch import Batch
from rxfero.core.call import OK
from rxfero.core.value import pack, unpack, unpack_body

PLAIN: Any = st.text(st.characters(max_codepoint=127), max_size=20) | st.binary(max_size=20)
VALUES: Any = PLAIN | st.text(st.characters(codec="utf-8"), max_size=5) | st.lists(
    st.integers(-5, 1 << 40), max_size=3
)
ROWS: Any = st.lists(
    st.tuples(st.sampled_from(["login", "logout"]), VALUES), min_size=1, max_size=20
)


def is_plain(value: Any) -> bool:
    return type(value) is bytes or (type(value) is str and value.isascii())


def filled(rows: list[tuple[str, Any]]) -> Batch:
    batch = Batch(3)
    for place, (verb, value) in enumerate(rows):
        plain = is_plain(value)
        assert batch.add(verb, value if plain else pack(value), packed=not plain) == place
    return batch


@given(ROWS)
def test_a_batch_travels_as_what_was_asked_for(rows: list[tuple[str, Any]]) -> None:
    batch = filled(rows)
    batch.number(7, 30.0)
    got = messages.read(unpack_body(b"".join(batch.body("session"))), 99)
    assert (got.sid, got.keys, list(got.numbers)) == (
        "session", None, list(range(7, 7 + len(rows))),
    )  # fmt: skip
    assert list(zip(got.verbs, got.values, strict=True)) == rows


@given(ROWS, st.sets(st.integers(0, 19)))
def test_a_call_of_a_batch_is_as_one_of_its_own(
    rows: list[tuple[str, Any]], looked: set[int]
) -> None:
    batch = filled(rows)
    early = {place: batch.call(place) for place in looked if place < len(rows)}
    assert batch.number(7, 30.0) == 30.0
    batch.sent("server")
    assert {place: batch.call(place) for place in early} == early
    for place, call in enumerate(batch.split()):
        assert (call.number, call.verb, unpack(call.value)) == (7 + place, *rows[place])
        assert (call.target, call.deadline, call.done, call.status) == ("server", 30.0, False, OK)
        assert (call.path, call.seq, call.shard) == (None, 0, -1)
    assert batch.weight >= sum(len(v) if is_plain(v) else 0 for _, v in rows)


@given(ROWS, st.sets(st.integers(0, 19)))
def test_answers_are_those_of_who_looked_and_of_who_did_not(
    rows: list[tuple[str, Any]], looked: set[int]
) -> None:
    batch = filled(rows)
    early = {place: batch.call(place) for place in looked if place < len(rows)}
    batch.number(1, 30.0)
    batch.sent("server")
    answers = list(range(len(rows)))
    batch.settle(answers)
    assert [(c.done, c.content) for c in batch] == [(True, answer) for answer in answers]
    assert {place: call.content for place, call in early.items()} == {p: p for p in early}
    assert list(batch.calls) == list(early), "who looks later is nobody's to tell"


def test_the_soonest_deadline_is_told() -> None:
    batch = filled([("a", "x"), ("a", "y")])
    batch.call(1).deadline = 2.0
    assert batch.number(1, 30.0) == 2.0
    assert [c.deadline for c in batch] == [30.0, 2.0]
    assert batch.due == 2.0


def test_a_batch_says_what_it_is() -> None:
    batch = filled([("a", "x")])
    assert repr(batch) == "<Batch of 1 messages from #0 on, waiting>"
    batch.number(4, 1.0)
    batch.sent("s")
    assert repr(batch) == "<Batch of 1 messages from #4 on, sent>"
    batch.settle(["y"])
    assert repr(batch) == "<Batch of 1 messages from #4 on, answered>"
