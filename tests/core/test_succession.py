"""The succession: who the ring names takes over from who promised, and merges what it finds."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero.core import catchup, columns, frame
from rxfero.core.catchup import heads
from rxfero.core.change import DATA, LOST, MERGE, TERM, Record
from rxfero.core.cluster import Cluster
from rxfero.core.columns import check_shards
from rxfero.core.journal import Journal
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.quorum import Quorum
from rxfero.core.shard import CANDIDATE, FOLLOWER, OWNER, Shard
from rxfero.core.succession import BACKOFF_S, OFFER_S, Succession
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError
from tests.core.parts import begin, bodies, cluster_of, data, fill, own, ring_of, said, shape

T, U, V = Term(3, 101), Term(5, 102), Term(3, 102)
ALL = list(range(8))


def succession_of(*others: str, **given: Any) -> tuple[Succession, Cluster]:
    """Give a server to which the ring gives every shard."""
    cluster = cluster_of(*others, **given)
    ring_of(cluster, "me")
    return Succession(cluster), cluster


def arrived(body: Any) -> Any:
    return unpack_body(pack_body(body))


def refused(take: Any, *given: Any) -> None:
    """Check that a frame is refused; the replica makes a ProtocolError of each of these."""
    with pytest.raises((ProtocolError, TypeError, ValueError, LookupError)):
        take(*given)


def promise(term: Term, *shards: Shard, fenced: Any = ()) -> Any:
    return arrived([term, heads(shards), list(fenced)])


def started(*terms: Term, others: tuple[str, ...] = ("a", "b")) -> tuple[Succession, Cluster, Term]:
    """Give a server that has asked for promises of shard 3, whose log has those terms."""
    succession, cluster = succession_of(*others)
    ring_of(cluster, "a")
    fill(cluster.shards[3], *terms)
    cluster.ring.owners = tuple("me" if n == 3 else "a" for n in range(8))
    succession.advance()
    (takeover,) = succession.rounds
    said(cluster)
    return succession, cluster, takeover.term


# --- who is asked


def test_who_has_not_answered_is_asked_again_over_a_new_link() -> None:
    """What was asked over the old one may not have come there; without it the log may be short."""
    succession, cluster, term = started(T)
    succession.ask_again("a")
    succession.ask_again("c")
    assert said(cluster) == [("a", frame.PREPARE, [[*term], [3]])]
    succession.on_promise("a", promise(term, cluster.shards[3]))
    succession.ask_again("a")
    assert said(cluster) == []
    succession.on_promise("b", promise(term, cluster.shards[3]))
    succession.ask_again("b")
    assert bodies(cluster, frame.PREPARE) == []


# --- R1: a term of one's own, above all that was seen


def test_who_is_alone_owns_at_once_with_a_term_record_in_each_log() -> None:
    succession, cluster = succession_of()
    fill(cluster.shards[3], T, T)
    succession.advance()
    term = Term(4, cluster.boot)
    for shard in cluster.shards:
        assert (shard.role, shard.owner, shard.term, shard.promised) == (OWNER, "me", term, term)
        shard.invariants()
    assert cluster.shards[3].log.records[-1][:3] == (term, 3, TERM)
    assert cluster.shards[3].log.records[-1].origin == (T, 2)
    assert succession.became == cluster.shards
    assert succession.rounds == []


def test_a_term_is_above_every_term_seen_and_never_used_again() -> None:
    succession, cluster = succession_of()
    succession.on_prepare("a", [[7, 101], [5]])
    succession.on_fenced("a", [[6, [9, 102]]])
    cluster.now += 2 * BACKOFF_S
    succession.advance()
    assert cluster.shards[0].term == Term(10, cluster.boot)
    own_terms = {s.term for s in cluster.shards}
    cluster.shards[0].promise(Term(11, 101))
    succession.stale = True
    succession.advance()
    assert cluster.shards[0].term == Term(12, cluster.boot)
    assert cluster.shards[0].term not in own_terms


# --- R4: all that are believed alive promise


def test_every_member_alive_is_asked_once_for_all_shards() -> None:
    succession, cluster = succession_of("a", "b")
    succession.advance()
    succession.advance()
    term = [1, cluster.boot]
    assert said(cluster) == [(n, frame.PREPARE, [term, ALL]) for n in "ab"]
    assert {s.role for s in cluster.shards} == {CANDIDATE}
    succession.on_promise("a", promise(Term(*term), *cluster.shards))
    assert succession.became == []
    succession.on_promise("b", promise(Term(*term), *cluster.shards))
    assert succession.became == cluster.shards


def test_who_is_silent_is_left_out_when_time_is_over() -> None:
    succession, cluster, term = started(T)
    cluster.now += cluster.constants.takeover.timeout / 1000
    succession.advance()
    assert cluster.shards[3].role == OWNER
    succession.on_promise("a", promise(term, fill(Shard(3), T, T)))
    assert cluster.shards[3].role == OWNER, "a late promise changes nothing"


def test_who_died_is_not_waited_for() -> None:
    succession, cluster, term = started(T)
    succession.on_promise("a", promise(term, cluster.shards[3]))
    succession.gone("b")
    assert cluster.shards[3].role == OWNER


def test_a_promise_for_another_term_or_of_a_stranger_does_not_count() -> None:
    succession, cluster, term = started(T)
    succession.on_promise("a", promise(T, cluster.shards[3]))
    succession.on_promise("stranger", promise(term, cluster.shards[3]))
    assert cluster.shards[3].role == CANDIDATE


def test_the_rest_of_the_longest_log_is_fetched_first() -> None:
    succession, cluster, term = started(T)
    theirs = fill(Shard(3), T, T, V)
    succession.on_promise("a", promise(term, theirs))
    succession.on_promise("b", promise(term, fill(Shard(3), T, T)))
    shard = cluster.shards[3]
    assert said(cluster) == [("a", frame.FETCH, [[*term], [[3, [[*T, 1]], 1, 0]]])]
    rest = theirs.log.records[1:]
    for source in ("b", "a"):
        succession.on_fetched(source, arrived([term, 0, columns.write(term, [3, 3], rest)]))
    assert (shard.log.end, shard.role) == (3, CANDIDATE)
    succession.on_fetched("a", arrived([term, 2, [3]]))
    assert (shard.log.end, shard.role, shard.log.hist[-1]) == (4, OWNER, (term, 4))
    cluster.flush_log()
    ((_, fresh),) = cluster.changes
    assert [r.number for r in fresh] == [2, 3, 4]


def test_where_the_log_diverged_the_state_is_fetched_and_the_rest_kept_as_a_branch() -> None:
    succession, cluster, term = started(T, T)
    shard, theirs = cluster.shards[3], fill(Shard(3), V, V)
    succession.on_promise("a", promise(term, theirs))
    succession.on_promise("b", promise(term))
    for body in catchup.snapshot(theirs, term, 0):
        succession.on_fetched("a", arrived([term, 1, body]))
    assert (shard.log.end, shard.log.last_term) == (2, V)
    assert [event for event, _ in cluster.notices] == ["rollback", "reset"]
    succession.on_fetched("a", arrived([term, 2, [3]]))
    assert shard.role == OWNER
    assert shard.branches == [], "it is merged at once"
    assert [r.kind for r in shard.log.records[2:]] == [TERM, MERGE], "its session has it already"
    assert shard.covered(T, 2)
    shard.invariants()


def test_a_donor_that_sends_too_little_dies_or_cannot_be_reached_gives_way() -> None:
    for how in ("too little", "dies", "is gone already", "is silent"):
        succession, cluster, term = started(T, others=("a",))
        if how == "is gone already":
            del cluster.servers["a"]
        succession.on_promise("a", promise(term, fill(Shard(3), T, T)))
        if how == "too little":
            succession.on_fetched("a", arrived([term, 2, [3]]))
        elif how == "dies":
            succession.gone("a")
        elif how == "is silent":
            cluster.now += cluster.constants.takeover.timeout / 1000
            succession.advance()
        shard = cluster.shards[3]
        assert shard.role == FOLLOWER, how
        succession.advance()
        assert succession.rounds == []
        assert succession.wanted() == [], "not at once again"
        cluster.now += 2 * BACKOFF_S
        assert succession.wanted() == [shard]


# --- quorum mode


def quorum_of() -> tuple[Succession, Cluster, Term]:
    succession, cluster = succession_of("a", "b", quorum=Quorum(("me", "a", "b")))
    cluster.journal = Journal(cluster.shards)
    succession.advance()
    return succession, cluster, succession.rounds[0].term


def test_a_majority_of_the_voters_is_enough_and_the_own_promise_counts_from_the_disk() -> None:
    succession, cluster, term = quorum_of()
    succession.on_promise("a", promise(term, *cluster.shards))
    assert succession.became == [], "a restart could forget the own one"
    assert cluster.journal is not None
    while cluster.journal.waiting:
        cluster.journal.take()
        cluster.journal.wrote(synced=True)
    assert succession.became == cluster.shards


def test_without_a_majority_it_gives_up_and_with_no_way_to_one_does_not_begin() -> None:
    succession, cluster, _ = quorum_of()
    cluster.now += cluster.constants.takeover.timeout / 1000
    succession.advance()
    assert {s.role for s in cluster.shards} == {FOLLOWER}
    assert succession.rounds == []
    cluster.servers.clear()
    cluster.now += 2 * BACKOFF_S
    succession.stale = True
    succession.advance()
    assert succession.rounds == []


def test_in_quorum_mode_a_promise_is_told_when_it_is_on_the_disk() -> None:
    succession, cluster = succession_of("a", "b", quorum=Quorum(("me", "a", "b")))
    cluster.journal = Journal(cluster.shards)
    succession.on_prepare("a", [[*U], [3]])
    assert said(cluster) == []
    while cluster.journal.waiting:
        cluster.journal.take()
        cluster.journal.wrote(synced=True)
    assert [(n, k) for n, k, _ in said(cluster)] == [("a", frame.PROMISE)]


# --- R2: the others' side


def test_a_promise_tells_heads_fences_lower_terms_and_ends_the_own_reign() -> None:
    succession, cluster = succession_of("a")
    mine, higher, other = own(cluster, 1, 2), fill(cluster.shards[2], T), cluster.shards[3]
    higher.promise(Term(9, 7))
    succession.on_prepare("a", [[*U], [1, 2, 3]])
    expected = [[*U], arrived(heads([mine, other])), [[2, [9, 7]]]]
    assert said(cluster) == [("a", frame.PROMISE, expected)]
    assert (mine.role, mine.promised, succession.lost) == (FOLLOWER, U, [mine])
    assert higher.promised == Term(9, 7)
    assert succession.wanted() == [cluster.shards[n] for n in (0, 2, 4, 5, 6, 7)], "no race"
    succession.on_prepare("a", [[*U], [1]])
    assert said(cluster)[0][2][2] == [], "again, as the first answer may be lost"
    assert succession.lost == [mine]


def test_who_is_fenced_steps_down_waits_and_takes_a_higher_term() -> None:
    succession, cluster, term = started(T)
    shard, mine = cluster.shards[3], own(cluster, 4, 2)
    succession.on_fenced("a", [[3, [9, 7]], [4, [9, 7]], [5, [1, 1]], [3, [2, 2]]])
    assert (shard.role, shard.promised, mine.role) == (FOLLOWER, Term(9, 7), FOLLOWER)
    assert set(map(id, succession.lost)) == {id(shard), id(mine)}
    succession.on_promise("a", promise(term, shard))
    succession.on_promise("b", promise(term, shard))
    assert shard.role == FOLLOWER
    cluster.now += 2 * BACKOFF_S
    succession.advance()
    assert shard.term == Term(10, cluster.boot)


def test_a_refusal_within_a_promise_leaves_that_shard_out() -> None:
    succession, cluster = succession_of("a")
    succession.advance()
    ((_, _, (term, _)),) = said(cluster)
    body = promise(Term(*term), *cluster.shards[1:], fenced=[[0, [9, 7]]])
    succession.on_promise("a", body)
    assert [s.role for s in cluster.shards] == [FOLLOWER] + [OWNER] * 7


def test_a_candidate_gets_what_it_lacks_if_it_was_promised() -> None:
    succession, cluster = succession_of("a", outbox__frag=1 << 13)
    shard, other = fill(cluster.shards[3], T, T, T), fill(cluster.shards[4], T, T)
    diverged, fenced = fill(cluster.shards[5], T, T), fill(cluster.shards[6], T, T)
    for one in (shard, other, diverged):
        one.promise(U)
    rows = [[3, [[*T, 1]], 1, 0], [4, [], 0, 0], [5, [[1, 1, 1]], 4, 0], [6, [], 0, 0]]
    succession.on_fetch("a", arrived([U, rows]))
    frames = said(cluster)
    assert frames.pop(0) == ("a", frame.FENCED, [[6, [*fenced.promised]]])
    assert {kind for _, kind, _ in frames} == {frame.FETCHED}
    forms = [body[1] for _, _, body in frames]
    assert forms == sorted(forms)
    sent = [columns.read(body[2], 99) for _, _, body in frames if body[1] == 0]
    assert [(n, r.number) for b in sent for n, r in zip(b.shards, b.records, strict=True)] == [
        (3, 2), (3, 3), (4, 1), (4, 2)
    ]  # fmt: skip
    assert [body[2][1] for _, _, body in frames if body[1] == 1] == [5]
    assert frames[-1][2] == [[*U], 2, [3, 4, 5]]


# --- what is no frame of these


TERMS: list[Any] = [
    None, 7, [], [1], [1, 2, 3], ["1", 7], [1, "7"], [-1, 7], [1.5, 7], [True, 7], [1 << 63, 7],
    [(1 << 64) - 1, 7], [1, 1 << 64],
]  # fmt: skip
SHARDS: list[Any] = [8, -1, "3", None, 1.5, True, [], 1 << 40]


def lies() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for term in TERMS:
        found += [
            ("on_prepare", [term, [3]]), ("on_promise", [term, [[], [], []], []]),
            ("on_fenced", [[4, [9, 7]], [3, term]]), ("on_fetch", [term, []]),
            ("on_fetched", [term, 2, []]),
        ]  # fmt: skip
    for shard in SHARDS:
        found += [
            ("on_prepare", [[9, 7], [4, shard]]), ("on_fenced", [[4, [9, 7]], [shard, [9, 7]]]),
            ("on_promise", [[9, 7], [[], [], []], [[shard, [9, 7]]]]),
            ("on_fetch", [[9, 7], [[shard, [], 0, 0]]]), ("on_dump", [shard, [[], []]]),
        ]  # fmt: skip
    for name in ("on_prepare", "on_promise", "on_fetch", "on_fetched", "on_branch", "on_dump"):
        found += [(name, body) for body in (None, [], [1], [None] * 4, [[9, 7], None, None, None])]
    found += [("on_fenced", body) for body in (None, [1], [[1]], [[1, 2, 3]], {})]
    found += [("on_fetched", [[9, 7], what, []]) for what in (3, -1, None, "0", [0])]
    return found


@pytest.mark.parametrize(("name", "body"), lies(), ids=repr)
def test_what_is_no_such_frame_is_refused_and_changes_nothing(name: str, body: Any) -> None:
    succession, cluster = succession_of("a")
    own(cluster, 4)
    fill(cluster.shards[3], T, T)
    before = [shape(shard) for shard in cluster.shards]
    if body == {}:
        succession.on_fenced("a", body)
    else:
        refused(getattr(succession, name), "a", body)
    assert [shape(shard) for shard in cluster.shards] == before
    assert said(cluster) == []
    assert succession._counter == 0


def test_what_is_above_the_term_promised_is_no_log_to_go_on_from() -> None:
    succession, cluster, term = started(T)
    theirs = fill(Shard(3), T, T, U)
    refused(succession.on_promise, "a", promise(term, theirs))
    refused(succession.on_promise, "a", promise(term, fill(Shard(3), term)))
    succession.on_promise("a", promise(term, fill(Shard(3), T, T, V)))
    succession.on_promise("b", promise(term))
    body = columns.write(term, [3, 3], theirs.log.records[1:])
    refused(succession.on_fetched, "a", arrived([term, 0, body]))
    (part,) = catchup.snapshot(theirs, term, 0)
    refused(succession.on_fetched, "a", arrived([term, 1, part]))
    assert (cluster.shards[3].log.end, cluster.shards[3].role) == (1, CANDIDATE)


def test_nobody_else_is_a_candidate_in_a_term_of_this_node() -> None:
    succession, cluster = succession_of("a")
    shard = own(cluster, 3)
    before = shape(shard)
    for term in ([*shard.term], [9, cluster.boot]):
        refused(succession.on_prepare, "a", [term, [3]])
    assert shape(shard) == before


@pytest.mark.parametrize("rest", [None, 7, [8], [-1], ["3"], [None]], ids=repr)
def test_a_donor_that_cannot_be_understood_changes_nothing(rest: Any) -> None:
    succession, cluster, term = started(T)
    succession.on_promise("a", promise(term, fill(Shard(3), T, T)))
    succession.on_promise("b", promise(term))
    for what in (0, 1, 2):
        refused(succession.on_fetched, "a", [[*term], what, rest])
    assert (cluster.shards[3].log.end, cluster.shards[3].role) == (1, CANDIDATE)
    records = [data(T, 2), data(T, 3)]
    body = arrived([term, 0, columns.write(term, [3, 7], records)])
    succession.on_fetched("a", body)
    assert cluster.shards[7].log.end == 0, "it was not asked for that"
    check_shards([0, 7], 8)


# --- branches, by R6 to R8


def branch(*records: Record, fence: Term = ZERO_TERM, shard: int = 3) -> Any:
    return arrived(columns.write(fence, [shard] * len(records), records))


def test_what_is_not_merged_is_offered_again_and_again_to_the_owner() -> None:
    succession, cluster = succession_of("a")
    shard = cluster.shards[3]
    shard.branches = [[data(T, 2), data(T, 3, "l")]]
    shard.dumps = [[Shard(3).dump(), [[*T, -1]]]]
    for _ in range(2):
        cluster.now += OFFER_S
        succession.offer()
    assert said(cluster) == [], "nobody serves it"
    shard.owner = "a"
    for _ in range(2):
        cluster.now += OFFER_S
        succession.offer()
        succession.offer()
        (_, kind, body), (_, other, dump) = said(cluster)
        assert (kind, other) == (frame.BRANCH, frame.SBRANCH)
        assert [r.number for r in columns.read(body, 99).records] == [2, 3]
        assert dump[0] == 3
    shard.cover([(T, 2, 3), (T, -1, -1)])
    cluster.now += OFFER_S
    succession.offer()
    assert (said(cluster), shard.branches, shard.dumps) == ([], [], [])


def test_an_owner_merges_what_is_offered_once() -> None:
    succession, cluster = succession_of("a", "b")
    shard = own(cluster, 3)
    older = data(T, 2, "k", "theirs", sid="t", hlc=5)
    shard.append(data(shard.term, 2, "k", "ours", hlc=9))
    for source in ("a", "b"):
        succession.on_branch(source, branch(older, data(T, 3, "l", sid="t", hlc=6)))
    assert [r.kind for r in shard.log.records[2:]] == [LOST, DATA, MERGE]
    assert (shard.state.get("k"), shard.state.get("l")) == ("ours", 1)
    assert [(e, p[0]) for e, p in cluster.notices] == [("conflict", 3)]
    assert shard.covered(T, 2)
    assert all(r.term == shard.term for r in shard.log.records)
    shard.invariants()


def test_each_record_of_a_merge_builds_on_those_before_it() -> None:
    succession, cluster = succession_of("a")
    shard = own(cluster, 3)
    shard.append(data(shard.term, 2, "k", ["ours"], sid="s", hlc=1))
    pushes = [
        data(T, n, ("k", n), f"theirs {n}", sid="t", seq=n, hlc=5 + n, verb="add") for n in (1, 2, 3)
    ]
    succession.on_branch("a", branch(*pushes))
    assert shard.state.get("k") == ["ours", "theirs 1", "theirs 2", "theirs 3"]


def test_who_is_not_the_owner_merges_nothing() -> None:
    succession, cluster = succession_of("a")
    succession.on_branch("a", branch(data(T, 2)))
    succession.on_dump("a", [3, arrived([fill(Shard(3), T, T).dump(), [[*T, -2]]])])
    assert cluster.shards[3].log.end == 0


def test_a_record_added_under_an_id_that_is_taken_gets_the_next() -> None:
    succession, cluster = succession_of("a")
    shard = own(cluster, 3)
    shard.append(data(shard.term, 2, 7, "ours", verb="add"))
    theirs = data(T, 2, 7, "theirs", sid="t", verb="add", hlc=99)
    succession.on_branch("a", branch(theirs))
    assert [r.value for r in succession.readd] == [theirs.value]
    assert shard.state.get(7) == "ours"


def test_a_state_is_merged_and_what_ends_is_watched() -> None:
    succession, cluster = succession_of("a")
    shard, theirs = own(cluster, 3), fill(Shard(3), T)
    theirs.append(data(T, 2, "k", 5)._replace(expires=1 << 50))
    for _ in range(2):
        succession.on_dump("a", [3, arrived([theirs.dump(), [[*T, -2]]])])
    assert shard.state.get("k") == 5
    assert [r.kind for r in shard.log.records] == [TERM, DATA, MERGE]
    assert cluster.expiring == {3}


@pytest.mark.parametrize("shards", [[3, 4], [8, 8], [-1, -1]])
def test_a_branch_is_of_one_shard(shards: list[int]) -> None:
    succession, cluster = succession_of("a")
    shard = own(cluster, 3)
    body = branch(data(T, 2), data(T, 3))
    body[1] = shards
    refused(succession.on_branch, "a", body)
    assert shard.log.end == 1


def test_an_owner_merges_its_own_branches_in_the_order_of_their_terms() -> None:
    succession, cluster = succession_of()
    shard = cluster.shards[3]
    shard.branches = [
        [data(U, 2, "k", "later", sid="u", hlc=8)], [data(T, 2, "k", "first", sid="t", hlc=7)]
    ]  # fmt: skip
    succession.advance()
    assert shard.branches == []
    assert [r.origin for r in shard.log.records if r.kind == DATA] == [(T, 2), (U, 2)]
    assert shard.state.get("k") == "later"
    shard.branches = [[data(U, 3, "l", sid="u", hlc=9)]]
    cluster.now += OFFER_S
    succession.offer()
    assert (shard.state.get("l"), shard.branches) == (1, [])


def test_followers_that_were_behind_another_owner_begin_anew() -> None:
    succession, cluster = succession_of()
    cursor = cluster.cursors["a"] = catchup.Cursor(-1, "a")
    cursor.match[3], cursor.behind[3], cursor.snaps[3] = 9, 4, 5
    succession.advance()
    assert (cursor.match[3], cursor.behind, cursor.snaps) == (0, {}, {})
    assert bodies(cluster, frame.PREPARE) == []
    assert begin(T).kind == TERM
    assert "rounds=[]" in repr(succession)
