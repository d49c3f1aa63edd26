"""The requests: kept until they are answered, sent again in order, and never told twice."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rxfero.core import requests as module
from rxfero.core.batch import Batch
from rxfero.core.call import (
    ALL,
    CLOSED,
    COMMIT,
    GAP,
    LOST,
    NO_QUORUM,
    OK,
    REFUSED,
    RETRY,
    SID_MAX,
    TIMEOUT,
    UNKNOWN,
    Call,
)  # fmt: skip
from rxfero.core.position import Term
from rxfero.core.requests import (
    RETRY_S,
    RETRY_S_MAX,
    RETRY_SOON_S,
    REWIND_S,
    Requests,
)  # fmt: skip
from rxfero.core.shard import Shard
from tests.core.parts import begin, data

TERM = Term(3, 7)
ONE = b"\x01"


def requests_of(records: int = 100, size: int = 1 << 20, name: str = "me") -> Requests:
    return Requests(name, Random(1), 30.0, (records, size))


def write(value: bytes = ONE) -> Call:
    return Call("update", ("k",), value, COMMIT)


def message() -> Call:
    return Call("login", None, ONE)


def batch_of(count: int) -> Batch:
    batch = Batch()
    for _ in range(count):
        batch.add("login", ONE, packed=True)
    return batch


def posted(requests: Requests, count: int, now: float = 0.0) -> list[Call]:
    """Let messages go their own ways from the start."""
    batch = batch_of(count)
    requests.send(batch, now)
    requests.unbatch()
    return list(batch)


def sent(requests: Requests, *calls: Call, shard: int = 0, now: float = 0.0) -> list[Call]:
    """Submit calls and send all that is queued."""
    for call in calls:
        requests.submit(call, shard if call.path else -1, now)
    return requests.drain(now)


def answer(
    requests: Requests, call: Call, status: int = OK, offset: int = 0, value: Any = None,
    now: float = 0.0,
) -> list[Call]:
    return requests.reply([call.number], [status], TERM, [offset], [value], now)


# --- numbers


def test_requests_and_the_writes_of_a_shard_are_numbered_densely() -> None:
    requests = requests_of()
    calls = [write(), message(), write(), write()]
    for call, shard in zip(calls, (0, -1, 5, 0), strict=True):
        requests.submit(call, shard, 0.0)
    more = posted(requests, 2)
    assert [c.number for c in [*calls, *more]] == [1, 2, 3, 4, 5, 6]
    assert [(c.shard, c.seq) for c in calls] == [(0, 1), (-1, 0), (5, 1), (0, 2)]
    assert requests.drain(0.0) == [*calls, *more]
    assert requests.drain(0.0) == []


def test_a_session_is_named_for_its_node_and_by_chance() -> None:
    one = requests_of(name="n" * 300)
    assert one.sid.startswith("n" * 40)
    assert len(one.sid) <= SID_MAX
    assert Requests("me", Random(1), 1.0, (1, 1)).sid != Requests("me", Random(2), 1.0, (1, 1)).sid


def test_no_more_is_on_its_way_than_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 16)
    requests = requests_of()
    calls = posted(requests, 40)
    assert requests.drain(0.0) == calls[:16]
    assert requests.drain(0.0) == []
    requests.answered([1], ["x"], 0.0)
    assert requests.drain(0.0) == [], "taken in large parts"
    requests.answered([2, 3], ["x", "x"], 0.0)
    assert requests.drain(0.0) == calls[16:19]
    assert requests.queue == calls[19:]


# --- answers


def test_an_answer_settles_its_call_once() -> None:
    requests = requests_of()
    call, other = write(), write()
    sent(requests, call, other)
    assert answer(requests, call, OK, 7, b"\x02") == [call]
    assert (call.done, call.status, call.result, call.offset) == (True, OK, b"\x02", (0, TERM, 7))
    assert answer(requests, call, REFUSED) == []
    assert requests.reply([99], [OK], TERM, [1], [None], 0.0) == []
    assert call.status == OK
    assert requests.reply([1, 2, 2], None, TERM, None, None, 0.0) == [other]
    assert (other.offset, requests.bytes) == (None, 0)


ASKED = 8
ANSWERS: Any = st.lists(
    st.lists(st.tuples(st.integers(1, ASKED + 1), st.sampled_from([0, 1, 2, 3, 4])), min_size=1),
    min_size=1, max_size=4,
)  # fmt: skip


@given(st.lists(st.booleans(), min_size=ASKED, max_size=ASKED), st.sets(st.integers(1, ASKED)),
       ANSWERS, st.integers(1, 5))  # fmt: skip
def test_a_column_of_answers_is_what_they_are_one_by_one(
    writes: list[bool], late: set[int], answers: list[list[tuple[int, int]]], kept: int
) -> None:
    pair = [requests_of(kept) for _ in range(2)]
    for requests in pair:
        for number, writing in enumerate(writes, 1):
            sent(requests, write(b"*" * number) if writing else message())
            requests.pending[number].done = number in late
    for column in answers:
        told = [[c.number for c in pair[0].reply(*zip_reply(column), 1.0)], []]
        for answer_ in column:
            told[1] += [c.number for c in pair[1].reply(*zip_reply([answer_]), 1.0)]
        assert told[0] == told[1]
        assert shape_of(pair[0]) == shape_of(pair[1])


def zip_reply(column: list[tuple[int, int]]) -> tuple[Any, ...]:
    return [number for number, _ in column], None, TERM, [offset for _, offset in column], None


def shape_of(requests: Requests) -> Any:
    kept = {n: (c.offset, c.done, c.status) for n, c in requests._kept.calls.items()}
    return list(requests.pending), kept, list(kept), requests._kept.bytes, requests.bytes


def test_answers_to_messages_settle_those_that_are_known() -> None:
    requests = requests_of()
    calls = posted(requests, 3)
    requests.drain(0.0)
    assert requests.answered([3, 9, 1], ["c", "x", "a"], 0.0) == [calls[2], calls[0]]
    assert requests.answered([3], ["again"], 0.0) == []
    assert [c.content for c in calls] == ["a", None, "c"]
    assert requests.bytes == calls[1].size


def test_what_is_refused_for_the_moment_is_asked_again_soon_and_in_order() -> None:
    requests = requests_of()
    calls = [write(), write(), write()]
    sent(requests, *calls)
    elsewhere = write()
    sent(requests, elsewhere, shard=3)
    assert answer(requests, calls[1], RETRY, now=0.5) == []
    assert requests.deadline == 0.5 + RETRY_SOON_S
    assert requests.wake(0.5 + RETRY_SOON_S) == []
    assert requests.drain(0.6) == calls, "all of the shard"
    assert requests.wake(0.7) == []
    assert requests.drain(0.7) == []


def test_a_write_that_may_yet_be_is_told_so_once_and_asked_for_again() -> None:
    requests = requests_of()
    call = write()
    sent(requests, call)
    assert answer(requests, call, NO_QUORUM, value=b"\x92\x01\x02", now=5.0) == [call]
    assert answer(requests, call, NO_QUORUM, now=5.0) == []
    assert requests.wake(5.0 + RETRY_S) == []
    assert requests.drain(6.0) == [call]
    assert answer(requests, call, OK, 7, now=6.0) == []
    assert (call.status, requests.pending) == (NO_QUORUM, {})
    other = message()
    sent(requests, other)
    assert answer(requests, other, NO_QUORUM) == [other], "no write: that is its answer"
    assert requests.pending == {}


# --- silence


def test_what_is_not_answered_is_sent_again_ever_more_rarely() -> None:
    requests = requests_of()
    calls = [write(), message(), write()]
    sent(requests, *calls)
    now, waits = 0.0, list[float]()
    for _ in range(8):
        due = requests.deadline
        assert due is not None
        assert due > now
        waits.append(due - now)
        for call in calls:
            call.deadline = due + 99.0
        requests.wake(due)
        assert requests.drain(due) in (calls, []), "in order"
        now = due
    assert max(waits) <= 1.25 * RETRY_S_MAX
    assert waits[0] == RETRY_S
    requests.heard(now)
    due = requests.deadline
    assert due is not None
    assert due <= now + RETRY_S


def test_what_answers_of_others_have_passed_by_is_sent_again() -> None:
    requests = requests_of()
    lost, late = write(), write()
    sent(requests, lost, late)
    for tenth in range(1, 31):
        now = tenth / 10
        (other,) = sent(requests, message(), now=now)
        answer(requests, other, now=now)
        requests.wake(now)
        if requests.queue:
            break
    assert requests.drain(3.0) == [lost, late]


def test_what_went_to_a_server_that_is_lost_is_sent_again() -> None:
    requests = requests_of()
    calls = [write(), message(), write()]
    sent(requests, *calls)
    for call, target in zip(calls, "aba", strict=True):
        call.target = target
    requests.resend(1.0, lost="a")
    requests.resend(1.0, lost="a")
    assert requests.drain(1.0) == [calls[0], calls[2]]
    requests.resend(1.0)
    assert requests.drain(1.0) == calls


def test_a_late_message_is_forgotten_and_a_late_write_keeps_its_place() -> None:
    requests = requests_of()
    calls = [write(), message(), write()]
    calls[0].deadline = calls[1].deadline = 2.0
    sent(requests, *calls)
    assert requests.wake(1.9) == []
    assert requests.wake(2.0) == calls[:2]
    assert [c.status for c in calls[:2]] == [TIMEOUT, TIMEOUT]
    assert list(requests.pending.values()) == [calls[0], calls[2]]
    assert requests.wake(30.0) == [calls[2]]
    assert answer(requests, calls[0], OK, 5) == []
    assert calls[0].status == TIMEOUT, "the caller has been told"
    assert requests.wake(99.0) == []


def test_what_timed_out_before_it_could_be_sent_is_not_kept() -> None:
    requests = requests_of()
    requests.send(batch_of(3), 0.0)
    posted(requests, 2)
    requests.send(batch_of(2), 0.0)
    assert len(requests.wake(30.0)) == 7
    assert requests.drain(30.0) == []
    assert (requests.next_batch("a", 30.0), requests.count) == (None, 0)
    assert (requests.queue, requests.pending, requests.bytes) == ([], {}, 0)


def test_a_deadline_that_was_moved_is_kept() -> None:
    requests = requests_of()
    call = write()
    sent(requests, call)
    call.deadline = 0.5
    requests.sooner(call)
    assert requests.deadline == 0.5
    assert requests.wake(0.5) == [call]
    batch = batch_of(2)
    batch.call(1).deadline = 0.7
    requests.send(batch, 0.6)
    assert requests.deadline == 0.7
    assert requests.wake(0.7) == [batch.call(1)]
    assert batch.call(0).deadline == 30.6


# --- gaps, by R11 and R12


def acked(requests: Requests, count: int) -> list[Call]:
    """Send writes and have them acknowledged, at offsets 2, 3, ..."""
    calls = [write() for _ in range(count)]
    sent(requests, *calls)
    for call in calls:
        answer(requests, call, OK, call.seq + 1)
    return calls


def test_a_gap_inside_the_window_is_filled_from_what_is_retained() -> None:
    requests = requests_of()
    calls = acked(requests, 3)
    late = [write(), write()]
    sent(requests, *late)
    assert answer(requests, late[1], GAP, value=2, now=1.0) == []
    assert requests.drain(1.0) == [calls[1], calls[2], *late]
    assert requests.bytes == sum(c.size for c in [*calls[1:], *late])
    for call in (calls[1], calls[2]):
        assert answer(requests, call, OK, 9) == [], "it had settled"
    assert answer(requests, late[0], OK, 10) == [late[0]]


def test_a_rewind_is_done_once_in_a_while() -> None:
    requests = requests_of()
    calls = acked(requests, 3)
    late = write()
    sent(requests, late)
    answer(requests, late, GAP, value=1, now=1.0)
    assert requests.drain(1.0) == [*calls, late]
    answer(requests, late, GAP, value=1, now=1.0 + REWIND_S / 2)
    assert requests.drain(1.1) == []
    answer(requests, late, GAP, value=1, now=1.0 + REWIND_S)
    assert requests.drain(1.3) == [*calls, late]


def test_a_gap_outside_the_window_ends_the_session_and_tells_what_is_missing() -> None:
    requests = requests_of(records=2)
    acked(requests, 4)
    sid, waiting, other = requests.sid, [write(), write()], message()
    sent(requests, *waiting, other)
    requests.submit(write(), 5, 0.0)
    unsent = requests.queue[0]
    assert answer(requests, waiting[0], GAP, value=1) == []
    assert requests.lost == [(0, [1, 2])]
    assert requests.settled == [*waiting, unsent]
    assert {c.status for c in requests.settled} == {LOST}
    assert requests.sid != sid
    assert list(requests.pending.values()) == [other]
    fresh = write()
    assert sent(requests, fresh) == [fresh]
    assert fresh.seq == 1
    assert requests.bytes == other.size + fresh.size


def test_a_session_that_an_owner_has_forgotten_begins_anew() -> None:
    requests = requests_of(records=0)
    acked(requests, 4)
    call = write()
    sent(requests, call)
    answer(requests, call, UNKNOWN)
    assert requests.lost == [(0, [])], "nothing is known to be missing"
    assert requests.settled == [call]


def test_a_session_that_a_new_owner_does_not_know_is_resent_from_its_first() -> None:
    requests = requests_of()
    calls = acked(requests, 2)
    call = write()
    sent(requests, call)
    answer(requests, call, UNKNOWN)
    assert requests.drain(0.0) == [*calls, call]


@pytest.mark.parametrize("expected", [0, -1, -(1 << 60), None, "1", 1 << 60])
def test_a_gap_that_begins_nowhere_is_no_more_than_a_rewind(expected: Any) -> None:
    requests = requests_of()
    calls = acked(requests, 2)
    call = write()
    sent(requests, call)
    answer(requests, call, GAP, value=expected)
    assert requests.drain(0.0) == ([] if expected == 1 << 60 else [*calls, call])
    assert requests.lost == []


def test_the_oldest_acknowledged_writes_leave_a_full_window() -> None:
    requests = requests_of(records=3)
    calls = acked(requests, 5)
    late = write()
    sent(requests, late)
    answer(requests, late, GAP, value=3)
    assert requests.drain(0.0) == [*calls[2:], late]
    small = requests_of(size=150)
    calls = acked(small, 3)
    assert [c.seq for c in small._kept.calls.values()] == [2, 3], "or by bytes"


def test_what_every_server_has_is_retained_no_longer_and_what_was_lost_is_sent_again() -> None:
    requests = requests_of()
    calls = acked(requests, 4)
    shard = Shard(0)
    shard.append(begin(TERM))
    for number, call in enumerate(calls[:2], 2):
        shard.append(data(TERM, number, sid=requests.sid, seq=call.seq))
    requests.safe(TERM, {1: 9}, [shard])
    assert len(requests._kept) == 4
    requests.safe(TERM, {0: 4}, [shard])
    assert list(requests._kept.calls.values()) == calls[2:]
    assert requests.drain(0.0) == [calls[2]], "passed by, and not there"
    requests.safe(TERM, {0: 4}, [shard])
    assert requests.drain(0.0) == [], "it is on its way"
    assert answer(requests, calls[2], OK, 6) == []
    assert requests._kept.bytes == sum(c.size for c in requests._kept.calls.values())


def test_of_a_shard_that_is_not_followed_its_next_owner_is_asked_once() -> None:
    requests = requests_of()
    requests._follows = frozenset({7})
    calls = acked(requests, 3)
    requests.safe(TERM, {0: 2}, [Shard(0)])
    assert list(requests._kept.calls.values()) == calls[1:], "one term: every server has it"
    later = Term(TERM.n + 1, TERM.boot)
    requests.safe(later, {0: 9}, [Shard(0)])
    assert requests.drain(0.0) == calls[1:], "whether they came through a takeover is not known"
    for call in calls[1:]:
        assert answer(requests, call, OK, call.offset.number if call.offset else 0) == []
    assert not requests._kept
    assert requests._kept.bytes == 0
    requests.safe(later, {0: 9}, [Shard(0)])
    assert requests.drain(0.0) == []


# --- asking again, giving up


def test_a_settled_write_is_asked_for_at_another_level() -> None:
    requests = requests_of()
    (call,) = acked(requests, 1)
    requests.again(call, ALL, 40.0)
    assert requests.drain(40.0) == [call]
    assert (call.level, call.done, call.deadline, requests.bytes) == (ALL, False, 70.0, call.size)
    requests.again(call, 2, 41.0)
    assert requests.bytes == call.size
    assert answer(requests, call, OK, 2, now=41.0) == [call]
    assert requests._kept.bytes == call.size


def test_what_nobody_waits_for_is_forgotten() -> None:
    requests = requests_of()
    call, other = message(), message()
    for one in (call, other):
        requests.submit(one, -1, 0.0)
    requests.drop(call)
    requests.drop(call)
    assert requests.drain(0.0) == [other], "and not sent"
    assert requests.bytes == other.size


def test_at_the_end_every_call_ends() -> None:
    requests = requests_of()
    calls = [write(), message(), write()]
    sent(requests, calls[0], calls[1])
    answer(requests, calls[0], NO_QUORUM)
    requests.submit(calls[2], 0, 0.0)
    assert requests.close() == [calls[1], calls[2]]
    assert [c.status for c in calls] == [NO_QUORUM, CLOSED, CLOSED]
    assert (requests.deadline, requests.drain(0.0)) == (None, [])
    assert "pending=0" in repr(requests)


# --- batches


def on_its_way(requests: Requests, count: int = 4, server: str = "a") -> Batch:
    requests.send(batch_of(count), 0.0)
    batch = requests.next_batch(server, 0.0)
    assert batch is not None
    return batch


def test_a_batch_is_answered_as_a_whole() -> None:
    requests = requests_of()
    batch = on_its_way(requests)
    looked = batch.call(2)
    assert (looked.number, looked.done, requests.count, requests.unsent) == (3, False, 4, False)
    assert requests.answered(range(1, 5), ["a", "b", "c", "d"], 1.0) == []
    assert requests.whole == [batch]
    assert (looked.done, looked.content, requests.count, requests.bytes) == (True, "c", 0, 0)
    assert [call.content for call in batch] == ["a", "b", "c", "d"]
    assert requests.deadline is None
    assert requests.answered(range(1, 5), list("abcd"), 1.0) == []


@pytest.mark.parametrize("numbers", [[1, 3], range(2, 5), range(1, 3), [4, 9]])
def test_a_batch_that_is_answered_in_part_goes_its_own_ways(numbers: Any) -> None:
    requests = requests_of()
    batch = on_its_way(requests)
    known = [n for n in numbers if n <= 4]
    settled = requests.answered(numbers, [str(n) for n in numbers], 1.0)
    assert [(c.number, c.content) for c in settled] == [(n, str(n)) for n in known]
    assert requests.whole == []
    left = sorted({1, 2, 3, 4} - {*known})
    assert list(requests.pending) == left
    assert requests.bytes == sum(batch.call(n - 1).size for n in left)


def test_what_went_to_a_lost_server_is_sent_again_and_nothing_else() -> None:
    requests = requests_of()
    on_its_way(requests, 2, "a")
    on_its_way(requests, 3, "b")
    requests.resend(1.0, lost="a")
    assert [c.number for c in requests.drain(1.0)] == [1, 2]
    assert requests.next_batch("a", 1.0) is None


def test_one_of_a_batch_is_found_dropped_and_closed() -> None:
    requests = requests_of()
    one, two = on_its_way(requests), on_its_way(requests)
    assert requests.find(9) is None
    assert requests.find(6) is two.call(1)
    assert (len(requests.pending), requests.count) == (4, 8)
    requests.drop(one.call(0))
    assert requests.count == 7
    ended = requests.close()
    assert {c.number for c in ended} == {2, 3, 4, 5, 6, 7, 8}
    assert {c.status for c in ended} == {CLOSED}


def test_a_batch_waits_for_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCHED", 4)
    requests = requests_of()
    first = on_its_way(requests, 3)
    requests.send(batch_of(2), 0.0)
    assert requests.next_batch("a", 0.0) is None
    assert requests.unsent
    requests.answered(range(1, 4), ["x"] * 3, 0.5)
    second = requests.next_batch("a", 1.0)
    assert second is not None
    assert (first.first, second.first, second.target) == (1, 4, "a")


def test_a_silent_batch_is_sent_again() -> None:
    requests = requests_of()
    on_its_way(requests, 2)
    assert requests.wake(RETRY_S - 0.1) == []
    assert requests.drain(RETRY_S - 0.1) == []
    requests.wake(RETRY_S)
    assert [c.number for c in requests.drain(RETRY_S)] == [1, 2]


# --- any order of events


class Asking(RuleBasedStateMachine):
    """Whatever is answered, lost, late or refused: each call is told one outcome, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = requests_of(records=4)
        self.calls: list[Call] = []
        self.batches: list[Batch] = []
        self.told: dict[int, tuple[int, Any]] = {}
        self.now = 0.0

    def take(self, settled: list[Call]) -> None:
        for call in [*settled, *self.requests.settled]:
            assert call.number not in self.told, "told twice"
            assert call.done
            self.told[call.number] = (call.status, call.result)
        self.requests.settled.clear()

    @rule(shard=st.integers(0, 1), wait=st.sampled_from([0.5, 3.0, 30.0]))
    def submit(self, shard: int, wait: float) -> None:
        call = write()
        call.deadline = self.now + wait
        self.requests.submit(call, shard, self.now)
        self.calls.append(call)

    @rule(count=st.integers(1, 3))
    def send(self, count: int) -> None:
        batch = batch_of(count)
        self.requests.send(batch, self.now)
        self.batches.append(batch)
        self.calls += batch  # each is looked at

    @rule()
    def drain(self) -> None:
        calls = self.requests.drain(self.now)
        numbers = [c.number for c in calls]
        assert numbers == sorted(set(numbers))
        known = {*self.requests.pending, *self.told}  # answered while it was queued again
        assert known.issuperset(numbers)

    @rule()
    def drain_batch(self) -> None:
        self.requests.next_batch("a", self.now)

    @precondition(lambda self: self.batches)
    @rule(chance=st.randoms(use_true_random=False), part=st.booleans())
    def answer_batch(self, chance: Random, part: bool) -> None:
        batch = chance.choice(self.batches)
        numbers = range(batch.first + part, batch.first + len(batch))
        if numbers:
            settled = self.requests.answered(numbers, ["x"] * len(numbers), self.now)
            for whole in self.requests.whole:
                settled += list(whole)
            self.requests.whole.clear()
            self.take(settled)

    @rule(seconds=st.sampled_from([0.02, 0.3, 1.0, 7.0]))
    def wake(self, seconds: float) -> None:
        self.now += seconds
        self.take(self.requests.wake(self.now))

    @precondition(lambda self: self.calls)
    @rule(chance=st.randoms(use_true_random=False), value=st.integers(1, 9),
          status=st.sampled_from([OK, OK, GAP, RETRY, UNKNOWN, NO_QUORUM, REFUSED]))  # fmt: skip
    def reply(self, chance: Random, status: int, value: int) -> None:
        call = chance.choice(self.calls)
        offset = value if status == OK and call.seq else 0
        self.take(answer(self.requests, call, status, offset, value, self.now))

    @rule(lost=st.sampled_from([None, "a"]))
    def resend(self, lost: str | None) -> None:
        self.requests.resend(self.now, lost)

    @precondition(lambda self: self.calls)
    @rule(chance=st.randoms(use_true_random=False))
    def drop(self, chance: Random) -> None:
        call = chance.choice(self.calls)
        if not call.seq:
            self.requests.drop(call)

    @invariant()
    def sums(self) -> None:
        requests = self.requests
        batches = [*requests.batches.waiting, *requests.batches._sent.values()]
        own = sum(c.size for c in requests.pending.values())
        assert requests.bytes == own + requests.batches.bytes
        assert requests.batches.bytes == sum(b.size for b in batches)
        assert requests.count == len(requests.pending) + sum(map(len, batches))
        assert requests._kept.bytes == sum(c.size for c in requests._kept.calls.values())
        assert len(requests._kept) <= 4
        assert (requests.deadline is None) == (not requests.count)
        for call in self.calls:
            assert not call.done or self.told[call.number] == (call.status, call.result)

    def teardown(self) -> None:
        self.take(self.requests.close())


TestAsking = Asking.TestCase
TestAsking.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
