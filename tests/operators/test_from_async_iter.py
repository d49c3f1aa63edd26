"""from_async_iter: an async iterator as an Observable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import operators as ops

from rxfero import operators as fop
from tests.operators.fake import Seen, refused

ITEMS = st.lists(st.integers(), max_size=250)


async def produce(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield item


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@settings(max_examples=30, deadline=None)
@given(ITEMS)
def test_law_it_gives_the_items_and_ends(items: list[int]) -> None:
    async def main() -> Seen:
        seen = Seen(fop.from_async_iter(produce(items)))
        await turns()
        return seen

    seen = asyncio.run(main())
    assert seen.values == items
    assert seen.completed


@settings(max_examples=30, deadline=None)
@given(ITEMS)
def test_law_there_and_back_is_the_same(items: list[int]) -> None:
    async def main() -> list[int]:
        back = fop.from_async_iter(produce(items)).pipe(fop.to_async_iter())
        return [item async for item in back]

    assert asyncio.run(main()) == items


async def test_what_it_raises_goes_down_the_chain() -> None:
    seen = Seen(fop.from_async_iter(produce([1, ValueError("no")])))
    await turns()
    assert seen.values == [1]
    assert str(seen.error) == "no"


async def test_a_function_gives_each_subscription_an_iterator_of_its_own() -> None:
    source = fop.from_async_iter(lambda: produce([1, 2]))
    one, two = Seen(source), Seen(source)
    await turns()
    assert one.values == two.values == [1, 2]


async def test_unsubscribing_cancels_and_closes_it() -> None:
    closed: list[str] = []

    async def waits() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.get_running_loop().create_future()
        finally:
            closed.append("closed")

    seen = Seen(fop.from_async_iter(waits()))
    await turns()
    assert seen.values == [1]
    seen.subscription.dispose()
    await turns()
    assert closed == ["closed"]
    assert not seen.completed


async def test_taking_some_reads_no_more() -> None:
    read: list[int] = []

    async def counts() -> AsyncIterator[int]:
        for n in range(100):
            read.append(n)
            yield n

    seen = Seen(fop.from_async_iter(counts()).pipe(ops.take(2)))
    await turns()
    assert seen.values == [0, 1]
    assert seen.completed
    assert read == [0, 1]


async def test_an_iterator_that_never_waits_leaves_the_loop_its_turns() -> None:
    async def endless() -> AsyncIterator[int]:
        while True:
            yield 1

    seen = Seen(fop.from_async_iter(endless()))
    await turns(3)
    seen.subscription.dispose()
    count = len(seen.values)
    await turns()
    assert len(seen.values) == count > 0


@settings(max_examples=30, deadline=None)
@given(ITEMS, st.integers(0, 5))
def test_law_who_wants_so_many_gets_the_first(items: list[int], count: int) -> None:
    async def main() -> Seen:
        seen = Seen(fop.from_async_iter(produce(items)).pipe(ops.take(count)))
        await turns()
        return seen

    seen = asyncio.run(main())
    assert seen.values == items[:count]
    assert seen.completed


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("from_async_iter.items", lambda: fop.from_async_iter([1, 2]))  # type: ignore[arg-type]
