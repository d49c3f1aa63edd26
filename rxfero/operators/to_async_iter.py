"""to_async_iter: an Observable as an async iterator with a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from reactivex import Observable
from reactivex.disposable import SingleAssignmentDisposable

from rxfero.errors import ConfigurationError, Overloaded

T = TypeVar("T")

POLICIES = ("block", "drop_old", "drop_new", "latest", "error")


def to_async_iter(
    maxsize: int = 1024, overflow: str = "block"
) -> Callable[[Observable[T]], AsyncIterator[T]]:
    """Pull from an Observable: ``async for item in source.pipe(to_async_iter())``.

    Args:
        maxsize: Items kept for a slow consumer.
        overflow: What happens beyond: "block" keeps them (a source that cannot wait is not made to
            lose items), "drop_old", "drop_new", "latest" (only the newest), "error" (Overloaded).

    Raises:
        ConfigurationError: `maxsize` below 1, or no such policy.
    """
    if type(maxsize) is not int or maxsize < 1:
        raise ConfigurationError("to_async_iter.maxsize", maxsize, "must be a whole number >= 1")
    if overflow not in POLICIES:
        raise ConfigurationError("to_async_iter.overflow", overflow, f"must be one of {POLICIES}")

    def pull(source: Observable[T]) -> AsyncIterator[T]:
        return _Pull(source, maxsize, overflow)

    return pull


class _Pull(AsyncIterator[T]):
    def __init__(self, source: Observable[T], maxsize: int, overflow: str) -> None:
        self._items: deque[T] = deque()
        self._maxsize, self._overflow = maxsize, overflow
        self._ended: BaseException | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._subscription = SingleAssignmentDisposable()
        self._subscription.disposable = source.subscribe(self._next, self._end, self._completed)

    def _next(self, item: T) -> None:
        items = self._items
        if len(items) >= self._maxsize and self._overflow != "block":
            if self._overflow == "error":
                self._subscription.dispose()
                self._end(Overloaded(len(items), self._maxsize))
                return
            if self._overflow == "drop_new":
                return
            if self._overflow == "latest":
                items.clear()
            else:
                items.popleft()
        if self._ended is None:
            items.append(item)
            self._wake()

    def _end(self, error: BaseException) -> None:
        if self._ended is None:
            self._ended = error
        for _ in range(len(self._waiters)):
            self._wake()

    def _completed(self) -> None:
        self._end(StopAsyncIteration())

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def __anext__(self) -> T:
        while not self._items:
            if self._ended is not None:
                raise self._ended
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # its turn goes to the next reader
                raise
        return self._items.popleft()

    async def aclose(self) -> None:
        """Stop: the source is unsubscribed, pending reads end."""
        self._subscription.dispose()
        self._completed()
