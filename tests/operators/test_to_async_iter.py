"""to_async_iter: pull from an Observable, with a bounded queue and a policy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex.subject import Subject

from rxfero import operators as fop
from rxfero.errors import Overloaded
from tests.operators.fake import refused

ITEMS = st.lists(st.integers(), max_size=20)


async def all_of(items: list[int], **options: Any) -> list[int]:
    source: Subject[int] = Subject()
    stream = source.pipe(fop.to_async_iter(**options))
    for item in items:
        source.on_next(item)
    source.on_completed()
    return [item async for item in stream]


TABLE: list[tuple[str, list[int]]] = [
    ("block", [1, 2, 3, 4]),
    ("drop_old", [3, 4]),
    ("drop_new", [1, 2]),
    ("latest", [3, 4]),
]


@pytest.mark.parametrize(("overflow", "kept"), TABLE)
async def test_policies(overflow: str, kept: list[int]) -> None:
    assert await all_of([1, 2, 3, 4], maxsize=2, overflow=overflow) == kept


async def test_the_policy_error_gives_what_fits_then_fails() -> None:
    source: Subject[int] = Subject()
    stream = source.pipe(fop.to_async_iter(2, "error"))
    for item in (1, 2, 3, 4):
        source.on_next(item)
    assert [await anext(stream), await anext(stream)] == [1, 2]
    with pytest.raises(Overloaded):
        await anext(stream)
    assert source.observers == []


@settings(max_examples=30, deadline=None)
@given(ITEMS, st.integers(1, 30))
def test_law_blocking_loses_nothing(items: list[int], maxsize: int) -> None:
    assert asyncio.run(all_of(items, maxsize=maxsize)) == items


@settings(max_examples=30, deadline=None)
@given(ITEMS, st.integers(1, 30))
def test_law_dropping_keeps_an_end_of_the_right_size(items: list[int], maxsize: int) -> None:
    assert asyncio.run(all_of(items, maxsize=maxsize, overflow="drop_old")) == items[-maxsize:]
    assert asyncio.run(all_of(items, maxsize=maxsize, overflow="drop_new")) == items[:maxsize]


async def test_a_waiting_consumer_is_woken_by_item_error_and_end() -> None:
    source: Subject[int] = Subject()
    stream = source.pipe(fop.to_async_iter())
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    source.on_next(1)
    assert await waiting == 1
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    source.on_error(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await waiting
    with pytest.raises(ValueError, match="no"):
        await anext(stream)


async def test_closing_unsubscribes_and_ends_a_pending_read() -> None:
    source: Subject[int] = Subject()
    stream: Any = source.pipe(fop.to_async_iter())
    waiting = asyncio.ensure_future(anext(stream, "end"))
    await asyncio.sleep(0)
    await stream.aclose()
    assert await waiting == "end"
    assert source.observers == []
    await stream.aclose()


async def test_a_cancelled_read_loses_nothing() -> None:
    source: Subject[int] = Subject()
    stream = source.pipe(fop.to_async_iter())
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    source.on_next(1)
    assert await anext(stream) == 1


async def test_two_readers_each_get_an_item() -> None:
    source: Subject[int] = Subject()
    stream = source.pipe(fop.to_async_iter())
    readers = [asyncio.ensure_future(anext(stream)) for _ in range(2)]
    await asyncio.sleep(0)
    source.on_next(1)
    source.on_next(2)
    assert sorted(await asyncio.wait_for(asyncio.gather(*readers), 5)) == [1, 2]


async def test_a_source_that_has_ended_can_still_be_read() -> None:
    assert [i async for i in reactivex.of(1, 2).pipe(fop.to_async_iter())] == [1, 2]


@settings(max_examples=30, deadline=None)
@given(ITEMS, st.integers(1, 30))
def test_law_the_latest_of_what_did_not_fit_comes_last(items: list[int], maxsize: int) -> None:
    found = asyncio.run(all_of(items, maxsize=maxsize, overflow="latest"))
    assert found[-1:] == items[-1:]
    assert len(found) <= maxsize
    assert found == items[len(items) - len(found) :]


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    for wrong in (0, -1, 1.5, "5", True):
        refused("to_async_iter.maxsize", lambda wrong=wrong: fop.to_async_iter(wrong))
    refused("to_async_iter.overflow", lambda: fop.to_async_iter(1, "drop"))


PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers()), max_size=30)


async def conflated(pairs: list[tuple[int, int]], maxsize: int) -> tuple[list[Any], dict[str, int]]:
    source: Subject[tuple[int, int]] = Subject()
    stream = source.pipe(fop.to_async_iter(maxsize, "conflate", lambda pair: pair[0]))
    for pair in pairs:
        source.on_next(pair)
    source.on_completed()
    return [item async for item in stream], stream.stats()


@given(PAIRS)
def test_law_conflating_gives_the_latest_of_each_key_in_the_order_of_the_first(
    pairs: list[tuple[int, int]],
) -> None:
    kept, stats = asyncio.run(conflated(pairs, 6))
    assert kept == list(dict(pairs).items())
    assert stats == {"waiting": 0, "given": len(kept), "skipped": len(pairs) - len(kept)}


@given(PAIRS, st.integers(1, 6))
def test_law_what_was_skipped_is_counted_and_memory_is_bounded(
    pairs: list[tuple[int, int]], maxsize: int
) -> None:
    kept, stats = asyncio.run(conflated(pairs, maxsize))
    assert len(kept) <= maxsize
    assert stats["given"] + stats["skipped"] == len(pairs)
    assert all(pair in pairs for pair in kept)
    assert not pairs or kept[-1][0] in dict(pairs)


@pytest.mark.parametrize(("overflow", "skipped"), [("drop_old", 2), ("drop_new", 2), ("latest", 2)])
async def test_what_a_policy_skips_is_counted(overflow: str, skipped: int) -> None:
    source: Subject[int] = Subject()
    stream = source.pipe(fop.to_async_iter(2, overflow))
    for item in (1, 2, 3, 4):
        source.on_next(item)
    assert stream.stats() == {"waiting": 2, "given": 0, "skipped": skipped}
    await anext(stream)
    assert stream.stats() == {"waiting": 1, "given": 1, "skipped": skipped}


async def test_a_key_that_raises_ends_the_stream_after_what_waits() -> None:
    source: Subject[Any] = Subject()
    stream = source.pipe(fop.to_async_iter(2, "conflate", "real"))
    source.on_next(1)
    source.on_next("none")
    assert source.observers == []
    assert await anext(stream) == 1
    with pytest.raises(AttributeError):
        await anext(stream)


def test_a_key_must_be_one() -> None:
    refused("to_async_iter.key", lambda: fop.to_async_iter(2, "conflate", 7))  # type: ignore[arg-type]
