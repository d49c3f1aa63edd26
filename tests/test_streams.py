"""The streams: time operators keep to the loop, wherever they stand; no thread ever starts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.disposable import Disposable

from rxfero import operators as fop
from rxfero.events import Failure, Hub
from rxfero.streams import Clock, Stream, Subject

Chain = Callable[[Observable[Any]], Observable[Any]]

TIMED: dict[str, Chain] = {
    "debounce": lambda s: s.pipe(ops.debounce(0.001)),
    "delay": lambda s: s.pipe(ops.delay(0.001)),
    "sample": lambda s: s.pipe(ops.sample(0.001)),
    "throttle_first": lambda s: s.pipe(ops.throttle_first(0.001)),
    "buffer_with_time": lambda s: s.pipe(ops.buffer_with_time(0.001), ops.filter(bool)),
    "timeout": lambda s: s.pipe(ops.timeout(5.0)),
    "timestamp": lambda s: s.pipe(ops.timestamp()),
    "behind others": lambda s: s.pipe(ops.map(str), ops.filter(bool), ops.debounce(0.001)),
    "before others": lambda s: s.pipe(ops.debounce(0.001), ops.map(str)),
    "in a second pipe": lambda s: s.pipe(ops.map(str)).pipe(ops.debounce(0.001)),
    "as methods": lambda s: s.map(str).debounce(0.001).filter(bool),
    "behind publish": lambda s: s.pipe(ops.publish(), ops.ref_count(), ops.debounce(0.001)),
    "behind share": lambda s: s.pipe(ops.share(), ops.debounce(0.001)),
    "inside flat_map": lambda s: s.pipe(ops.flat_map(lambda _: reactivex.timer(0.001))),
    "inside groups": lambda s: s.pipe(
        ops.group_by(lambda v: v), ops.flat_map(lambda g: g.pipe(ops.debounce(0.001)))
    ),
    "behind ours": lambda s: s.pipe(fop.isolate(ops.map(str)), ops.debounce(0.001)),
    "inside isolate": lambda s: s.pipe(fop.isolate(ops.debounce(0.001))),
    "conflate": lambda s: s.pipe(fop.conflate(lambda v: v, every=0.001)),
    "buffer_bounded": lambda s: s.pipe(fop.buffer_bounded(9, within=0.001)),
    "window_by": lambda s: s.pipe(fop.window_by(lambda v: v, every=0.001)),
}


@pytest.mark.parametrize("name", TIMED)
async def test_operators_of_time_run_on_the_loop(name: str) -> None:
    hub = Hub("users")
    before = threading.active_count()
    got: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def take(_: Any) -> None:
        if not got.done():
            got.set_result(threading.get_ident())

    subscription = TIMED[name](hub.on("change")).subscribe(take)
    hub.emit("change", 1)
    assert threading.active_count() == before
    assert await asyncio.wait_for(got, 5) == threading.get_ident()
    assert threading.active_count() == before
    subscription.dispose()
    hub.close()


async def test_awaiting_a_stream_and_pulling_from_it_stay_on_the_loop() -> None:
    hub = Hub("users")
    before = threading.active_count()
    stream = hub.on("change").pipe(ops.delay(0.001), fop.to_async_iter())
    hub.emit("change", 1)
    assert await anext(stream) == 1
    await stream.aclose()

    async def last() -> Any:
        return await hub.on("change").pipe(ops.delay(0.001), ops.take(1))

    waiting = asyncio.ensure_future(last())
    await asyncio.sleep(0)
    hub.emit("change", 2)
    assert await asyncio.wait_for(waiting, 5) == 2
    assert threading.active_count() == before


async def test_what_an_operator_of_time_raises_goes_to_error() -> None:
    hub = Hub("users")
    told = hub.once("error")
    hub.on("change").pipe(ops.delay(0.001), ops.map(lambda v: 1 // v)).subscribe(print)
    hub.emit("change", 0)
    failure: Failure = await asyncio.wait_for(told, 5)
    assert isinstance(failure.error, ZeroDivisionError)
    assert (failure.event, failure.context) == ("chain", "an operator of time")


async def test_a_stream_of_ones_own_keeps_to_the_loop_too() -> None:
    hub = Hub("users")
    before = threading.active_count()

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        observer.on_next(7)
        return Disposable()

    got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    stream = hub.stream(subscribe).pipe(ops.debounce(0.001))
    assert isinstance(stream, Stream)
    stream.subscribe(got.set_result)
    assert await asyncio.wait_for(got, 5) == 7
    assert threading.active_count() == before


def test_a_scheduler_of_the_subscriber_wins() -> None:
    from reactivex.testing import TestScheduler

    hub, scheduler, seen = Hub("users"), TestScheduler(), []
    hub.on("change").pipe(ops.delay(10.0)).subscribe(seen.append, scheduler=scheduler)
    hub.emit("change", 1)
    scheduler.advance_to(9.0)
    assert seen == []
    scheduler.advance_to(11.0)
    assert seen == [1]


def test_a_subject_tells_who_failed_and_whether_it_ended() -> None:
    told: list[Any] = []
    subject = Subject(lambda error, value, ended: told.append((str(error), value, ended)))

    def stays(value: int) -> None:
        raise ValueError(f"stays {value}")

    def ends(value: int) -> int:
        raise ValueError(f"ends {value}")

    subject.subscribe(stays)
    subject.pipe(ops.map(ends)).subscribe()
    subject.on_next(1)
    subject.on_next(2)
    assert told == [("stays 1", 1, False), ("ends 1", 1, True), ("stays 2", 2, False)]
    assert len(subject.observers) == 1


async def test_a_clock_compares_moments_by_the_wall_it_is_given() -> None:
    wall, told = [1_700_000_000.5], []
    clock = Clock(asyncio.get_running_loop(), lambda *told_of: None, lambda: wall[0])
    assert clock.now.isoformat() == "2023-11-14T22:13:20.500000+00:00"
    clock.schedule_absolute(clock.now, lambda *_: told.append("due"))
    await asyncio.sleep(0)
    assert told == ["due"]
