"""The pressure: a chain in which items wait makes its source wait, where the source can.

RxPY pushes. But a chain is subscribed from its end up to its source, in one go. An operator in
which items wait (`send(window=)`, `map_async`, a full `to_async_iter`) has a valve; while it
subscribes to what is above it, that valve is felt there. A source that pulls, `from_async_iter`,
waits before each item until the valves below it are open. Others, as the events of a cache, cannot
wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar


class Valve:
    """Open, unless items wait."""

    def __init__(self) -> None:
        self._shut = False
        self._waiters: list[asyncio.Future[None]] = []

    def turn(self, *, shut: bool) -> None:
        """Shut it, or open it and let go on who waits."""
        self._shut = shut
        if not shut and self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def opened(self) -> None:
        """Wait until it is open."""
        while self._shut:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def __repr__(self) -> str:
        return f"<Valve {'shut' if self._shut else 'open'}>"


_BELOW: ContextVar[tuple[Valve, ...]] = ContextVar("rxfero.operators.pressure", default=())


def valves_below() -> tuple[Valve, ...]:
    """Give the valves of the operators below, while a chain is being subscribed."""
    return _BELOW.get()


@contextmanager
def felt(*valves: Valve) -> Generator[None]:
    """Let valves be felt by what is subscribed to meanwhile."""
    token = _BELOW.set((*_BELOW.get(), *valves))
    try:
        yield
    finally:
        _BELOW.reset(token)


@contextmanager
def unfelt() -> Generator[None]:
    """Begin what is no part of the chain, as a task is."""
    token = _BELOW.set(())
    try:
        yield
    finally:
        _BELOW.reset(token)
