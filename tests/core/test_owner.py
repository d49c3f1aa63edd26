"""The owner: each write of a session takes effect once, in order, and is answered at its level."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxfero.core import frame
from rxfero.core.call import (
    AUTO,
    COMMIT,
    COMPARE,
    FAILED,
    GAP,
    MAJORITY,
    MISSING,
    NOT_ALLOWED,
    OK,
    REFUSED,
    RETRY,
    UNKNOWN,
    WRONG,
)  # fmt: skip
from rxfero.core.catchup import Cursor
from rxfero.core.change import COUNT, DATA, LOST, VOID
from rxfero.core.messages import PENDING, Dest, Inbound, Run
from rxfero.core.owner import Answers, Moved, Owner, refusal
from rxfero.core.path import Path
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.rows import Row, write
from rxfero.core.sessions import WINDOW
from rxfero.core.shard import FOLLOWER, OWNER, Shard
from rxfero.core.value import pack, pack_body, unpack, unpack_body
from rxfero.errors import (
    CompareFailed,
    KeyMissing,
    MethodNotAllowed,
    Refused,
    ValueRefused,
    WrongType,
)  # fmt: skip
from tests.core.owned import DEST, SHARD, Owned
from tests.core.parts import ONE, alone, bodies, data

# --- R10: dense numbers, each once


def test_the_next_of_a_session_is_logged_applied_and_answered() -> None:
    owned = Owned()
    owned.write(1)
    assert owned.shard.state.get("k") == 1
    owned.write(2, path=("k", "x"), value=5)
    assert owned.told() == {1: (OK, 2, None), 2: (OK, 3, None)}
    assert owned.shard.state.get("k") == {"x": 5}
    assert owned.shard.log.records[1][:5] == (owned.shard.term, 2, DATA, "s", 1)
    owned.cluster.flush_log()
    assert [(n, [r.number for r in rs]) for n, rs in owned.cluster.changes] == [([3, 3], [2, 3])]


MANY: Any = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", ("a", "x"), (), None, 7]), st.sampled_from([0, 1, 1, 1, 2]),
    ),
    min_size=1, max_size=20,
)  # fmt: skip


@given(MANY, st.sampled_from(["update", "add", "push"]), st.sampled_from([AUTO, COMMIT, 1]),
       st.sets(st.integers(0, 7)), st.booleans())  # fmt: skip
@example([("a", 1), ("b", 1)], "update", 1, set(), True)
@example([("a", 1), ("b", 1)], "update", AUTO, set(), True)
@example([("a", 1), ("a", 0), ("a", 1)], "update", AUTO, set(), True)
def test_many_at_once_are_what_they_are_one_by_one(
    asked: list[tuple[Any, int]], verb: str, level: int, foreign: set[int], followed: bool
) -> None:
    pair = [alone(handled=False) for _ in range(2)]
    last: dict[int, int] = {}
    rows: list[Row] = []
    for number, (key, step) in enumerate(asked, 1):
        path = key if key is None or type(key) is tuple else (key,)
        shard = pair[0][0].place(verb, path, ONE) if path else 0
        seq = last[shard] = last.get(shard, 0) + step
        rows.append(Row(number, verb, path, pack(number), seq, level, None, 0))
    for router, cluster in pair:
        router.want_proxy = bool
        for number in foreign:
            cluster.shards[number].role, cluster.shards[number].owner = FOLLOWER, "other"
        if followed:
            cluster.cursors["other"] = Cursor(-1, "other")
    (router, cluster), (other, beside) = pair
    router.on_request("c", unpack_body(pack_body(write("c", 0, "s", rows))), client=True)
    for row in rows:
        beside.clock.tick(beside.wall_ms)
        other.carry_out(Dest("c", "c", "s"), 0, row)
    for one in (cluster, beside):
        one.flush_log()
    undated = [
        [[r._replace(hlc=0) for r in shard.log.records] for shard in one.shards]
        for one in (cluster, beside)
    ]
    assert undated[0] == undated[1]
    # What is asked twice in one frame waits behind the rest of it, so their order is not the same.
    waits = [
        sorted((w.reply[1], w.number, w.level, w.reply) for s in one.shards for w in s.waits)
        for one in (cluster, beside)
    ]
    assert waits[0] == waits[1]
    stamps = [r.hlc for shard in cluster.shards for r in shard.log.records if r.kind == DATA]
    assert len({*stamps}) == len(stamps)
    told = [
        sorted((c.numbers[i], c.statuses[i], c.offsets[i], c.values[i])
               for c in o._owner.answers.values() for i in range(len(c.numbers)))
        for o in (router, other)
    ]  # fmt: skip
    assert told[0] == told[1]


def test_a_duplicate_is_answered_again_and_has_no_second_effect() -> None:
    owned = Owned()
    owned.write(1, value="first")
    owned.told()
    owned.write(1, value="second", number=9)
    assert owned.told() == {9: (OK, 2, None)}
    assert (owned.shard.log.end, owned.shard.state.get("k")) == (2, "first")


def test_what_is_older_than_the_window_is_found_in_the_log_and_read_once() -> None:
    owned = Owned()
    count = 2 * WINDOW + 5
    for seq in range(1, count + 1):
        owned.write(seq)
    owned.told()
    for seq in (1, 5, WINDOW, count):
        owned.write(seq, number=seq)
        assert owned.told() == {seq: (OK, seq + 1, None)}
    assert owned.shard.log.end == count + 1
    owned.write(count + 1)
    owned.owner.expire()
    owned.shard.log.compact(10)
    for seq, offset in ((1, 10), (20, 21), (count + 1, count + 2)):
        owned.told()
        owned.write(seq)
        assert owned.told() == {seq: (OK, offset, None)}


def test_a_gap_is_told_with_what_is_due_and_a_stranger_that_begins_late_is_unknown() -> None:
    owned = Owned()
    owned.write(1)
    owned.write(3)
    owned.write(2, dest=Dest("c", "c", "stranger"))
    assert owned.told() == {1: (OK, 2, None), 3: (GAP, 0, 2), 2: (UNKNOWN, 0, None)}
    assert owned.shard.log.end == 2


def test_a_refusal_takes_its_number_and_is_repeated() -> None:
    owned = Owned()
    owned.write(1, value="x")
    owned.write(2, "push", value=1)
    first = owned.told()[2]
    assert first[0] == WRONG
    assert owned.shard.log.records[-1].kind == VOID
    owned.write(2, "push", value=1)
    assert owned.told()[2] == first
    again = Owner(owned.cluster)  # another owner, which has only the log
    owned.owner = again
    owned.write(2, "push", value=1)
    assert owned.told()[2] == first, "as the same error"
    owned.write(3)
    assert owned.told()[3] == (OK, 4, None), "the session goes on"


@pytest.mark.parametrize(
    ("status", "value", "again"),
    [
        (OK, "done", (OK, "done")),
        (REFUSED, "no", (REFUSED, "no")),
        (REFUSED, "no" * 500, (REFUSED, "refused")),
        (OK, "long" * 500, (FAILED, ["Uncertain", "handled, but the reply was too long to be kept for who asks again"])),
    ],
)  # fmt: skip
def test_what_a_handler_said_without_a_write_is_told_again_by_the_next_owner(
    status: int, value: str, again: Any
) -> None:
    owned = Owned()
    owned.owner.reply(inbound(owned, 1, 1), status, pack(value))
    assert owned.told()[1][::2] == (status, value)
    owned.owner = Owner(owned.cluster)  # which has only the log
    owned.write(1)
    assert owned.told()[1][::2] == again


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("st"), st.integers(1, 6), st.booleans()), max_size=30))
def test_whatever_comes_in_whatever_order_each_number_has_one_effect(
    asked: list[tuple[str, int, bool]]
) -> None:
    owned, model = Owned(), {"s": 0, "t": 0}
    for sid, seq, wrong in asked:
        verb = "push" if wrong else "update"
        owned.write(seq, verb, path=(sid,), value=[seq] if not wrong else seq,
                    dest=Dest("c", "c", sid))  # fmt: skip
        (status, offset, _) = owned.told()[seq]
        if seq == model[sid] + 1:
            model[sid] = seq
            assert status not in (GAP, UNKNOWN)
        elif seq > model[sid]:
            assert status == (GAP if model[sid] else UNKNOWN)
        else:
            assert offset <= owned.shard.log.end
        owned.shard.invariants()
    for sid, top in model.items():
        assert [r.seq for r in owned.shard.log.records if r.sid == sid] == list(range(1, top + 1))


def test_a_late_write_into_a_hole_does_not_undo_a_newer_one() -> None:
    owned = Owned()
    shard = owned.shard
    shard.append(data(shard.term, 2, "k", "newer", seq=2, hlc=5))  # a merge brought the second
    owned.write(1, value="older")
    assert owned.told()[1][0] == OK
    assert shard.log.records[-1].kind == LOST
    assert shard.state.get("k") == "newer"
    assert [event for event, _ in owned.cluster.notices] == ["conflict"]
    elsewhere = Owned()
    elsewhere.shard.append(data(elsewhere.shard.term, 2, "k", "newer", seq=2, hlc=5))
    elsewhere.write(1, path=("l",), value="older")
    assert elsewhere.shard.state.get("l") == "older"


# --- what a write comes to


def test_a_condition_that_fails_refuses_the_write_and_tells_what_is_there() -> None:
    owned = Owned()
    owned.write(1, value=5)
    owned.write(2, value=6, expect=["absent"])
    status, offset, (_, actual) = owned.told()[2]
    assert (status, offset, actual) == (COMPARE, 0, 5)
    assert owned.shard.state.get("k") == 5


def test_ids_are_handed_out_once_and_in_order() -> None:
    owned = Owned()
    for seq in (1, 2):
        owned.write(seq, "add", (), b"\xc0")
    assert [value for _, _, value in owned.told().values()] == [1, 2]
    owned.write(1, "add", (), b"\xc0")
    assert owned.told() == {1: (OK, 2, 1)}
    assert [r.kind for r in owned.shard.log.records[1:]] == [COUNT, COUNT]


def test_a_mark_says_what_is_done_once_and_by_whom() -> None:
    owned = Owned("a")
    boot = owned.cluster.members.table["a"].boot
    owned.write(1, "push", (), f"restore {boot}")
    owned.write(2, "push", (), "restore 999")
    assert {n: status for n, (status, _, _) in owned.told().items()} == {1: OK, 2: REFUSED}
    assert owned.shard.marks == {f"restore {boot}"}
    for seq, (verb, value) in enumerate([("update", 1), ("push", 7), ("push", "m" * 65)], 3):
        owned.write(seq, verb, (), value)
    assert {status for status, _, _ in owned.told().values()} == {WRONG}


def test_what_has_outlived_its_time_is_removed_by_the_log() -> None:
    owned = Owned()
    owned.write(1, ttl_ms=1000)
    owned.owner.expire()
    assert owned.shard.log.end == 2
    owned.cluster.now += 2
    owned.owner.expire()
    assert owned.shard.log.records[-1][6:7] == ("remove",) or (
        owned.shard.log.records[-1].verb == "remove"
    )
    assert "k" not in owned.shard.state.parts
    owned.owner.expire()
    assert owned.shard.log.end == 3


# --- with a handler


def inbound(owned: Owned, number: int, seq: int = 0, verb: str = "update", value: Any = 1) -> Inbound:
    path = Path(("k",)) if seq else None
    request = Inbound(DEST, number, verb, path, pack(value))
    request.seq, request.shard, request.level = seq, SHARD if seq else -1, COMMIT
    request.expect, request.ttl_ms = None, 0
    owned.owner.handle(request)
    return request


def test_writes_of_a_sender_and_shard_go_to_the_handler_one_at_a_time() -> None:
    owned = Owned()
    first, second, third = (inbound(owned, n, n) for n in (1, 2, 3))
    inbound(owned, 2, 2)
    other = inbound(owned, 4, verb="m")
    assert owned.owner.inbox == [first, other], "a message waits for nothing"
    offset = owned.owner.apply(first)
    assert (offset.number, owned.owner.apply(first)) == (2, offset)
    owned.owner.reply(first, OK, None)
    owned.owner.reply(first, FAILED, None)
    assert owned.owner.inbox == [first, other, second]
    owned.owner.reply(second, REFUSED, pack("no"))
    assert owned.told() == {1: (OK, 2, None), 2: (REFUSED, 0, "no")}
    assert owned.owner.inbox[-1] is third
    assert owned.shard.log.records[-1].kind == VOID


def test_what_was_handled_is_answered_again_and_not_handled_again() -> None:
    owned = Owned()
    request, message = inbound(owned, 1, 1), inbound(owned, 2, verb="m")
    inbound(owned, 2, verb="m")
    assert owned.owner.inbox == [request, message], "it is being handled"
    owned.owner.apply(request)
    owned.owner.reply(request, OK, pack("done"))
    owned.owner.reply(message, OK, pack("hello"))
    owned.told()
    inbound(owned, 1, 1)
    inbound(owned, 2, verb="m")
    assert owned.told() == {1: (OK, 2, "done"), 2: (OK, 0, "hello")}
    assert len(owned.owner.inbox) == 2


def test_what_was_undone_after_it_was_handled_is_handled_again() -> None:
    owned = Owned()
    request = inbound(owned, 1, 1)
    owned.owner.apply(request)
    owned.owner.reply(request, OK, None)
    fresh = Owned()
    owned.shard.adopt(type(fresh.shard)(0) and _fold(fresh.shard))
    again = inbound(owned, 1, 1)
    assert owned.owner.inbox[-1] is again


def _fold(shard: Shard) -> Any:
    return shard.state, shard.sessions, shard.covers, shard.count, shard.marks


def test_a_shard_that_moves_while_its_handler_runs_sends_the_caller_on() -> None:
    owned = Owned()
    request = inbound(owned, 1, 1)
    owned.shard.promise(Term(9, 9))
    with pytest.raises(Moved):
        owned.owner.apply(request)
    owned.owner.reply(request, OK, None)
    assert owned.told() == {1: (RETRY, 0, None)}
    late = inbound(owned, 2, 2)
    assert (owned.told(), late in owned.owner.inbox) == ({2: (RETRY, 0, None)}, False)
    owned.shard.role, owned.shard.term = OWNER, Term(9, 9)
    again = inbound(owned, 1, 1)
    assert owned.owner.inbox[-1] is again, "it is no more known as handled"
    assert FOLLOWER == 0


def test_a_verb_of_the_programs_own_has_no_default() -> None:
    owned = Owned()
    for request in (inbound(owned, 1, verb="m"), inbound(owned, 2, verb="update")):
        with pytest.raises(MethodNotAllowed):
            owned.owner.apply(request)


def test_a_batch_of_messages_is_answered_in_one_frame() -> None:
    owned = Owned()
    owned.cluster.clients["c"] = 9
    assert owned.owner.take(DEST, range(1, 4), ["m"] * 3, None, ["x", "y", "z"])
    assert not owned.owner.take(DEST, range(3, 5), ["m"] * 2, None, ["z", "w"])
    (run,) = owned.owner.inbox
    assert isinstance(run, Run)
    with pytest.raises(ValueRefused):
        owned.owner.answer_all(run, [object()] * 3, whole=True)
    late = list(run)[1]
    owned.owner.answer_all(run, ["X", PENDING, "Z"], whole=False)
    owned.owner.begun(late)
    ((sid, numbers, _),) = bodies(owned.cluster, frame.ANSWER)
    assert (sid, numbers, set(owned.owner.open)) == ("s", [0, [1, 3]], {("s", 2)})
    owned.owner.reply(late, OK, pack("Y"))
    assert (owned.told(), owned.owner.open) == ({2: (OK, 0, "Y")}, {})


def test_answers_that_are_more_than_a_frame_are_refused_and_none_is_sent() -> None:
    owned = Owned(outbox__frag=1 << 13)
    owned.cluster.clients["c"] = 9
    assert owned.owner.take(DEST, range(1, 2), ["m"], None, ["x"])
    (run,) = owned.owner.inbox
    assert isinstance(run, Run)
    with pytest.raises(ValueRefused):
        owned.owner.answer_all(run, ["x" * (1 << 13)], whole=True)
    assert bodies(owned.cluster, frame.ANSWER) == []


# --- answers as columns


@given(st.lists(st.one_of(st.none(), st.binary(max_size=50)), min_size=1, max_size=20),
       st.integers(1, 100))  # fmt: skip
def test_answers_leave_in_parts_that_lose_nothing(values: list[Any], room: int) -> None:
    answers = Answers()
    for number, value in enumerate(values):
        answers.numbers.append(number)
        answers.statuses.append(number % 3)
        answers.offsets.append(number)
        answers.values.append(value)
    parts = list(answers.parts(room))
    assert [n for p in parts for n in p.numbers] == answers.numbers
    assert [v for p in parts for v in p.values] == values
    assert [s for p in parts for s in p.statuses] == answers.statuses
    for part in parts:
        size = sum(8 if v is None else len(v) for v in part.values)
        assert size <= room or len([v for v in part.values if v is None or v]) == 1


def test_columns_that_hold_nothing_are_left_out() -> None:
    owned = Owned()
    owned.owner.answer(DEST, 1, OK, ZERO_TERM, 0, None)
    owned.owner.answer(DEST, 2, OK, ZERO_TERM, 0, None)
    owned.owner.answer(DEST, 1, RETRY, Term(1, 1), 5, b"\x01")
    assert [body for _, body in owned.owner.take_answers()] == [
        ["c", "s", [1, 2], None, ZERO_TERM, None, None],
        ["c", "s", [1, 1], [RETRY], Term(1, 1), [5], [b"\x01"]],
    ]
    assert list(owned.owner.take_answers()) == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CompareFailed(1, 2), COMPARE), (KeyMissing(Path(("k",))), MISSING),
        (WrongType("no"), WRONG), (MethodNotAllowed("m"), NOT_ALLOWED), (Refused("no"), REFUSED),
        (ValueError("\udc80"), FAILED),
    ],
    ids=repr,
)  # fmt: skip
def test_an_error_is_told_in_words_that_can_travel(error: Exception, status: int) -> None:
    told, value = refusal(error)
    assert told == status
    unpack(value)
    assert MAJORITY < COMMIT
