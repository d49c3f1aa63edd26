"""The catch-up: from any two logs to equal ones, with what was undone kept as a branch."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core import columns
from rxfero.core.catchup import (
    CHUNK,
    RECORDS,
    Cursor,
    Gathering,
    Head,
    Image,
    heads,
    history,
    install,
    locate,
    locate_head,
    read_heads,
    read_history,
    snapshot,
    tails,
)
from rxfero.core.change import Record
from rxfero.core.log import common
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.shard import DIVERGED, GREW, KNOWN, Shard
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError
from tests.core.parts import begin, data, fill, shape

A, B, C = Term(1, 7), Term(2, 3), Term(3, 9)
FENCE = Term(9, 1)


def sent(body: Any) -> Any:
    return unpack_body(pack_body(body))


def whole(shard: Shard, point: int = 0) -> bytes:
    """Give a snapshot as it arrives."""
    gathering = Gathering()
    for body in snapshot(shard, FENCE, point):
        fence, number, packed = gathering.take(sent(body))
        assert (fence, number) == (FENCE, shard.id)
    assert packed is not None
    return packed


def check_head(cursor: Cursor, owner: Shard, follower: Shard) -> None:
    """Check that a head says as much as the history, wherever its term is known."""
    head = read_heads(sent(heads([follower])), 1)[0][1]
    told = Cursor(1, "f")
    told.match[0] = 99
    if locate_head(told, owner, head):
        assert (told.behind, told.snaps) == (cursor.behind, cursor.snaps)
        assert (told.match, told.durable) == (cursor.match, cursor.durable)
    else:
        assert head.last not in dict(owner.log.hist)


def bring(owner: Shard, follower: Shard, room: int = 1 << 20) -> tuple[int, list[Record]]:
    """Let a follower catch up; give the records it got and those undone."""
    number, hist, end, _ = read_history(sent(history(follower)), 1)
    cursor = Cursor(1, "f")
    cursor.match[0] = 99
    locate(cursor, owner, hist, end)
    assert cursor.match[0] == common(owner.log.hist, owner.log.end, hist, end)
    check_head(cursor, owner, follower)
    got, undone = 0, list[Record]()
    for body, _ in tails(cursor, [owner], FENCE, list(cursor.behind), room):
        for record in columns.read(sent(body), RECORDS).records:
            got += 1
            assert follower.follow(record) == GREW
    for number, point in cursor.snaps.items():
        undone = install(follower, Image(whole(owner, point), number))
    return got, undone


def grow(rng: random.Random, shard: Shard, boot: int, count: int, highest: int) -> int:
    """Write as owners of ever higher terms would; give the highest term counter used."""
    for _ in range(count):
        log = shard.log
        if log.last_term.boot != boot or rng.random() < 0.3:
            highest += 1
            shard.append(begin(Term(highest, boot), log.end + 1, log.last_term))
        else:
            sid = f"s{boot}"
            key = rng.choice("abc")
            seq = shard.sessions.expected(sid)
            shard.append(data(log.last_term, log.end + 1, key, log.end, sid=sid, seq=seq))
    return highest


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9),
       st.integers(0, 20), st.integers(0, 20), st.sampled_from([1, 200, 1 << 20]))  # fmt: skip
def test_after_it_the_logs_are_equal_and_what_was_undone_is_kept(
    seed: int, shared: int, mine: int, theirs: int, base: int, other_base: int, room: int
) -> None:
    rng = random.Random(seed)
    owner, follower = Shard(0), Shard(0)
    highest = grow(rng, owner, 1, shared, 0)
    for record in owner.log.records:
        follower.follow(record)
    highest = grow(rng, owner, 2, mine, highest)
    grow(rng, follower, 3, theirs, highest - rng.randint(0, min(mine, 1)))
    owner.log.compact(base)
    follower.log.compact(other_base)
    before, end = follower.dump(), follower.log.end
    beyond = [r for r in follower.log.records if r.number > shared]
    if mine == 0 and theirs:
        return  # such a follower would have been the owner
    got, undone = bring(owner, follower, room)
    for shard in (owner, follower):
        shard.invariants()
    assert (follower.log.end, follower.log.last_term) == (owner.log.end, owner.log.last_term)
    assert follower.dump() == owner.dump()
    assert follower.branches == ([beyond] if theirs and beyond else [])
    assert all(r in undone for r in beyond)
    if theirs and shared < other_base and end > shared and other_base:
        (dump,) = follower.dumps  # even its base lies beyond the common point (R6)
        assert dump[0] == before
        ((_, _, at),) = dump[1]
        assert at == -end
    else:
        assert follower.dumps == []
    assert got == 0 or got == owner.log.end - shared
    assert bring(owner, follower) == (0, []), "nothing is left to bring"


# --- the cursor


def test_a_cursor_remembers_the_first_record_that_was_not_sent() -> None:
    cursor = Cursor(1, "f")
    assert cursor.live
    cursor.miss(3, 7)
    cursor.miss(3, 9)
    cursor.miss(3, 5)
    assert (cursor.behind, cursor.live) == ({3: 5}, False)
    cursor.snaps[4] = 0
    cursor.miss(4, 2)
    assert 4 not in cursor.behind, "the snapshot will have it"
    shards = [fill(Shard(n), *[A] * 6) for n in range(5)]
    assert cursor.lag(shards) == 2 + 6
    assert repr(cursor) == "<Cursor f link=1 behind in 2 shards>"
    cursor = Cursor(1, "f")
    cursor.paused = True
    assert not cursor.live


def test_an_old_acknowledgement_is_lowered_to_the_common_point() -> None:
    shard, cursor = fill(Shard(0), A, A, B), Cursor(1, "f")
    cursor.match[0] = 3
    locate(cursor, shard, [(A, 1), (C, 3)], 5)
    assert (cursor.match, cursor.snaps, cursor.behind) == ({0: 2}, {0: 2}, {})
    locate(cursor, shard, [(A, 1)], 2)
    assert (cursor.match, cursor.snaps, cursor.behind) == ({0: 2}, {}, {0: 3})
    locate(cursor, shard, [(A, 1), (B, 3)], 3)
    assert (cursor.snaps, cursor.behind) == ({}, {})


def test_records_go_in_frames_of_bounded_size() -> None:
    shards = [fill(Shard(0), *[A] * (RECORDS + 10)), fill(Shard(1), *[A] * 5)]
    cursor = Cursor(1, "f")
    cursor.behind = {0: 1, 1: 3}
    counts = [len(columns.read(sent(b), 9999).records) for b, _ in
              tails(cursor, shards, FENCE, [0, 1], 1 << 20)]  # fmt: skip
    assert counts == [RECORDS, 13]
    assert cursor.live
    cursor.behind = {0: RECORDS}
    sizes = [size for _, size in tails(cursor, shards, FENCE, [0], 100)]
    assert len(sizes) > 3
    assert all(size <= 200 for size in sizes)


def test_what_is_behind_the_log_gets_the_state() -> None:
    shard, cursor = fill(Shard(0), *[A] * 9), Cursor(1, "f")
    shard.log.compact(5)
    cursor.behind = {0: 3}
    assert list(tails(cursor, [shard], FENCE, [0], 1 << 20)) == []
    assert (cursor.behind, cursor.snaps) == ({}, {0: 2})


# --- histories


def test_a_history_is_read_as_it_was_told() -> None:
    shard = fill(Shard(5), A, A, B)
    shard.log.compact(1)
    assert read_history(sent(history(shard)), 6) == (5, [(A, 1), (B, 3)], 3, 1)


@pytest.mark.parametrize(
    "row",
    [
        None, 7, "abcd", [], [0, [], 0], [0, [], 0, 0, 0], [6, [], 0, 0], [-1, [], 0, 0],
        ["0", [], 0, 0], [None, [], 0, 0], [0, None, 0, 0], [0, 7, 0, 0], [0, [], -1, 0],
        [0, [], "9", 0], [0, [], 9, None], [0, [], 9, 10], [0, [], 9.0, 0], [True, [], 0, 0],
        [0, [[1, 7]], 9, 0], [0, [["1", 7, 1]], 9, 0], [0, [[1, 7, "1"]], 9, 0],
        [0, [[1, 7, -1]], 9, 0], [0, [[1 << 63, 7, 1]], 9, 0], [0, [[1, 7, 10]], 9, 0],
        [0, [[2, 7, 1], [1, 7, 3]], 9, 0], [0, [[1, 7, 3], [2, 7, 3]], 9, 0],
    ],
    ids=repr,
)  # fmt: skip
def test_a_history_that_is_none_is_refused(row: Any) -> None:
    with pytest.raises(ProtocolError):
        read_history(row, 6)


# --- snapshots


def test_heads_are_read_as_they_were_told() -> None:
    shards = [fill(Shard(1), A, A), fill(Shard(4), B), fill(Shard(5), A)]
    sent = unpack_body(pack_body(heads(shards)))
    assert sent == [[1, 4, 5], [2, 1, 1], [0, 1, 0], [[*A], [*B]]]
    assert read_heads(sent, 6) == [(1, Head(A, 2)), (4, Head(B, 1)), (5, Head(A, 1))]
    assert read_heads([[], [], [], []], 6) == []


@pytest.mark.parametrize(
    "sent",
    [
        None, 7, [], [1, 2, 3, 4], [[1], [9], [0], []], [[1], [9], [1], [[3, 9]]],
        [[1], [9], [-1], [[3, 9]]], [[1], [], [0], [[3, 9]]], [[1], [9], [], [[3, 9]]],
        [[1], [9], [0], [None]], [[1], [9], [0], [["a", 7]]], [[1], [9], [0], [[1 << 63, 7]]],
        [[1], ["9"], [0], [[3, 9]]], [[1], [None], [0], [[3, 9]]], [[1], [-1], [0], [[3, 9]]],
        [[1], [9.5], [0], [[3, 9]]], [["1"], [9], [0], [[3, 9]]], [[None], [9], [0], [[3, 9]]],
        [[[]], [9], [0], [[3, 9]]], [[-1], [9], [0], [[3, 9]]], [[6], [9], [0], [[3, 9]]],
        [[1, 1], [9, None], [0, 0], [[3, 9]]],  # the first of them could be read
    ],
    ids=repr,
)  # fmt: skip
def test_heads_that_are_none_are_refused(sent: Any) -> None:
    with pytest.raises(ProtocolError):
        read_heads(sent, 6)


def test_a_large_snapshot_goes_in_parts() -> None:
    shard = fill(Shard(3), A)
    shard.append(data(A, 2, "k", "v" * (2 * CHUNK)))
    parts = snapshot(shard, FENCE, 0)
    assert len(parts) >= 3
    follower = Shard(3)
    assert install(follower, Image(whole(shard), 3)) == []
    assert follower.dump() == shard.dump()


def test_parts_of_several_snapshots_may_alternate() -> None:
    gathering = Gathering()
    gathering.take([FENCE, 1, 0, 2, b"a"])
    gathering.take([FENCE, 2, 0, 2, b"c"])
    assert gathering.take([FENCE, 1, 1, 2, b"b"]) == (FENCE, 1, b"ab")
    gathering.take([FENCE, 2, 0, 3, b"x"])  # begun again
    gathering.take([FENCE, 2, 1, 3, b"y"])
    assert gathering.take([FENCE, 2, 2, 3, b"z"]) == (FENCE, 2, b"xyz")
    with pytest.raises(ProtocolError, match="part 1 of a snapshot where 0 was due"):
        gathering.take([FENCE, 1, 1, 2, b"b"])


@pytest.mark.parametrize(
    "body",
    [
        None, [], [FENCE, 1, 0, 1], [None, 1, 0, 1, b""], [["a", 1], 1, 0, 1, b""],
        [FENCE, "1", 0, 1, b""], [FENCE, [1], 0, 1, b""], [FENCE, -1, 0, 1, b""],
        [FENCE, 1, None, 1, b""], [FENCE, 1, -1, 1, b""], [FENCE, 1, 1, 1, b""],
        [FENCE, 1, 0, "1", b""], [FENCE, 1, 0, 0, b""], [FENCE, 1, 0, 1, "text"],
        [FENCE, 1, 0.0, 1, b""], [FENCE, 1, 2, 3, b""],
    ],
    ids=repr,
)  # fmt: skip
def test_a_part_that_is_none_is_refused(body: Any) -> None:
    with pytest.raises(ProtocolError):
        Gathering().take(body)


def image_of(shard: Shard) -> list[Any]:
    """Give the fields of a snapshot: base, term there, history, records, end, state."""
    return unpack_body(whole(shard))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, None), (0, -1), (0, 1), (0, 3), (1, None), (1, [1, 8]), (1, [0, 0]), (2, None), (2, []),
        (2, [[1, 7, 1]]), (2, [[1, 7, 1], [2, 3, 3]]),
        (2, [[2, 3, 1], [1, 7, 4]]), (2, [[1, 7, "1"]]), (2, [[1, 7, 1], [2, 3, 4], [3, 9, 6]]),
        (3, None), (3, 7), (3, []), (3, {}), (4, None), (4, 4), (4, 6), (4, 1 << 63), (5, None),
        (5, []), (5, [[], [0, []], [], 0, [7]]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_snapshot_that_does_not_fit_together_is_refused(place: int, value: Any) -> None:
    shard = fill(Shard(0), A, A, A, B, B)
    shard.log.compact(2)
    fields = image_of(shard)
    follower = Shard(0)
    install(follower, Image(pack_body(fields), 0))
    assert follower.dump() == shard.dump()
    fields[place] = value
    with pytest.raises(ProtocolError):
        Image(pack_body(fields), 0)


@pytest.mark.parametrize("packed", [b"", b"\xc0", b"\x96", b"text", b"\x96" + b"\xc0" * 6])
def test_bytes_that_are_no_snapshot_are_refused(packed: bytes) -> None:
    with pytest.raises(ProtocolError):
        Image(packed, 0)


def test_a_snapshot_with_its_records_in_the_wrong_order_is_refused() -> None:
    fields = image_of(fill(Shard(0), A, A, A))
    fields[3][3] = [1, 3, 2]
    with pytest.raises(ProtocolError, match="does not fit together"):
        Image(pack_body(fields), 0)


def test_a_duplicate_snapshot_changes_nothing() -> None:
    owner, follower = fill(Shard(0), A, A, B, B), fill(Shard(0), A, A)
    packed = whole(owner)
    install(follower, Image(packed, 0))
    before = shape(follower)
    assert install(follower, Image(packed, 0)) == []
    assert shape(follower) == before
    assert [follower.follow(r) for r in owner.log.records] == [KNOWN] * 4
    assert follower.follow(data(C, 4)) == DIVERGED
    assert Image(whole(Shard(0)), 0).base_term == ZERO_TERM


def test_what_is_not_acknowledged_is_sent_again_where_nothing_was_for_a_while() -> None:
    still, moves, whole_one = (fill(Shard(n), A, A, A) for n in range(3))
    cursor = Cursor(1, "f")
    cursor.match = {0: 1, 1: 1, 2: 3}
    cursor.press([still, moves, whole_one])
    assert (cursor.behind, cursor.synced) == ({}, False), "it may only be late"
    cursor.match[1] = 2
    cursor.press([still, moves, whole_one])
    assert cursor.behind == {0: 2}
    cursor.press([still, moves, whole_one])
    assert cursor.behind == {0: 2, 1: 3}
