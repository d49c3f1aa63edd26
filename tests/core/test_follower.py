"""The follower: only what matches and is not fenced off is taken, and what misses is told."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero.core import catchup, columns, frame
from rxfero.core.change import LOST, Record
from rxfero.core.cluster import Cluster
from rxfero.core.follower import Follower
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.quorum import Quorum
from rxfero.core.shard import FOLLOWER, OWNER, Shard
from rxfero.core.succession import Succession
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError
from tests.core.parts import (
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


def test_a_late_frame_of_an_earlier_term_of_the_same_owner_is_fenced_off() -> None:
    """A third server may bring it; the record itself would plainly go on."""
    follower, cluster = follower_of()
    follower.on_append("a", sent(T, 3, begin(T), data(T, 2)))
    shard = cluster.shards[3]
    shard.promise(Term(U.n, T.boot))
    shard.owner = "a"
    cluster.flush_acks()
    said(cluster)
    before = shape(shard)
    follower.on_append("a", sent(T, 3, data(T, 3)))
    assert shape(shard) == before
    assert said(cluster) == [("a", frame.FENCED, [[3, [U.n, T.boot]]])]


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
