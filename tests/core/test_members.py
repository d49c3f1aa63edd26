"""The members: one table wherever its rows come from, and who is alive, suspect, dead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.members import (
    ALIVE,
    ASKED,
    DEAD,
    JOINING,
    LEAVING,
    REFUSED_S,
    Member,
    Members,
)
from rxfero.errors import ProtocolError

SUSPECT, DEAD_S = 2.0, 3.0

Row = tuple[str, int, str, int, int, int]
rows = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.integers(1, 3), st.just("h"), st.just(1),
        st.sampled_from([JOINING, ALIVE, LEAVING, DEAD]), st.integers(0, 3),
    ),
    max_size=8,
)  # fmt: skip


def table_of(*others: str, linked: bool = True) -> Members:
    """Give a table at 100 s: this node is `me`, the others are alive."""
    members = Members(Member("me", 9, "h", 1, ALIVE, 0, 100.0), SUSPECT, DEAD_S)
    members.merge([row(name) for name in others], 100.0)
    for name in others if linked else ():
        members.linked(name, True, 100.0)
    return members


def row(name: str, boot: int = 1, state: int = ALIVE, inc: int = 0) -> Row:
    return (name, boot, "h", 1, state, inc)


def seen(*tables: list[Row]) -> Members:
    """Give what a client's table comes to."""
    members = Members(None, SUSPECT, DEAD_S)
    for table in tables:
        members.merge(table, 0.0)
    return members


# --- the table


@given(rows, rows, rows)
def test_tables_merge_alike_in_any_order_and_any_number_of_times(
    one: list[Row], two: list[Row], three: list[Row]
) -> None:
    whole = seen(one, two, three)
    assert seen(two, one, three).rows() == whole.rows()
    assert seen(three, two, one).rows() == whole.rows()
    assert seen(one, seen(two, three).rows()).rows() == whole.rows()
    assert seen([*one, *two, *three]).digest == whole.digest
    version = whole.version
    assert whole.merge([*one, *three, *whole.rows()], 1.0) == []
    assert whole.version == version


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (row("a", boot=2, state=JOINING, inc=0), row("a", boot=1, state=DEAD, inc=9)),
        (row("a", state=JOINING, inc=2), row("a", state=DEAD, inc=1)),
        (row("a", state=DEAD), row("a", state=LEAVING)),
        (row("a", state=LEAVING), row("a", state=ALIVE)),
        (row("a", state=ALIVE), row("a", state=JOINING)),
    ],
)
def test_newer_boot_then_incarnation_then_state(later: Row, earlier: Row) -> None:
    assert seen([later], [earlier]).rows() == seen([earlier], [later]).rows() == [later]


def test_what_changed_is_told() -> None:
    members = seen([row("a"), row("b")])
    changed = members.merge([row("a"), row("b", inc=1), row("c")], 1.0)
    assert [m.name for m in changed] == ["b", "c"]


def test_an_accused_member_refutes_with_a_higher_incarnation() -> None:
    members = table_of()
    (me,) = members.merge([row("me", boot=9, state=DEAD, inc=4)], 101.0)
    assert (me.state, me.inc) == (ALIVE, 5)
    assert members.merge([row("me", boot=9, state=DEAD, inc=4)], 101.0) == []
    assert members.merge([row("me", boot=99, state=DEAD, inc=9)], 101.0) == [], "not this process"
    assert members.rows() == [row("me", boot=9, inc=5)]


@pytest.mark.parametrize(
    "bad",
    [
        None, 7, "abcdef", [], row("b")[:5], (*row("b"), 1), (None, 1, "h", 1, 1, 0),
        ("b", "1", "h", 1, 1, 0), ("b", 1, b"h", 1, 1, 0), ("b", 1, "h", "1", 1, 0),
        ("b", 1, "h", 1, 4, 0), ("b", 1, "h", 1, -1, 0), ("b", 1, "h", 1, 1, None),
        ("b", 1, "h", 1, 1, -1), ("b", 1, "h", 1, 1, 1 << 63), ("b", 1, "h", 65536, 1, 0),
        ("b", 1, "h", -1, 1, 0), ("b", -1, "h", 1, 1, 0), ("b", 1 << 64, "h", 1, 1, 0),
        ("b", True, "h", 1, 1, 0), ("", 1, "h", 1, 1, 0),
    ],
    ids=repr,
)  # fmt: skip
def test_a_row_that_is_none_is_refused_with_all_that_came_with_it(bad: Any) -> None:
    members = table_of("a")
    before, version = members.rows(), members.version
    with pytest.raises(ProtocolError):
        members.merge([row("b", boot=5), row("me", boot=9, state=DEAD, inc=3), bad], 101.0)
    assert (members.rows(), members.version) == (before, version)
    for table in (None, 7):
        with pytest.raises(ProtocolError):
            members.merge(table, 101.0)


def test_the_ring_is_of_the_living_and_the_digest_of_all() -> None:
    members = table_of("b", "a")
    digest = members.digest
    assert members.ring() == ("a", "b", "me")
    members.become(LEAVING, 101.0)
    assert members.ring() == ("a", "b")
    assert members.digest != digest
    assert not members.dead
    assert members.declare_dead("a", 101.0)
    assert not members.declare_dead("a", 101.0), "no news"
    assert not members.declare_dead("me", 101.0)
    assert not members.declare_dead("nobody", 101.0)
    assert (members.ring(), members.dead) == (("b",), True)
    assert [m.name for m in members.others()] == ["b"]
    assert repr(members) == "<Members me leaving, b alive, a dead>"


def test_the_dead_are_forgotten_in_time() -> None:
    members = table_of("a")
    members.declare_dead("a", 101.0)
    assert members.forget(111.0, 10.0) == []
    assert members.forget(111.5, 10.0) == ["a"]
    assert members.rows() == [row("me", boot=9)]


# --- the failure detector


def test_who_is_heard_is_never_suspected() -> None:
    members = table_of("a", "b")
    for beat in range(50):
        members.hears("a", 100.0 + beat)
        members.hears("b", 100.0 + beat)
        assert members.wake(100.5 + beat) == ([], [])
    assert members.ring() == ("a", "b", "me")


def test_the_silent_are_suspected_asked_about_and_declared_dead() -> None:
    members = table_of("a", *"bcde")
    for name in "bcde":
        members.hears(name, 110.0)
    assert members.wake(101.9).ask == []
    verdicts = members.wake(102.0)
    assert verdicts.ask == [(helper, "a") for helper in "bcd"][:ASKED]
    assert verdicts.died == []
    assert members.wake(104.9).died == []
    assert members.wake(105.0).died == ["a"]
    assert members.table["a"].state == DEAD
    assert members.wake(106.0) == ([], [])


def test_who_is_heard_by_another_stays_and_is_reached_through_it() -> None:
    members = table_of("a", "b")
    members.linked("a", False, 100.0)
    members.hears("b", 104.0)
    members.wake(102.0)
    members.hears("a", 103.0, via="b")
    member = members.table["a"]
    assert (member.suspected, member.via) == (None, "b")
    members.hears("b", 105.0)
    assert members.wake(104.9) == ([], [])
    members.linked("a", True, 105.0)
    assert member.via is None


def test_an_old_report_does_not_excuse() -> None:
    members = table_of("a", "b")
    members.wake(102.5)
    members.hears("a", 102.0, via="b")
    assert members.table["a"].suspected == 102.5
    assert members.table["a"].via is None


def test_a_refusing_port_shortens_the_wait() -> None:
    members = table_of("a", "b")
    members.refused("a")
    assert members.wake(100.1) == ([], []), "its link is open"
    members.linked("a", False, 100.2)
    members.refused("a")
    assert members.wake(100.2).ask == [("b", "a")]
    assert members.wake(100.2 + REFUSED_S - 0.01).died == []
    assert members.wake(100.2 + REFUSED_S).died == ["a"]


def test_this_nodes_own_stall_accuses_nobody() -> None:
    members = table_of("a", "b", linked=False)
    members.table["b"].suspected = 101.0
    members.shift(60.0)
    assert members.wake(161.9) == ([], [])
    assert members.table["b"].suspected == 161.0


def test_a_member_that_came_again_has_its_time() -> None:
    members = table_of("a")
    members.wake(102.0)
    members.declare_dead("a", 102.0)
    (member,) = members.merge([row("a", boot=2, state=JOINING)], 150.0)
    assert (member.heard, member.suspected) == (150.0, None)
    assert members.wake(151.0) == ([], [])


def test_news_of_nobody_is_nothing() -> None:
    members = table_of()
    members.linked("x", True, 1.0)
    members.refused("x")
    members.hears("x", 1.0)
    assert members.rows() == [row("me", boot=9)]


def test_a_client_takes_the_last_table_it_was_told() -> None:
    client = Members(None, SUSPECT, DEAD_S)
    client.merge([row("a", inc=2, state=DEAD), row("b"), row("c", boot=5), row("d")], 100.0)
    client.linked("d", True, 100.0)
    version = client.version
    told = [row("a", inc=2), row("b"), row("e")]
    changed = client.adopt(told, 110.0)
    assert [member.name for member in changed] == ["a", "e"]
    assert client.rows() == [row("a", inc=2), row("b"), row("d"), row("e")]
    assert (client.table["a"].heard, client.table["a"].since) == (110.0, 110.0)
    assert client.version == version + 1
    assert client.adopt(told, 111.0) == []
    assert client.version == version + 1
    with pytest.raises(ProtocolError):
        client.adopt([row("f"), None], 112.0)
    assert "f" not in client.table
