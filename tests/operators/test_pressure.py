"""The pressure: what waits in a chain makes a source that pulls wait, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import Observable
from reactivex import operators as ops

from rxfero import operators as fop
from rxfero.errors import Overloaded
from rxfero.operators.pressure import Valve, felt, unfelt, valves_below
from rxfero.testing import FakeCache
from tests.operators.fake import Seen

TURNS = 50


class Counter:
    """An async iterator that never waits, and counts what was taken from it."""

    def __init__(self, most: int = 10_000) -> None:
        self.taken, self._most = 0, most

    async def items(self) -> AsyncIterator[int]:
        while self.taken < self._most:
            self.taken += 1
            yield self.taken


async def turns(count: int = TURNS) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def never(item: Any) -> None:
    del item
    await asyncio.get_running_loop().create_future()


def stuck() -> Any:
    """Give a service whose handler never answers."""
    return FakeCache(handler=lambda request: asyncio.get_running_loop().create_future())


CHAINS: dict[str, tuple[int, Callable[[], Any]]] = {
    "send": (3, lambda: [fop.send(stuck(), window=2)]),
    "retry_send": (3, lambda: [fop.retry_send(stuck(), window=2, timeout=60)]),
    "map_async": (3, lambda: [fop.map_async(never, 2)]),
    "above others": (3, lambda: [ops.map(str), fop.map_async(never, 2), ops.filter(bool)]),
    "isolated": (3, lambda: [fop.isolate(fop.map_async(never, 2))]),
    "supervised": (3, lambda: [fop.map_async(never, 2), fop.supervise()]),
    "above supervise": (3, lambda: [fop.supervise(), fop.map_async(never, 2)]),
}


@pytest.mark.parametrize("name", CHAINS)
async def test_a_source_that_pulls_waits_while_items_wait_below(name: str) -> None:
    most, chain = CHAINS[name]
    counter = Counter()
    seen = Seen(fop.from_async_iter(counter.items()).pipe(*chain()))
    await turns()
    assert counter.taken == most
    seen.subscription.dispose()
    await turns()
    assert counter.taken <= most + 1, "it was closed"


async def test_a_reader_that_is_full_holds_the_source_until_it_has_read() -> None:
    counter = Counter(100)
    pull: Any = fop.from_async_iter(counter.items()).pipe(fop.to_async_iter(5))
    await turns()
    assert counter.taken == 5
    assert pull.stats()["waiting"] == 5
    assert [item async for item in pull] == list(range(1, 101))


async def test_both_of_two_hold_it() -> None:
    counter, gate = Counter(), asyncio.Event()

    async def some(item: int) -> int:
        await gate.wait()
        return item

    pull: Any = fop.from_async_iter(counter.items()).pipe(
        fop.map_async(some, 2), fop.to_async_iter(4)
    )
    await turns()
    assert counter.taken == 3
    gate.set()
    await turns()
    assert 4 <= counter.taken <= 4 + 3
    assert await anext(pull) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(1, 5), st.booleans())
def test_law_all_items_come_through_in_order(count: int, at_once: int, ordered: bool) -> None:
    async def work(item: int) -> int:
        await turns(item * 7 % 5)
        return item

    async def main() -> list[int]:
        chain: Any = fop.from_async_iter(Counter(count).items()).pipe(
            fop.map_async(work, at_once, ordered), fop.to_async_iter(2)
        )
        return [item async for item in chain]

    found = asyncio.run(main())
    assert (found if ordered else sorted(found)) == list(range(1, count + 1))


async def test_a_source_that_cannot_wait_ends_with_an_error_at_the_bound() -> None:
    source: Any = __import__("reactivex").range(0, 10)
    seen = Seen(source.pipe(fop.map_async(never, 1, waiting=3)))
    assert isinstance(seen.error, Overloaded)
    assert "map_async.waiting" in str(seen.error)


def test_what_is_felt_is_what_is_below() -> None:
    one, other = Valve(), Valve()
    assert valves_below() == ()
    with felt(one):
        with felt(other):
            assert valves_below() == (one, other)
            with unfelt():
                assert valves_below() == ()
        assert valves_below() == (one,)
    assert valves_below() == ()
    one.turn(shut=True)
    assert repr(one) == "<Valve shut>"
    assert repr(other) == "<Valve open>"


async def test_an_iterator_that_subscribes_itself_feels_nothing_of_its_chain() -> None:
    inner: list[tuple[Valve, ...]] = []

    async def items() -> AsyncIterator[int]:
        Observable(lambda observer, scheduler=None: inner.append(valves_below())).subscribe()  # type: ignore[arg-type, func-returns-value]
        yield 1

    seen = Seen(fop.from_async_iter(items()).pipe(fop.map_async(never)))
    await turns()
    assert inner == [()]
    seen.subscription.dispose()
