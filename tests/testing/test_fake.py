"""Tests of the fake cache."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from reactivex.testing import TestScheduler

from rxfero import operators as fop
from rxfero.errors import (
    CompareFailed,
    KeyMissing,
    MethodNotAllowed,
    NotReplicated,
    Overloaded,
    UnknownEvent,
)
from rxfero.ports import CacheLike
from rxfero.testing import FakeCache


def test_writes_are_there_when_they_return() -> None:
    cache = FakeCache({"a": 1, 7: {"deep": [1]}})
    assert dict(cache) == {"a": 1, 7: {"deep": [1]}}
    assert cache.changes == []
    cache.update("a", 2)
    cache.push((7, "deep"), 2)
    cache.remove("a")
    assert dict(cache) == {7: {"deep": [1, 2]}}
    assert [(c.type, str(c.key)) for c in cache.changes] == [
        ("update", "a"), ("add", "7.deep.1"), ("remove", "a"),
    ]  # fmt: skip
    assert isinstance(cache, CacheLike)


async def test_guarantees_can_be_awaited_on_any_loop() -> None:
    cache = FakeCache({"a": 1})
    offset = await cache.update("b", 2)
    assert await cache.add("c") == cache.changes[-1].offset
    assert await cache.add("d").on("reply") == 2
    await cache.reached(offset)
    assert await cache.read("b") == 2
    with pytest.raises(KeyMissing):
        await cache.remove("nothing")
    with pytest.raises(CompareFailed):
        await cache.update("a", 2, expect=5)
    waiting = asyncio.ensure_future(asyncio.wait_for(cache.update("a", 2).replicated(1), 60))
    await asyncio.sleep(0)
    cache.advance(60.0)
    with pytest.raises(NotReplicated):
        await waiting
    await cache.destroy()
    await cache.destroy()


def test_a_pipeline_writes_waits_and_counts() -> None:
    cache, seen = FakeCache(), []
    cache.on("change").pipe(fop.only_owned(cache), fop.count_by(lambda c: c.value)).subscribe(
        seen.append
    )
    offsets: list[Any] = []
    reactivex.of(("a", "x"), ("b", "y"), ("c", "x")).pipe(
        fop.update(cache), fop.await_commit()
    ).subscribe(offsets.append)
    assert offsets == [change.offset for change in cache.changes]
    assert seen[-1] == ("x", 2) or seen[-1] == {"x": 2, "y": 1}


def test_a_handler_answers() -> None:
    def handle(request: Any, cache: Any) -> Any:
        if request.type == "double":
            return request.value * 2
        return sorted(cache) if request.type == "keys" else request.next()

    cache, answers = FakeCache({"a": 1}, handler=handle), []
    cache.peers.send({"type": "double", "value": 4}).on("reply").subscribe(answers.append)
    cache.peers.send({"type": "keys"}).on("reply").subscribe(answers.append)
    cache.update("b", 2)
    assert answers == [8, ["a"]]
    assert sorted(cache) == ["a", "b"]


def test_a_verb_without_a_handler_is_refused() -> None:
    failed: list[Any] = []
    FakeCache().peers.send({"type": "double"}).on("reply").subscribe(on_error=failed.append)
    assert isinstance(failed[0], MethodNotAllowed)


def test_time_goes_on_when_it_is_told() -> None:
    cache, seen = FakeCache(), []
    cache.on("change").pipe(ops.debounce(5.0), ops.map(lambda c: c.value)).subscribe(seen.append)
    begin = cache.now
    cache.update("a", 1, ttl=30.0)
    cache.advance(4.0)
    cache.update("a", 2)
    cache.advance(4.5)
    assert seen == []
    cache.advance(1.0)
    assert seen == [2]
    assert cache.now == pytest.approx(begin + 9.5)
    cache.update("b", 3, ttl=10.0)
    cache.advance(12.0)
    assert "b" not in cache


def test_it_goes_with_the_test_scheduler() -> None:
    cache, scheduler, seen = FakeCache({"a": 0}), TestScheduler(), []
    cache.on("change").pipe(ops.delay(10.0), ops.map(lambda c: c.value)).subscribe(
        seen.append, scheduler=scheduler
    )
    scheduler.schedule_absolute(5.0, lambda *_: cache.update("a", 1))
    scheduler.advance_to(14.0)
    assert seen == []
    scheduler.advance_to(16.0)
    assert seen == [1]


def test_writes_in_observers_come_after() -> None:
    cache, order = FakeCache(), []

    def again(change: Any) -> None:
        if change.value < 3:
            cache.update("a", change.value + 1)

    cache.on("change", again)
    cache.on("change", lambda change: order.append(change.value))
    cache.update("a", 1)
    assert order == [1, 2, 3]


def test_events_and_failures_at_will() -> None:
    cache, seen = FakeCache(), []
    cache.on("reset", seen.append)
    cache.emit("reset", 5)
    assert seen == [5]
    with pytest.raises(UnknownEvent):
        cache.emit("rest", 5)
    cache.failure = Overloaded(2, 1)
    with pytest.raises(Overloaded):
        cache.update("a", 1)
    with pytest.raises(Overloaded):
        cache.peers.send({"type": "x"})
    assert isinstance(cache.failure, Overloaded)
    cache.failure = None
    cache.update("a", 1)
    assert cache["a"] == 1


async def test_an_async_handler_is_carried_out() -> None:
    async def handle(request: Any) -> Any:
        return [request.value]

    cache = FakeCache(handler=handle)
    assert await cache.peers.send({"type": "wrap", "value": 1}) == [1]
