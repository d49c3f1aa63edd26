"""The histories: who follows is sent what it has not, whatever a line does, and told when that is all."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core import catchup, columns, frame
from rxfero.core.cluster import Cluster
from rxfero.core.follower import Follower
from rxfero.core.histories import AGAIN_S, ASK, DONE, TELL, TOLD, Histories
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.shard import Shard
from tests.core.parts import SHARDS, begin, bodies, data, fill, own, ring_of, said
from tests.core.test_follower import (
    LIES,
    NOTHING,
    VOTERS,
    T,
    U,
    arrived,
    follower_of,
    refused,
    sent,
)


def node_of(*others: str, **given: Any) -> tuple[Histories, Follower, Cluster]:
    follower, cluster = follower_of(*others, **given)
    return Histories(cluster), follower, cluster


def owner_of() -> tuple[Histories, Cluster, Shard]:
    """Give the owner of shard 3, in whose log there are four writes of its term."""
    histories, _, cluster = node_of()
    shard = own(cluster, 3, 7)
    for number in range(2, 6):
        shard.append(data(shard.term, number))
    histories.cursor("a", False)
    return histories, cluster, shard


def test_a_node_tells_of_all_it_has_but_not_of_what_it_rightly_owns() -> None:
    histories, cluster, shard = owner_of()
    fill(cluster.shards[5], T)
    histories.ask("a")
    heads = arrived(catchup.heads([shard, cluster.shards[5]]))
    assert said(cluster) == [("a", frame.HEADS, [ASK, heads])], "the ring has it elsewhere"
    ring_of(cluster, "me")
    histories.ask("a")
    heads = arrived(catchup.heads([cluster.shards[5]]))
    assert said(cluster) == [("a", frame.HEADS, [ASK, heads])]
    assert histories.asked == {"a"}


def test_an_owner_is_told_anew_how_far_it_is_followed_where_nothing_is_behind() -> None:
    """Else it would take a follower that came back for one that has nothing, while all is quiet."""
    histories, follower, cluster = node_of()
    follower.on_append("a", sent(T, 3, begin(T), data(T, 2)))
    follower.on_append("a", sent(T, 4, begin(T)))
    cluster.promise(cluster.shards[4], U)  # so what is in the log may not be the next owner's
    follower.on_append("b", sent(U, 5, begin(U)))
    cluster.flush_log()
    cluster.flush_acks()
    said(cluster)
    histories.ask("a")
    cluster.flush_acks()
    assert bodies(cluster, frame.APPENDED) == [[[*T], [3], [2], None]]


def test_a_server_hears_of_promises_beyond_it_that_came_to_nothing() -> None:
    histories, follower, cluster = node_of()
    follower.on_append("a", sent(T, 3, begin(T)))
    follower.on_append("a", sent(T, 4, begin(T)))
    said(cluster)
    histories.fence("a")
    assert said(cluster) == []
    cluster.promise(cluster.shards[3], U)  # of a candidate that then was fenced by another
    cluster.shards[3].owner = None
    histories.fence("b")  # not the one that is to own it
    assert said(cluster) == []
    histories.fence("a")
    assert said(cluster) == [("a", frame.FENCED, [[3, [*U]]])]


def test_an_owner_that_was_taken_for_dead_is_the_owner_again() -> None:
    histories, follower, cluster = node_of()
    boot = cluster.members.table["a"].boot
    follower.on_append("a", sent(Term(3, boot), 3, begin(Term(3, boot))))
    follower.on_append("a", sent(Term(3, 999), 4, begin(Term(3, 999))))  # of another life
    said(cluster)
    for number in (3, 4):
        cluster.shards[number].owner = None
    histories.fence("a")
    assert said(cluster) == []
    assert [cluster.shards[n].owner for n in (3, 4)] == ["a", None]


def test_who_has_nothing_gets_all_and_then_the_word_that_it_has() -> None:
    histories, cluster, shard = owner_of()
    histories.on_heads("a", [ASK, NOTHING])
    histories.flush()
    (_, kind, body), (_, last, done) = said(cluster)
    assert (kind, last, done) == (frame.APPEND, frame.HEADS, [DONE, None])
    assert columns.read(body, 99).records == shard.log.records
    histories.on_heads("a", [DONE, None])
    assert histories.synced == {"a"}
    histories.forget("a")
    assert histories.synced == set()


def test_who_has_a_part_gets_the_rest_and_who_diverged_the_state() -> None:
    histories, cluster, shard = owner_of()
    histories.on_heads("a", arrived([ASK, [[3], [3], [0], [shard.term]]]))
    ((_, _, body),) = said(cluster)
    assert [r.number for r in columns.read(body, 99).records] == [4, 5]
    cursor = cluster.cursors["a"]
    cursor.match[3] = cursor.durable[3] = 5
    histories.on_nack("a", arrived([shard.term, [[3, [[*T, 1]], 9, 0]]]))
    ((_, kind, body),) = said(cluster)
    assert (kind, body[:2]) == (frame.SNAP, [[*shard.term], 3])
    assert (cursor.match[3], cursor.durable[3]) == (0, 0), "and its match is lowered (R3)"


def test_a_gap_in_another_term_or_of_what_is_not_owned_is_none_of_this_node() -> None:
    histories, cluster, shard = owner_of()
    fill(cluster.shards[5], T)
    histories.on_nack("a", arrived([T, [[3, [], 0, 0], [5, [], 0, 0]]]))
    histories.on_nack("a", arrived([shard.term, [[5, [], 0, 0]]]))
    assert bodies(cluster, frame.APPEND) == []


def test_a_client_is_fed_also_what_others_own() -> None:
    histories, cluster, _ = owner_of()
    fill(cluster.shards[5], T, T)
    cluster.clients["c"] = 9
    histories.on_heads("c", arrived([ASK, [[5], [1], [0], [T]]]))
    ((name, kind, body),) = said(cluster)
    assert (name, kind, body[0]) == ("c", frame.FEED, [0, 0])
    assert columns.read(body, 99).shards == [*[3] * 5, 5]
    histories.on_nack("c", arrived([ZERO_TERM, [[5, [], 0, 0]]]))
    ((_, _, body),) = said(cluster)
    assert columns.read(body, 99).shards == [5, 5]


def test_who_takes_nothing_for_the_moment_is_sent_nothing() -> None:
    histories, cluster, _ = owner_of()
    cluster.cursors["a"].paused = True
    histories.on_heads("a", [ASK, NOTHING])
    histories.flush()
    assert said(cluster) == []
    cluster.cursors["a"].paused = False
    histories.flush()
    assert [kind for _, kind, _ in said(cluster)] == [frame.APPEND, frame.HEADS]


def test_what_has_no_way_to_go_is_kept() -> None:
    histories, cluster, _ = owner_of()
    link = cluster.servers.pop("a")
    histories.on_heads("a", [ASK, NOTHING])
    histories.flush()
    assert said(cluster) == []
    cluster.servers["a"] = link
    histories.flush()
    ((_, kind, body), (_, last, done)) = said(cluster)
    assert (kind, last, done) == (frame.APPEND, frame.HEADS, [DONE, None])
    assert len(columns.read(body, 99).records) == 5


def test_with_the_word_that_it_has_all_a_voter_hears_what_is_committed() -> None:
    histories, _, cluster = node_of(quorum=VOTERS)
    own(cluster, 3)
    histories.on_heads("a", [ASK, NOTHING])
    histories.flush()
    assert [kind for _, kind, _ in said(cluster)] == [frame.APPEND, frame.HEADS]
    cluster.flush_commits()
    assert bodies(cluster, frame.COMMITTED) == [[[1, 100], [3], [0]]] * 2


def test_who_ends_in_a_term_unknown_here_is_asked_for_its_history() -> None:
    histories, cluster, shard = owner_of()
    cursor = cluster.cursors["a"]
    cursor.match[3] = cursor.durable[3] = 5
    odd = Term(8, 999)
    tell = ("a", frame.HEADS, [TELL, [3]])
    histories.on_heads("a", arrived([ASK, [[3], [4], [0], [odd]]]))
    assert said(cluster) == [tell]
    assert (cursor.match[3], cursor.durable[3], cursor.live) == (0, 0, False)
    histories.flush()
    assert said(cluster) == [], "not the word that it has all"
    cluster.now += AGAIN_S
    histories.flush()
    histories.flush()
    assert said(cluster) == [tell], "once more, it may have been lost"
    histories.on_heads("a", arrived([TOLD, [[3, [[*shard.term, 1], [*odd, 3]], 4, 0]]]))
    ((_, kind, body),) = said(cluster)
    assert (kind, body[:2]) == (frame.SNAP, [[*shard.term], 3])
    histories.flush()
    assert said(cluster) == [("a", frame.HEADS, [DONE, None])]


def test_a_history_is_told_to_who_asks_for_it() -> None:
    histories, cluster, shard = owner_of()
    histories.on_heads("a", [TELL, [3]])
    rows = arrived([catchup.history(shard)])
    assert said(cluster) == [("a", frame.HEADS, [TOLD, rows])]
    for numbers in (None, 7, ["3"], [8], [-1]):
        refused(histories.on_heads, "a", [TELL, numbers])


def test_a_snapshot_that_comes_late_takes_nothing_back() -> None:
    _, _, owner = owner_of()
    _, here, mine = node_of("a", name="f")
    mine.boot = 200
    late = [arrived(part) for part in catchup.snapshot(owner, owner.term, 0)]
    owner.append(data(owner.term, owner.log.end + 1, value="newer"))
    here.on_append("a", sent(owner.term, 3, *owner.log.records))
    for part in late:
        here.on_snap("a", part)
    assert (mine.shards[3].log.end, mine.shards[3].dump()) == (owner.log.end, owner.dump())
    mine.flush_acks()
    assert bodies(mine, frame.APPENDED) == [[[*owner.term], [3], [owner.log.end], None]]


def test_what_is_on_the_disk_counts_as_far_as_it_is_the_owners() -> None:
    """R5: beyond that it may be of another owner, that nobody knows any more."""
    _, _, cluster = node_of(quorum=VOTERS)
    shard = fill(cluster.shards[3], T, T, T)
    shard.promised, shard.synced = U, 3
    cluster.journal = cast("Any", object())  # it has a disk
    cluster.acknowledge("a", U, {3: 2})
    cluster.flush_acks()
    assert bodies(cluster, frame.APPENDED) == [[[*U], [3], [2], [2]]]


@pytest.mark.parametrize(
    "rows", [None, [None], [[3]], [[8, [], 0, 0]], [[3, [], 0, 0], [3, [[*T, 9]], 1, 0]], 7], ids=repr
)  # fmt: skip
def test_histories_that_are_none_are_refused_and_move_no_cursor(rows: Any) -> None:
    histories, cluster, shard = owner_of()
    cursor = cluster.cursors["a"]
    cursor.match[3], cursor.synced = 5, True
    refused(histories.on_heads, "a", [TOLD, rows])
    refused(histories.on_heads, "a", [ASK, rows])
    refused(histories.on_nack, "a", [[*shard.term], rows])
    assert (cursor.match, cursor.synced, cursor.live) == ({3: 5}, True, True)
    for body in ([], None, [ASK], [4, []], ["0", []]):
        refused(histories.on_heads, "a", body)
    for body in ([], None, [[*T]], [None, []], [["a", 1], []]):
        refused(histories.on_nack, "a", body)


def test_how_far_a_follower_has_come_is_read_whole() -> None:
    histories, _, _ = node_of()
    assert histories.on_appended([[*T], [3, 4], [5, 6], None]) == (T, [3, 4], [5, 6], None)
    assert histories.on_appended([[*T], [3], [5], [4]]) == (T, [3], [5], [4])
    for synced in ([], ["4"], [-1], [1, 2], 7, [None]):
        refused(histories.on_appended, [[*T], [3], [5], synced])


# --- an owner and its follower on a line that loses, repeats and mixes


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_a_line_does_the_logs_come_to_be_equal(drawn: st.DataObject) -> None:
    there, _, theirs = node_of("me2", "f", name="a")
    hears, here, mine = node_of("a", name="f")
    mine.boot = 200
    owner = own(theirs, 3, 5)
    there.cursor("f", False)
    fill(mine.shards[3], *drawn.draw(st.lists(st.just(Term(1, 999)), max_size=4)))
    line: list[tuple[int, Any]] = []

    def flush() -> None:
        theirs.flush_log()
        there.flush()
        line.extend((kind, body) for name, kind, body in said(theirs) if name == "f")

    def deliver(kind: int, body: Any) -> None:
        take = {frame.APPEND: here.on_append, frame.SNAP: here.on_snap}.get(kind)
        if take is not None:
            take("a", arrived(body))
        mine.flush_log()
        for _, back, answer in said(mine):
            if back == frame.NACK:
                there.on_nack("f", arrived(answer))

    for _ in range(drawn.draw(st.integers(1, 12))):
        record = data(owner.term, owner.log.end + 1)
        owner.append(record)
        theirs.logged(owner, record)
        flush()
        if line and drawn.draw(st.booleans()):
            at = drawn.draw(st.integers(0, len(line) - 1))
            kind, body = line[at] if drawn.draw(st.booleans()) else line.pop(at)
            if drawn.draw(st.booleans()):
                deliver(kind, body)
        mine.shards[3].invariants()
    hears.ask("a")
    ((_, _, heads),) = said(mine)
    line.clear()
    there.on_heads("f", arrived(heads))
    for _, kind, body in said(theirs):
        if kind == frame.HEADS:
            hears.on_heads("a", arrived(body))
            ((_, _, told),) = said(mine)
            there.on_heads("f", arrived(told))
        else:
            line.append((kind, body))
    flush()
    while line:
        deliver(*line.pop(0))
        flush()
    assert mine.shards[3].dump() == owner.dump()
    assert mine.shards[3].log.last_term == owner.term


def test_a_client_says_what_it_follows_and_is_fed_that_alone() -> None:
    asking, _, client = node_of(client=True)
    client.follows = frozenset({5, 4})
    asking.ask("a")
    ((_, _, asked),) = said(client)
    assert asked == [ASK, [[], [], [], []], [4, 5]]
    histories, cluster, shard = owner_of()
    fill(cluster.shards[5], T, T)
    cluster.clients.update(c=9, d=10, e=11)
    histories.on_heads("c", arrived(asked))
    ((_, _, body),) = said(cluster)
    assert columns.read(body, 99).shards == [5, 5]
    histories.flush()
    said(cluster)
    histories.on_heads("d", arrived(asked))
    histories.on_heads("e", arrived([ASK, NOTHING]))
    histories.flush()
    said(cluster)
    for number in (3, 5):
        of = cluster.shards[number]
        record = data(of.log.last_term, of.log.end + 1)
        of.append(record)
        cluster.followed([number], [record])
    cluster.flush_log()
    fed = [(name, columns.read(body, 99).shards) for name, kind, body in said(cluster)
           if kind == frame.FEED]
    assert fed == [("c", [5]), ("d", [5]), ("e", [3, 5])]
    for feed in cluster.feeds.values():
        feed.renew(shard.id, 0)
    assert [name for name, feed in cluster.feeds.items() if feed.snaps] == ["e"]


def test_what_a_client_follows_are_shards_and_a_server_follows_all() -> None:
    histories, cluster, _ = owner_of()
    cluster.clients["c"] = 9
    for only in ([SHARDS], [-1], ["x"], 7):
        refused(histories.on_heads, "c", [ASK, NOTHING, only])
    refused(histories.on_heads, "a", [ASK, NOTHING, [3]])
    refused(histories.on_heads, "c", [DONE, None, [3]])


@pytest.mark.parametrize("body", LIES, ids=repr)
def test_ends_that_can_be_none_are_refused(body: Any) -> None:
    histories, _, _ = node_of()
    refused(histories.on_appended, [*body, None] if body else body)
