"""The takeover: all that are alive promise, the highest log wins, shards drop out one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.catchup import Head, heads, read_heads
from rxfero.core.position import Term
from rxfero.core.shard import CANDIDATE, FOLLOWER, Shard
from rxfero.core.takeover import Takeover
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError
from tests.core.parts import data, fill

A, B, C = Term(1, 7), Term(2, 3), Term(3, 9)
T = Term(9, 100)


def log_of(number: int, *terms: Term) -> Shard:
    return fill(Shard(number), *terms)


def round_of(*shards: Shard, voters: tuple[str, ...] = ("x", "y")) -> Takeover:
    for shard in shards:
        shard.promise(T)
        shard.role, shard.term = CANDIDATE, T
    return Takeover(T, list(shards), "me", voters, 0.0, 5.0)


def sent(*shards: Shard) -> list[tuple[int, Head]]:
    return read_heads(unpack_body(pack_body(heads(shards))), 9)


def test_it_waits_for_everybody_that_is_asked() -> None:
    takeover = round_of(log_of(0))
    assert (takeover.asking, takeover.enough(), takeover.silent) == (True, False, {"x", "y"})
    takeover.promised("x", sent())
    takeover.promised("stranger", sent())
    assert takeover.silent == {"y"}
    takeover.leave_out("y")
    assert takeover.enough()
    assert not takeover.asking
    assert round_of(log_of(0), voters=()).enough(), "nobody else is there"


heads_ = st.builds(Head, st.sampled_from([A, B, C]), st.integers(0, 4))


@given(heads_, st.lists(st.tuples(st.sampled_from("xyz"), heads_), max_size=5))
def test_the_highest_log_of_term_and_end_is_chosen(mine: Head, told: list[tuple[str, Head]]) -> None:
    shard = Shard(1)
    fill(shard, *[mine.last] * mine.end)
    own = Head(shard.log.last_term, shard.log.end)
    takeover = round_of(shard, voters=tuple("xyz"))
    for voter, head in told:
        takeover.promised(voter, [(1, head)])
    ready, fetch = takeover.choose()
    best = max([own, *[head for _, head in told]])
    if best == own:
        assert (ready, fetch) == ([shard], {})
        return
    ((donor, shards),) = fetch.items()
    assert (ready, shards) == ([], [shard])
    assert (donor, best) in told
    assert takeover.donors == {donor: {1}}


def test_a_shard_is_ready_when_all_the_donor_had_is_here() -> None:
    ours, theirs = log_of(1, A), log_of(1, A, A, A)
    other = log_of(2, B)
    takeover = round_of(ours, other)
    takeover.promised("x", sent(theirs, log_of(2)))
    takeover.promised("y", sent(log_of(1, A, A)))
    ready, fetch = takeover.choose()
    assert (ready, fetch) == ([other], {"x": [ours]})
    assert not takeover.over
    assert takeover.fetched("y", [1]) == [], "of another donor"
    ours.follow(data(A, 2))
    assert takeover.fetched("x", [1, 7]) == [], "something is missing still: it is given up"
    takeover = round_of(ours, voters=("x",))
    takeover.promised("x", sent(theirs))
    takeover.choose()
    ours.follow(data(A, 3))
    assert takeover.fetched("x", [1]) == [ours]
    takeover.drop(1)
    assert takeover.over


def test_shards_drop_out_and_the_rest_goes_on() -> None:
    one, two, three = log_of(1, A), log_of(2, A), log_of(3, A)
    takeover = round_of(one, two, three, voters=("x",))
    takeover.promised("x", sent(log_of(2, A, A), log_of(3, B)))
    takeover.drop(1)
    takeover.drop(1)
    two.role = FOLLOWER  # it promised another meanwhile
    ready, fetch = takeover.choose()
    assert (ready, fetch) == ([], {"x": [three]})
    assert repr(takeover) == f"<Takeover {T} shards=1 fetching 1>"
    takeover.drop(3)
    assert takeover.over


def test_the_silent_are_left_out_by_choosing_without_them() -> None:
    shard = log_of(1, A)
    takeover = round_of(shard)
    assert takeover.choose() == ([shard], {})
    assert not takeover.asking
    takeover.promised("x", sent(log_of(1, A, A)))
    assert takeover.donors == {}


def test_a_promise_for_less_than_the_promiser_has_counts_for_nothing() -> None:
    shard = log_of(1, A)
    takeover = round_of(shard, voters=("x",))
    with pytest.raises(ProtocolError):
        takeover.promised("x", [(1, Head(T, 2))])
    assert takeover.silent == {"x"}
    assert takeover.choose() == ([shard], {})
