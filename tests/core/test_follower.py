"""The follower: only what matches and is not fenced off is taken, and what misses is told."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core import catchup, columns, frame
from rxfero.core.change import LOST, Record
from rxfero.core.cluster import Cluster
from rxfero.core.follower import AGAIN_S, ASK, DONE, TELL, TOLD, Follower
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.quorum import Quorum
from rxfero.core.shard import FOLLOWER, OWNER, Shard
from rxfero.core.succession import Succession
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError
from tests.core.parts import (
    SHARDS,
    begin,
    bodies,
    cluster_of,
    data,
    fill,
    own,
    ring_of,
    said,
    shape,
)  # fmt: skip

T, U = Term(3, 101), Term(5, 102)
NOTHING: Any = [[], [], [], []]  # heads of no log
VOTERS = Quorum(("me", "a", "b"))


def follower_of(*others: str, **given: Any) -> tuple[Follower, Cluster]:
    cluster = cluster_of(*(others or ("a", "b")), **given)
    ring_of(cluster, "a")
    return Follower(cluster, Succession(cluster)), cluster


def arrived(body: Any) -> Any:
    return unpack_body(pack_body(body))


def sent(fence: Term, shard: int, *records: Record) -> Any:
    return arrived(columns.write(fence, [shard] * len(records), records))


def refused(take: Any, *given: Any) -> None:
    """Check that a frame is refused; the replica makes a ProtocolError of each of these."""
    with pytest.raises((ProtocolError, TypeError, ValueError, LookupError)):
        take(*given)


# --- records of an owner


def test_what_matches_is_taken_told_and_acknowledged() -> None:
    follower, cluster = follower_of()
    follower.on_append("a", sent(T, 3, begin(T), data(T, 2)))
    shard = cluster.shards[3]
    assert (shard.log.end, shard.owner, shard.promised) == (2, "a", T)
    cluster.flush_log()
    cluster.flush_acks()
    assert said(cluster) == [("a", frame.APPENDED, [[*T], [3], [2], None])]
    assert [[r.number for r in fresh] for _, fresh in cluster.changes] == [[1, 2]]
    follower.on_append("a", sent(T, 3, data(T, 2)))
    cluster.flush_acks()
    assert bodies(cluster, frame.APPENDED) == [[[*T], [3], [2], None]], "a repetition is known"
    assert cluster.shards[3].log.end == 2


def test_what_is_below_a_promise_is_fenced_off() -> None:
    follower, cluster = follower_of()
    cluster.shards[3].promise(U)
    before = shape(cluster.shards[3])
    follower.on_append("a", sent(T, 3, begin(T), data(T, 2)))
    assert shape(cluster.shards[3]) == before
    assert said(cluster) == [("a", frame.FENCED, [[3, [*U]]])]


def test_an_owner_steps_down_before_a_higher_term() -> None:
    follower, cluster = follower_of()
    shard = own(cluster, 3)
    follower.on_append("a", sent(U, 3, begin(U, 2, shard.log.last_term)))
    assert (shard.role, shard.owner, shard.promised, shard.log.end) == (FOLLOWER, "a", U, 2)
    assert follower._succession.lost == [shard]


@pytest.mark.parametrize(
    "records", [[data(T, 5)], [begin(U, 2, T)], [data(U, 3)], [data(T, 4), data(T, 5)]], ids=repr
)
def test_what_does_not_match_is_answered_with_the_history_once(records: list[Record]) -> None:
    follower, cluster = follower_of()
    shard = fill(cluster.shards[3], T, T)
    follower.on_append("a", sent(U, 3, *records))
    assert said(cluster) == [("a", frame.NACK, [[*U], [[3, [[*T, 1]], 2, 0]]])]
    assert (shard.log.end, shard.promised) == (2, U)


def test_a_write_that_lost_a_merge_is_told_and_one_that_ends_is_watched() -> None:
    follower, cluster = follower_of()
    lost = data(T, 2)._replace(kind=LOST, origin=(U, 9))
    ends = data(T, 3, "l")._replace(expires=1)
    follower.on_append("a", sent(T, 3, begin(T), lost, ends))
    assert cluster.notices == [("conflict", (3, lost))]
    assert cluster.expiring == {3}


@pytest.mark.parametrize("shard", [-1, 8, 1 << 40, "3"])
def test_records_of_no_shard_are_refused(shard: Any) -> None:
    follower, cluster = follower_of()
    body = sent(T, 3, begin(T))
    body[1] = [shard]
    for take in (follower.on_append, follower.on_feed):
        with pytest.raises(ProtocolError):
            take("a", body)
    assert said(cluster) == []


def test_nobody_else_is_the_owner_in_a_term_of_this_node() -> None:
    follower, cluster = follower_of()
    shard = own(cluster, 3)
    mine = shard.term
    before = shape(shard)
    for term in (mine, Term(9, cluster.boot)):
        refused(follower.on_append, "a", sent(term, 3, data(mine, 2)))
        (body,) = catchup.snapshot(fill(Shard(3), U, U), term, 0)
        refused(follower.on_snap, "a", arrived(body))
    assert shape(shard) == before


def test_an_owner_has_nothing_above_its_own_term() -> None:
    follower, cluster = follower_of()
    before = shape(cluster.shards[3])
    refused(follower.on_append, "a", sent(T, 3, begin(T), begin(U, 2, T)))
    (body,) = catchup.snapshot(fill(Shard(3), T, U), T, 0)
    refused(follower.on_snap, "a", arrived(body))
    refused(follower.on_append, "a", sent(ZERO_TERM, 3, begin(T)))
    assert shape(cluster.shards[3]) == before


# --- what a client is fed


def test_a_client_takes_what_it_is_fed_and_says_what_it_misses() -> None:
    follower, cluster = follower_of(client=True)
    lost = data(T, 2)._replace(kind=LOST, origin=(U, 9))
    follower.on_feed("a", sent(ZERO_TERM, 3, begin(T), lost, data(T, 3)))
    follower.on_feed("a", sent(ZERO_TERM, 3, data(T, 3)))
    assert (cluster.shards[3].log.end, cluster.shards[3].promised) == (3, T)
    assert cluster.notices == [("conflict", (3, lost))]
    cluster.flush_acks()
    assert said(cluster) == []
    follower.on_feed("a", sent(ZERO_TERM, 3, data(T, 5)))
    assert said(cluster) == [("a", frame.NACK, [[0, 0], [[3, [[*T, 1]], 3, 0]]])]


# --- snapshots


def test_a_snapshot_is_installed_with_its_last_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "CHUNK", 64)
    follower, cluster = follower_of()
    shard = cluster.shards[3]
    theirs = fill(Shard(3), T, T, T)
    *parts, last = map(arrived, catchup.snapshot(theirs, U, 0))
    for body in parts:
        follower.on_snap("a", body)
        assert shard.log.end == 0
    follower.on_snap("a", last)
    assert (shard.log.end, shard.owner, shard.promised) == (3, "a", U)
    assert shard.dump() == theirs.dump()
    cluster.flush_acks()
    assert said(cluster) == [("a", frame.APPENDED, [[*U], [3], [3], None])]


def test_a_snapshot_below_a_promise_is_fenced_off_and_one_above_ends_a_reign() -> None:
    follower, cluster = follower_of()
    shard = own(cluster, 3)
    (low,) = catchup.snapshot(fill(Shard(3), Term(0, 5)), Term(0, 5), 0)
    follower.on_snap("a", arrived(low))
    assert said(cluster) == [("a", frame.FENCED, [[3, [*shard.promised]]])]
    assert shard.role == OWNER
    (high,) = catchup.snapshot(fill(Shard(3), T, T), U, 0)
    follower.on_snap("a", arrived(high))
    assert (shard.role, shard.promised, shard.log.end) == (FOLLOWER, U, 2)
    assert follower._succession.lost == [shard]
    assert shard.branches, "what it had written is kept (R6)"


def test_a_client_takes_a_snapshot_whatever_its_fence_and_keeps_no_branch() -> None:
    follower, cluster = follower_of(client=True)
    shard = fill(cluster.shards[3], U)
    (body,) = catchup.snapshot(fill(Shard(3), T, T), ZERO_TERM, 0)
    follower.on_snap("a", arrived(body))
    assert (shard.log.end, shard.branches, shard.dumps) == (2, [], [])
    cluster.flush_acks()
    assert said(cluster) == []


@pytest.mark.parametrize("body", [
    [], None, [1], [[9, 7], 3, 0, 1], [[9, 7], 8, 0, 1, b""], [[9, 7], -1, 0, 1, b""],
    [[9, 7], 3, 0, 1, b"\xc1"], [[9, 7], 3, 1, 2, b""], [None, 3, 0, 1, b""],
    [[9, 7], 3, 0, 1, "text"], [[1 << 63, 7], 3, 0, 1, b""],
], ids=repr)  # fmt: skip
def test_a_snapshot_that_is_none_changes_nothing_of_the_log(body: Any) -> None:
    follower, cluster = follower_of()
    shard = fill(cluster.shards[3], T, T)
    before = shape(shard)
    refused(follower.on_snap, "a", body)
    assert shape(shard) == before


# --- what is safe, what is committed


def test_a_safe_point_counts_in_the_promised_term_as_far_as_the_log_goes() -> None:
    follower, cluster = follower_of()
    shard = fill(cluster.shards[3], T, T, T)
    assert follower.on_safe("a", [[*T], [3, 3, 4], [2, 9, 1]]) == (T, [(3, 2)])
    assert shard.stable == 2
    assert follower.on_safe("a", [[*U], [3], [3]]) == (U, [])
    assert follower.on_safe("a", [[*T], [3], [1]]) == (T, [(3, 1)])
    assert shard.stable == 2, "it never goes back"
    cluster.members.declare_dead("b", 100.0)
    assert follower.on_safe("a", [[*T], [3], [3]]) == (T, [(3, 3)])
    assert shard.stable == 2, "the dead may come back without it (R13)"


def test_a_client_hears_what_is_safe_in_any_term() -> None:
    follower, cluster = follower_of(client=True)
    fill(cluster.shards[3], T, T)
    assert follower.on_safe("a", [[*U], [3], [2]]) == (U, [(3, 2)])


def test_a_client_hears_what_is_safe_also_of_what_it_does_not_follow() -> None:
    follower, cluster = follower_of(client=True)
    cluster.follows = frozenset({4})
    assert follower.on_safe("a", [[*U], [3, 4], [2, 1]]) == (U, [(3, 2)])


def test_a_client_says_what_it_follows_and_is_fed_that_alone() -> None:
    asking, client = follower_of(client=True)
    client.follows = frozenset({5, 4})
    asking.ask("a")
    ((_, _, asked),) = said(client)
    assert asked == [ASK, [[], [], [], []], [4, 5]]
    follower, cluster, shard = owner_of()
    fill(cluster.shards[5], T, T)
    cluster.clients.update(c=9, d=10, e=11)
    follower.on_heads("c", arrived(asked))
    ((_, _, body),) = said(cluster)
    assert columns.read(body, 99).shards == [5, 5]
    follower.flush()
    said(cluster)
    follower.on_heads("d", arrived(asked))
    follower.on_heads("e", arrived([ASK, NOTHING]))
    follower.flush()
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
    follower, cluster, _ = owner_of()
    cluster.clients["c"] = 9
    for only in ([SHARDS], [-1], ["x"], 7):
        refused(follower.on_heads, "c", [ASK, NOTHING, only])
    refused(follower.on_heads, "a", [ASK, NOTHING, [3]])
    refused(follower.on_heads, "c", [DONE, None, [3]])


def test_what_is_committed_counts_as_far_as_the_log_is_the_owners() -> None:
    follower, cluster = follower_of(quorum=VOTERS)
    follower.on_append("a", sent(T, 3, begin(T), data(T, 2)))
    shard = cluster.shards[3]
    assert shard.prefix is not None
    follower.on_committed("a", [[*U], [3], [2]])
    assert shard.prefix.commit == 0, "of another term"
    follower.on_committed("a", [[*T], [3], [9]])
    assert (shard.prefix.heard, shard.prefix.commit) == (9, 2)
    follower.on_append("a", sent(T, 3, data(T, 3, "l")))
    assert shard.prefix.commit == 3
    assert shard.view.get("l") == 1


def test_outside_of_quorum_mode_nothing_is_committed_by_word() -> None:
    follower, _ = follower_of()
    refused(follower.on_committed, "a", [[*T], [3], [2]])


def test_a_voter_says_which_shards_it_still_follows_an_owner_in() -> None:
    follower, cluster = follower_of()
    cluster.shards[3].promise(T)
    cluster.shards[4].promise(U)
    follower.on_round("a", [7, [3, 4, 5], [[*T], [*T], [*T]]])
    assert said(cluster) == [("a", frame.ROUNDED, [7, [3]])]


LIES = [
    [], None, [[*T]], [[*T], [3]], [[*T], [3], [1, 2]], [[*T], [8], [1]], [[*T], [-1], [1]],
    [[*T], ["3"], [1]], [[*T], [3], ["1"]], [[*T], [3], [-1]], [[*T], [3], [1.5]],
    [[*T], [3], [None]], [[*T], None, [1]], [[*T], [3], None], [None, [3], [1]], [["a", 1], [3], [1]],
    [[3], [3], [1]], [[-1, 101], [3], [1]], [[1 << 63, 101], [3], [1]], [[*T], [3, 3], [1, "2"]],
]  # fmt: skip


@pytest.mark.parametrize("body", LIES, ids=repr)
def test_points_that_can_be_none_are_refused_and_change_nothing(body: Any) -> None:
    follower, cluster = follower_of(quorum=VOTERS)
    shard = fill(cluster.shards[3], T, T)
    shard.matched = 2
    before = shape(shard)
    refused(follower.on_safe, "a", body)
    refused(follower.on_committed, "a", body)
    refused(follower.on_appended, [*body, None] if body else body)
    assert shape(shard) == before
    assert shard.prefix is not None
    assert shard.prefix.heard == 0


@pytest.mark.parametrize(
    "body",
    [[], None, [1], [1, [3]], [1, [8], [[*T]]], [1, [3], []], [1, [3], [None]], [1, [3], [["a", 1]]]],
    ids=repr,
)  # fmt: skip
def test_a_round_that_cannot_be_read_is_refused(body: Any) -> None:
    follower, cluster = follower_of()
    refused(follower.on_round, "a", body)
    assert said(cluster) == []


# --- histories: the sender's side


def owner_of(*terms: Term) -> tuple[Follower, Cluster, Shard]:
    """Give the owner of shard 3, in whose log there are four writes of its term."""
    follower, cluster = follower_of()
    shard = own(cluster, 3, 7)
    for number in range(2, 6):
        shard.append(data(shard.term, number))
    follower.cursor("a", False)
    return follower, cluster, shard


def test_a_node_tells_of_all_it_has_but_not_of_what_it_rightly_owns() -> None:
    follower, cluster, shard = owner_of()
    fill(cluster.shards[5], T)
    follower.ask("a")
    heads = arrived(catchup.heads([shard, cluster.shards[5]]))
    assert said(cluster) == [("a", frame.HEADS, [ASK, heads])], "the ring has it elsewhere"
    ring_of(cluster, "me")
    follower.ask("a")
    heads = arrived(catchup.heads([cluster.shards[5]]))
    assert said(cluster) == [("a", frame.HEADS, [ASK, heads])]
    assert follower.asked == {"a"}


def test_an_owner_is_told_anew_how_far_it_is_followed_where_nothing_is_behind() -> None:
    """Else it would take a follower that came back for one that has nothing, while all is quiet."""
    follower, cluster = follower_of()
    follower.on_append("a", sent(T, 3, begin(T), data(T, 2)))
    follower.on_append("a", sent(T, 4, begin(T)))
    cluster.promise(cluster.shards[4], U)  # so what is in the log may not be the next owner's
    follower.on_append("b", sent(U, 5, begin(U)))
    cluster.flush_log()
    cluster.flush_acks()
    said(cluster)
    follower.ask("a")
    cluster.flush_acks()
    assert bodies(cluster, frame.APPENDED) == [[[*T], [3], [2], None]]


def test_a_server_hears_of_promises_beyond_it_that_came_to_nothing() -> None:
    follower, cluster = follower_of()
    follower.on_append("a", sent(T, 3, begin(T)))
    follower.on_append("a", sent(T, 4, begin(T)))
    said(cluster)
    follower.fence("a")
    assert said(cluster) == []
    cluster.promise(cluster.shards[3], U)  # of a candidate that then was fenced by another
    cluster.shards[3].owner = None
    follower.fence("b")  # not the one that is to own it
    assert said(cluster) == []
    follower.fence("a")
    assert said(cluster) == [("a", frame.FENCED, [[3, [*U]]])]


def test_an_owner_that_was_taken_for_dead_is_the_owner_again() -> None:
    follower, cluster = follower_of()
    boot = cluster.members.table["a"].boot
    follower.on_append("a", sent(Term(3, boot), 3, begin(Term(3, boot))))
    follower.on_append("a", sent(Term(3, 999), 4, begin(Term(3, 999))))  # of another life
    said(cluster)
    for number in (3, 4):
        cluster.shards[number].owner = None
    follower.fence("a")
    assert said(cluster) == []
    assert [cluster.shards[n].owner for n in (3, 4)] == ["a", None]


def test_who_has_nothing_gets_all_and_then_the_word_that_it_has() -> None:
    follower, cluster, shard = owner_of()
    follower.on_heads("a", [ASK, NOTHING])
    follower.flush()
    (_, kind, body), (_, last, done) = said(cluster)
    assert (kind, last, done) == (frame.APPEND, frame.HEADS, [DONE, None])
    assert columns.read(body, 99).records == shard.log.records
    follower.on_heads("a", [DONE, None])
    assert follower.synced == {"a"}
    follower.forget("a")
    assert follower.synced == set()


def test_who_has_a_part_gets_the_rest_and_who_diverged_the_state() -> None:
    follower, cluster, shard = owner_of()
    follower.on_heads("a", arrived([ASK, [[3], [3], [0], [shard.term]]]))
    ((_, _, body),) = said(cluster)
    assert [r.number for r in columns.read(body, 99).records] == [4, 5]
    cursor = cluster.cursors["a"]
    cursor.match[3] = cursor.durable[3] = 5
    follower.on_nack("a", arrived([shard.term, [[3, [[*T, 1]], 9, 0]]]))
    ((_, kind, body),) = said(cluster)
    assert (kind, body[:2]) == (frame.SNAP, [[*shard.term], 3])
    assert (cursor.match[3], cursor.durable[3]) == (0, 0), "and its match is lowered (R3)"


def test_a_gap_in_another_term_or_of_what_is_not_owned_is_none_of_this_node() -> None:
    follower, cluster, shard = owner_of()
    fill(cluster.shards[5], T)
    follower.on_nack("a", arrived([T, [[3, [], 0, 0], [5, [], 0, 0]]]))
    follower.on_nack("a", arrived([shard.term, [[5, [], 0, 0]]]))
    assert bodies(cluster, frame.APPEND) == []


def test_a_client_is_fed_also_what_others_own() -> None:
    follower, cluster, _ = owner_of()
    fill(cluster.shards[5], T, T)
    cluster.clients["c"] = 9
    follower.on_heads("c", arrived([ASK, [[5], [1], [0], [T]]]))
    ((name, kind, body),) = said(cluster)
    assert (name, kind, body[0]) == ("c", frame.FEED, [0, 0])
    assert columns.read(body, 99).shards == [*[3] * 5, 5]
    follower.on_nack("c", arrived([ZERO_TERM, [[5, [], 0, 0]]]))
    ((_, _, body),) = said(cluster)
    assert columns.read(body, 99).shards == [5, 5]


def test_who_takes_nothing_for_the_moment_is_sent_nothing() -> None:
    follower, cluster, _ = owner_of()
    cluster.cursors["a"].paused = True
    follower.on_heads("a", [ASK, NOTHING])
    follower.flush()
    assert said(cluster) == []
    cluster.cursors["a"].paused = False
    follower.flush()
    assert [kind for _, kind, _ in said(cluster)] == [frame.APPEND, frame.HEADS]


def test_what_has_no_way_to_go_is_kept() -> None:
    follower, cluster, _ = owner_of()
    link = cluster.servers.pop("a")
    follower.on_heads("a", [ASK, NOTHING])
    follower.flush()
    assert said(cluster) == []
    cluster.servers["a"] = link
    follower.flush()
    ((_, kind, body), (_, last, done)) = said(cluster)
    assert (kind, last, done) == (frame.APPEND, frame.HEADS, [DONE, None])
    assert len(columns.read(body, 99).records) == 5


def test_with_the_word_that_it_has_all_a_voter_hears_what_is_committed() -> None:
    follower, cluster = follower_of(quorum=VOTERS)
    own(cluster, 3)
    follower.on_heads("a", [ASK, NOTHING])
    follower.flush()
    assert [kind for _, kind, _ in said(cluster)] == [frame.APPEND, frame.HEADS]
    cluster.flush_commits()
    assert bodies(cluster, frame.COMMITTED) == [[[1, 100], [3], [0]]] * 2


def test_who_ends_in_a_term_unknown_here_is_asked_for_its_history() -> None:
    follower, cluster, shard = owner_of()
    cursor = cluster.cursors["a"]
    cursor.match[3] = cursor.durable[3] = 5
    odd = Term(8, 999)
    tell = ("a", frame.HEADS, [TELL, [3]])
    follower.on_heads("a", arrived([ASK, [[3], [4], [0], [odd]]]))
    assert said(cluster) == [tell]
    assert (cursor.match[3], cursor.durable[3], cursor.live) == (0, 0, False)
    follower.flush()
    assert said(cluster) == [], "not the word that it has all"
    cluster.now += AGAIN_S
    follower.flush()
    follower.flush()
    assert said(cluster) == [tell], "once more, it may have been lost"
    follower.on_heads("a", arrived([TOLD, [[3, [[*shard.term, 1], [*odd, 3]], 4, 0]]]))
    ((_, kind, body),) = said(cluster)
    assert (kind, body[:2]) == (frame.SNAP, [[*shard.term], 3])
    follower.flush()
    assert said(cluster) == [("a", frame.HEADS, [DONE, None])]


def test_a_history_is_told_to_who_asks_for_it() -> None:
    follower, cluster, shard = owner_of()
    follower.on_heads("a", [TELL, [3]])
    rows = arrived([catchup.history(shard)])
    assert said(cluster) == [("a", frame.HEADS, [TOLD, rows])]
    for numbers in (None, 7, ["3"], [8], [-1]):
        refused(follower.on_heads, "a", [TELL, numbers])


def test_a_snapshot_that_comes_late_takes_nothing_back() -> None:
    _, _, owner = owner_of()
    here, mine = follower_of("a", name="f")
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
    _, cluster = follower_of(quorum=VOTERS)
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
    follower, cluster, shard = owner_of()
    cursor = cluster.cursors["a"]
    cursor.match[3], cursor.synced = 5, True
    refused(follower.on_heads, "a", [TOLD, rows])
    refused(follower.on_heads, "a", [ASK, rows])
    refused(follower.on_nack, "a", [[*shard.term], rows])
    assert (cursor.match, cursor.synced, cursor.live) == ({3: 5}, True, True)
    for body in ([], None, [ASK], [4, []], ["0", []]):
        refused(follower.on_heads, "a", body)
    for body in ([], None, [[*T]], [None, []], [["a", 1], []]):
        refused(follower.on_nack, "a", body)


def test_how_far_a_follower_has_come_is_read_whole() -> None:
    follower, _ = follower_of()
    assert follower.on_appended([[*T], [3, 4], [5, 6], None]) == (T, [3, 4], [5, 6], None)
    assert follower.on_appended([[*T], [3], [5], [4]]) == (T, [3], [5], [4])
    for synced in ([], ["4"], [-1], [1, 2], 7, [None]):
        refused(follower.on_appended, [[*T], [3], [5], synced])


# --- an owner and its follower on a line that loses, repeats and mixes


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_a_line_does_the_logs_come_to_be_equal(drawn: st.DataObject) -> None:
    there, theirs = follower_of("me2", "f", name="a")
    here, mine = follower_of("a", name="f")
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
    here.ask("a")
    ((_, _, heads),) = said(mine)
    line.clear()
    there.on_heads("f", arrived(heads))
    for _, kind, body in said(theirs):
        if kind == frame.HEADS:
            here.on_heads("a", arrived(body))
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
