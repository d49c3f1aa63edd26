"""Tests of the loop: virtual time, order, standstill, and what runs elsewhere in processes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops

from rxfero.streams import Clock
from rxfero.surroundings import surroundings
from rxfero.testing.loop import Standstill, VirtualLoop, simulate


def test_an_hour_takes_no_time() -> None:
    async def main() -> tuple[float, float]:
        loop, real = asyncio.get_running_loop(), time.monotonic()
        await asyncio.sleep(3600)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await loop.create_future()
        return loop.time(), time.monotonic() - real

    virtual, real = simulate(main())
    assert virtual == 7200
    assert real < 3600


def test_operators_of_time_run_on_it() -> None:
    async def main() -> list[int]:
        loop, got = asyncio.get_running_loop(), []
        done, given = loop.create_future(), surroundings()
        clock = Clock(given.loop, lambda *_: None, given.wall)
        reactivex.interval(60.0).pipe(ops.take(3), ops.delay(5.0)).subscribe(
            got.append, on_completed=lambda: done.set_result(None), scheduler=clock
        )
        await done
        assert loop.time() == pytest.approx(185)
        return got

    assert simulate(main()) == [0, 1, 2]


def test_one_moment_keeps_the_order_of_the_calls() -> None:
    async def main() -> list[int]:
        loop, got = asyncio.get_running_loop(), []
        for number in range(300):
            loop.call_at(5.0, got.append, number)
        for number in range(300):
            if number % 2:
                loop.call_at(4.0, print).cancel()
        await asyncio.sleep(10)
        return got

    assert simulate(main()) == list(range(300))


def test_sets_of_tasks_and_futures_have_an_order() -> None:
    async def main() -> list[list[int]]:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(asyncio.sleep(1), name=str(n)) for n in range(50)]
        futures = [loop.create_future() for _ in range(50)]
        found = [[tasks.index(t) for t in set(tasks)], [futures.index(f) for f in set(futures)]]
        await asyncio.gather(*tasks)
        return found

    assert simulate(main()) == simulate(main())


def test_nothing_due_any_more_is_said() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Standstill, match="nothing is due any more; 1 tasks"):
        simulate(main())


def test_a_circle_at_one_moment_is_said() -> None:
    async def main() -> None:
        await asyncio.sleep(5)
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Standstill, match=r"100000 rounds at 5\.0+ s"):
        simulate(main())


def test_threads_are_done_at_once() -> None:
    async def main() -> Any:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(int)
        return await asyncio.to_thread(sum, [1, 2]), loop.time()

    assert simulate(main()) == (3, 0.0)


def test_without_a_network_there_are_clocks_but_no_connections() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await asyncio.sleep(5)
        given = surroundings()
        assert given.loop is loop
        assert given.monotonic() == 5
        assert given.wall() == 1_700_000_005
        with pytest.raises(RuntimeError, match="no network"):
            await asyncio.open_connection("127.0.0.1", 1)
        assert repr(loop).startswith("<VirtualLoop 5.0")

    simulate(main())


def test_what_the_program_raises_comes_out() -> None:
    async def main() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        simulate(main())
