"""retry_send: sent until answered or given up, with waits that double."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxfero import operators as fop
from rxfero.errors import NotConnected, Overloaded, Refused, RequestTimeout
from rxfero.operators import DeadLetter
from tests.operators.fake import FakeCache, Seen, refused

FAILS = st.lists(st.integers(0, 5), max_size=6)


def late() -> RequestTimeout:
    return RequestTimeout("send", 1.0)


class Flaky(FakeCache):
    """A service whose handling of item n fails so many times first, then answers with n."""

    def __init__(self, fails: list[int]) -> None:
        super().__init__()
        self.left = list(fails)

    def ask(self, *what: Any) -> Any:
        guarantee = super().ask(*what)
        item = what[1]["value"]
        self.left[item] -= 1
        if self.left[item] >= 0:
            guarantee.fail(late())
        else:
            guarantee.settle(item)
        return guarantee


def ran(fails: list[int], **options: Any) -> tuple[Seen, list[DeadLetter], Flaky]:
    cache, letters, clock = Flaky(fails), list[DeadLetter](), TestScheduler()
    source = reactivex.from_iterable(range(len(fails)))
    chain = source.pipe(fop.retry_send(cache, dead=letters.append, jitter=0, **options))
    seen = Seen(chain, scheduler=clock)
    clock.start()
    return seen, letters, cache


def test_table_in_virtual_time() -> None:
    cache, clock, source = FakeCache(), TestScheduler(), Subject[Any]()
    chain = source.pipe(fop.retry_send(cache, "hi", retries=2, base=1, jitter=0, timeout=0.5))
    seen = Seen(chain, scheduler=clock)
    source.on_next("a")
    source.on_next("b")
    cache.asked[1].settle("B")
    cache.asked[0].fail(late())
    clock.advance_to(0.9)
    assert len(cache.asked) == 2
    clock.advance_to(1.1)
    cache.asked[2].fail(NotConnected("not now"))
    clock.advance_to(3.0)
    assert len(cache.asked) == 3
    clock.advance_to(3.2)
    assert seen.values == []
    cache.asked[3].settle("A")
    assert seen.values == ["A", "B"]
    assert [g.timeouts for g in cache.asked] == [[0.5]] * 4
    assert cache.what[0] == cache.what[2] == ("send", {"type": "hi", "key": None, "value": "a"})


@given(FAILS, st.integers(0, 4), st.integers(1, 3))
def test_law_each_item_is_answered_in_order_or_a_dead_letter(
    fails: list[int], retries: int, window: int
) -> None:
    seen, letters, _ = ran(fails, retries=retries, window=window)
    assert seen.values == [n for n, count in enumerate(fails) if count <= retries]
    assert sorted(d.item for d in letters) == [n for n, f in enumerate(fails) if f > retries]
    assert all(d.attempts == retries + 1 for d in letters)
    assert seen.completed


@given(FAILS, st.integers(0, 4))
def test_law_it_is_sent_as_often_as_needed_and_no_more(fails: list[int], retries: int) -> None:
    _, _, cache = ran(fails, retries=retries)
    sent = [what[1]["value"] for what in cache.what]
    assert [sent.count(n) for n in range(len(fails))] == [min(f, retries) + 1 for f in fails]


@given(st.integers(1, 4), st.integers(0, 8))
def test_law_no_more_are_unanswered_than_the_window(window: int, items: int) -> None:
    cache, clock = FakeCache(), TestScheduler()
    source = reactivex.from_iterable(range(items))
    seen = Seen(source.pipe(fop.retry_send(cache, window=window)), scheduler=clock)
    clock.start()
    for n in range(items):
        assert len(cache.asked) == min(items, n + window)
        cache.asked[n].settle(n)
    assert seen.values == list(range(items))
    assert seen.completed


def test_without_dead_letters_a_failure_goes_down_at_its_turn() -> None:
    cache, clock, source = FakeCache(), TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.retry_send(cache, retries=0)), scheduler=clock)
    source.on_next(1)
    source.on_next(2)
    cache.asked[1].fail(late())
    assert seen.error is None
    cache.asked[0].settle("one")
    assert seen.values == ["one"]
    assert isinstance(seen.error, RequestTimeout)


@pytest.mark.parametrize("refusing", [False, True])
def test_what_will_not_help_is_not_sent_again(refusing: bool) -> None:
    cache, clock, letters = FakeCache(), TestScheduler(), Subject[Any]()
    told = Seen(letters)
    cache.refuse = lambda _: Refused("never") if refusing else None
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(fop.retry_send(cache, dead=letters)), scheduler=clock)
    source.on_next("x")
    if not refusing:
        cache.asked[0].fail(Refused("never"))
    assert [(d.item, str(d.error), d.attempts) for d in told.values] == [("x", "never", 1)]
    source.on_completed()
    assert seen.completed


def test_after_a_part_of_an_answer_it_is_not_sent_again() -> None:
    cache, letters, source = FakeCache(), list[DeadLetter](), Subject[Any]()
    seen = Seen(source.pipe(fop.retry_send(cache, dead=letters.append)), scheduler=TestScheduler())
    source.on_next("x")
    cache.asked[0].partial("part")
    cache.asked[0].fail(late())
    assert seen.values == ["part"]
    assert len(letters) == len(cache.asked) == 1


def test_unsubscribing_ends_attempts_and_waits() -> None:
    cache, clock, source = FakeCache(), TestScheduler(), Subject[Any]()
    seen = Seen(source.pipe(fop.retry_send(cache, window=2)), scheduler=clock)
    for n in range(3):
        source.on_next(n)
    cache.asked[0].fail(late())
    seen.subscription.dispose()
    assert cache.asked[1].watched == 0
    clock.start()
    assert len(cache.asked) == 2


def test_too_many_that_wait_are_refused() -> None:
    cache, source = FakeCache(), Subject[Any]()
    chain = source.pipe(fop.retry_send(cache, window=1, waiting=0))
    seen = Seen(chain, scheduler=TestScheduler())
    source.on_next(1)
    source.on_next(2)
    assert isinstance(seen.error, Overloaded)


async def test_without_a_scheduler_it_runs_on_the_loop() -> None:
    cache = Flaky([2])
    assert await reactivex.of(0).pipe(fop.retry_send(cache, base=0.001)) == 0


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    cache = FakeCache()
    for option, wrong in (
        ("retries", -1), ("base", 0), ("cap", None), ("jitter", 2), ("timeout", 0), ("window", 0),
        ("waiting", -1), ("dead", 5), ("type", ""), ("value", 5),
    ):  # fmt: skip
        options: Any = {option: wrong}
        refused(f"retry_send.{option}", lambda o=options: fop.retry_send(cache, **o))
    refused("retry_send.cap", lambda: fop.retry_send(cache, base=2, cap=1))
    refused("retry_send.cache", lambda: fop.retry_send(None))  # type: ignore[arg-type]
