"""The change: a view of a record that computes nothing before it is asked."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from rxfero.core import change as module
from rxfero.core.change import COUNT, DATA, KINDS, LOST, MERGE, TERM, VOID, Change, Record
from rxfero.core.clock import COUNTER_BITS
from rxfero.core.path import Path, wire
from rxfero.core.position import Offset, Term
from rxfero.core.value import pack
from rxfero.errors import ProtocolError, ValueRefused
from tests.core.test_path import paths
from tests.core.test_value import same, values

MS = 1_700_000_000_123


def record(**fields: Any) -> Record:
    base = Record(
        Term(2, 9), 5, DATA, "alice-1", 3, ("alice", "email"), "update", pack("a@x.org"),
        MS << COUNTER_BITS | 7, None, 0,
    )  # fmt: skip
    return base._replace(**fields)


def test_a_logged_change_tells_all_of_its_record() -> None:
    change = Change.of(4, record())
    assert change.type == "update"
    assert change.key == "alice.email"
    assert change.key == ("alice", "email")
    assert type(change.key) is Path
    assert change.partition == "alice"
    assert change.value == "a@x.org"
    assert change.packed == pack("a@x.org")
    assert change.offset == Offset(4, Term(2, 9), 5)
    assert change.origin == "alice-1"
    assert change.stamp == MS << COUNTER_BITS | 7
    assert change.time == datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC)


def test_a_change_of_the_users_has_no_place_yet() -> None:
    change = Change("update", "a.b", {"n": [1]})
    assert (change.type, change.key, change.value) == ("update", "a.b", {"n": [1]})
    assert change.offset is None
    assert change.time is None
    assert (change.origin, change.stamp, change.partition) == ("", 0, "a")
    assert Change("remove", ("x.y", 1)).value is None


def test_the_value_is_that_of_the_call() -> None:
    mine = {"n": 1}
    change = Change("update", "a", mine)
    mine["n"] = 2
    assert change.value == {"n": 1}
    with pytest.raises(TypeError, match="read-only"):
        change.value["n"] = 3


def test_the_value_is_decoded_once_and_only_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    unpack = module.unpack

    def count(data: bytes) -> Any:
        decoded.append(data)
        return unpack(data)

    monkeypatch.setattr(module, "unpack", count)
    change = Change.of(4, record(value=pack([1])))
    assert (change.type, change.key, change.offset) == ("update", "alice.email", change.offset)
    assert not decoded
    assert change.value is change.value
    assert change.key is change.key
    assert len(decoded) == 1


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ((1, "a", 1), "change.type"),
        ((None, "a", 1), "change.type"),
        (("update", "", 1), "key ''"),
        (("update", None, 1), "key None"),
        (("update", "a", {1, 2}), "value"),
        (("update", "a", {"x": [(1,)]}), "value.x[0]"),
    ],
)
def test_what_cannot_be_written_is_refused_when_it_is_made(arguments: Any, place: str) -> None:
    with pytest.raises(ValueRefused) as caught:
        Change(*arguments)
    assert caught.value.path == place


@given(paths, values)
def test_every_key_and_value_comes_through(path: tuple[Any, ...], value: Any) -> None:
    change = Change("add", path, value)
    assert change.key == path
    assert same(value, change.value)
    assert change == Change.of(-1, record(verb="add", key=wire(path), value=pack(value)))


def test_equal_by_type_key_value_and_offset() -> None:
    change = Change.of(4, record())
    assert change == Change.of(4, record(sid="bob-1", seq=9, hlc=1))
    assert change != Change.of(4, record(verb="add"))
    assert change != Change.of(4, record(key="alice"))
    assert change != Change.of(4, record(number=6))
    assert change != Change.of(5, record())
    assert change != Change.of(4, record(value=pack(None)))
    assert change != "alice.email"
    # The same items in another order are the same value.
    one, other = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert Change("update", "k", one) == Change("update", "k", other)
    assert Change("update", "a.b", 1) != Change("update", ("a.b",), 1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(change)


@pytest.mark.parametrize(
    "make", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_it_can_be_copied_and_sent_between_processes(make: Any) -> None:
    for change in (Change.of(4, record(value=pack({"a": [1]}))), Change("add", "a.b", [1])):
        _ = change.value, change.key
        made = make(change)
        assert made == change
        assert (made.stamp, made.origin, made.time) == (change.stamp, change.origin, change.time)


def test_how_it_is_shown() -> None:
    assert repr(Change("update", "a.b", {"n": 1})) == "Change('update', 'a.b', {'n': 1})"
    assert repr(Change.of(4, record())) == "Change('update', 'alice.email', 'a@x.org') @4:5"
    long = repr(Change("update", "a", "x" * 500))
    assert len(long) < 100
    assert "..." in long


def test_bytes_that_are_no_value_are_told_when_they_are_read() -> None:
    change = Change.of(4, record(value=b"\xc1"))
    assert "1 bytes that are no value" in repr(change)
    with pytest.raises(ProtocolError):
        _ = change.value


def test_every_kind_of_record_has_its_name() -> None:
    assert [KINDS[kind] for kind in (DATA, TERM, LOST, MERGE, VOID, COUNT)] == [*KINDS]
