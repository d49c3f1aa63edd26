"""map_async: async functions, several at a time, in order or not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.subject import Subject

from rxfero import operators as fop
from rxfero.events import Hub
from tests.operators.fake import Seen, refused


class Desk:
    """An async function whose calls end when a test says so."""

    def __init__(self) -> None:
        self.open: dict[Any, asyncio.Future[Any]] = {}
        self.begun: list[Any] = []
        self.cancelled: list[Any] = []

    async def __call__(self, item: Any) -> Any:
        self.begun.append(item)
        self.open[item] = asyncio.get_running_loop().create_future()
        try:
            return await self.open[item]
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        finally:
            del self.open[item]

    async def end(self, item: Any, result: Any = None) -> None:
        future = self.open[item]
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(item if result is None else result)
        await turns()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_so_many_run_and_the_others_wait() -> None:
    desk, seen = Desk(), None
    seen = Seen(reactivex.of(1, 2, 3).pipe(fop.map_async(desk, concurrency=2)))
    await turns()
    assert desk.begun == [1, 2]
    await desk.end(2)
    assert desk.begun == [1, 2, 3]
    assert seen.values == []
    await desk.end(1)
    assert seen.values == [1, 2]
    await desk.end(3)
    assert seen.values == [1, 2, 3]
    assert seen.completed


async def test_unordered_results_come_as_they_come() -> None:
    desk = Desk()
    seen = Seen(reactivex.of(1, 2, 3).pipe(fop.map_async(desk, 3, ordered=False)))
    await turns()
    for item in (3, 1, 2):
        await desk.end(item)
    assert seen.values == [3, 1, 2]
    assert seen.completed


async def run(items: list[int], concurrency: int, ordered: bool) -> tuple[Seen, int]:
    running = most = 0

    async def fn(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(item):
            await asyncio.sleep(0)
        running -= 1
        return item

    done = asyncio.get_running_loop().create_future()
    chain = reactivex.from_iterable(items).pipe(
        fop.map_async(fn, concurrency, ordered), ops.finally_action(lambda: done.set_result(None))
    )
    seen = Seen(chain)
    await done
    return seen, most


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=8), st.integers(1, 4))
def test_law_ordered_it_is_map(items: list[int], concurrency: int) -> None:
    seen, most = asyncio.run(run(items, concurrency, True))
    assert seen.values == items
    assert seen.completed
    assert most <= concurrency


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=8), st.integers(1, 4))
def test_law_unordered_no_result_is_lost_or_doubled(items: list[int], concurrency: int) -> None:
    seen, most = asyncio.run(run(items, concurrency, False))
    assert sorted(seen.values) == sorted(items)
    assert seen.completed
    assert most <= concurrency


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_failure_ends_the_chain_and_cancels_the_others(ordered: bool) -> None:
    desk = Desk()
    seen = Seen(reactivex.of(1, 2, 3).pipe(fop.map_async(desk, 2, ordered)))
    await turns()
    await desk.end(1, ValueError("no"))
    assert str(seen.error) == "no"
    assert sorted([*desk.cancelled, *desk.open]) == desk.cancelled
    assert 2 in desk.cancelled


async def test_isolated_only_the_failing_item_is_lost() -> None:
    desk, failed = Desk(), []
    source = reactivex.of(1, 2, 3)
    seen = Seen(source.pipe(fop.isolate(fop.map_async(desk, 2), errors=failed.append)))
    await turns()
    await desk.end(1, ValueError("no"))
    await desk.end(2)
    await desk.end(3)
    assert seen.values == [2, 3]
    assert [str(f.error) for f in failed] == ["no"]
    assert seen.completed


async def test_unsubscribing_cancels_what_runs_and_begins_no_more() -> None:
    desk = Desk()
    seen = Seen(reactivex.of(1, 2, 3).pipe(fop.map_async(desk, 2)))
    await turns()
    seen.subscription.dispose()
    await turns()
    assert desk.cancelled == [1, 2]
    assert desk.begun == [1, 2]
    assert seen.values == []


async def test_a_function_that_raises_before_it_awaits_fails_too() -> None:
    def fn(item: int) -> Any:
        raise ValueError(item)

    seen = Seen(reactivex.of(1).pipe(fop.map_async(fn)))
    await turns()
    assert isinstance(seen.error, ValueError)


async def test_what_an_observer_below_raises_goes_to_error() -> None:
    hub, desk, later = Hub("users"), Desk(), []
    told = hub.once("error")

    def raises(item: int) -> None:
        if item == 1:
            raise ValueError("below")
        later.append(item)

    hub.on("change").pipe(fop.map_async(desk, 2)).subscribe(raises)
    hub.emit_all("change", [1, 2])
    await turns()
    await desk.end(1)
    await desk.end(2)
    failure = await told
    assert str(failure.error) == "below"
    assert later == [2]


async def test_a_task_that_cancels_itself_is_a_failure() -> None:
    async def fn(_: int) -> None:
        raise asyncio.CancelledError

    source: Subject[int] = Subject()
    seen = Seen(source.pipe(fop.map_async(fn)))
    source.on_next(1)
    await turns()
    assert isinstance(seen.error, RuntimeError)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(), max_size=8), st.integers(1, 4))
def test_law_never_more_than_so_many_run(items: list[int], concurrency: int) -> None:
    running = most = 0

    async def work(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return item

    async def main() -> list[int]:
        source = reactivex.from_iterable(items)
        mapped = source.pipe(fop.map_async(work, concurrency), fop.to_async_iter())
        return [item async for item in mapped]

    assert asyncio.run(main()) == items
    assert most == min(concurrency, len(items))


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("map_async.fn", lambda: fop.map_async(5))  # type: ignore[arg-type]
    refused("map_async.concurrency", lambda: fop.map_async(turns, 0))  # type: ignore[arg-type]
    refused("map_async.ordered", lambda: fop.map_async(turns, 1, 1))  # type: ignore[arg-type]
