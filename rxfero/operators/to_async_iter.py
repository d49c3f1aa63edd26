"""to_async_iter: an Observable as an async iterator with a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from reactivex import Observable
from reactivex.disposable import SingleAssignmentDisposable

from rxfero.errors import ConfigurationError, Overloaded
from rxfero.operators.checks import attribute, whole
from rxfero.operators.pressure import Valve, felt

T = TypeVar("T")

POLICIES = ("block", "conflate", "drop_old", "drop_new", "latest", "error")


def to_async_iter(
    maxsize: int = 1024, overflow: str = "block", key: str | Callable[[T], Any] = "key"
) -> Callable[[Observable[T]], Pull[T]]:
    """Pull from an Observable: ``async for item in source.pipe(to_async_iter())``.

        1 2 3 4 ----------------------- |
            to_async_iter(2, "drop_old")
        ------------- 3 --------- 4 --- |

    Args:
        maxsize: Items kept for a slow consumer.
        overflow: What happens beyond: "block" lets a source that pulls wait, and keeps those of one
            that cannot, "drop_old", "drop_new", "latest" (only the newest), "error" (it is
            unsubscribed, and after what is kept comes Overloaded). "conflate" keeps the latest item
            of each key from the first on, in the place of the one that waits; beyond `maxsize`
            keys the oldest goes.
        key: For "conflate": a function of the item that gives a hashable key; or an attribute's
            name. What it raises ends the stream.

    Returns:
        The stream. Its :meth:`Pull.stats` tells how many wait and how many were skipped.

    Raises:
        ConfigurationError: `maxsize` below 1, no such policy, or no such key.
    """
    whole("to_async_iter.maxsize", maxsize, 1)
    if overflow not in POLICIES:
        raise ConfigurationError("to_async_iter.overflow", overflow, f"must be one of {POLICIES}")
    select = attribute("to_async_iter.key", key) if overflow == "conflate" else None

    def pull(source: Observable[T]) -> Pull[T]:
        return Pull(source, maxsize, overflow, select)

    return pull


class Pull(AsyncIterator[T]):
    """The items of an Observable, to be read one by one. Made by :func:`to_async_iter`."""

    def __init__(
        self, source: Observable[T], maxsize: int, overflow: str,
        select: Callable[[Any], Any] | None = None,
    ) -> None:  # fmt: skip
        self._items: deque[Any] = deque()  # where keys are told apart: the keys, in their order
        self._latest: dict[Any, T] = {}
        self._name: Any = None  # the key of the item that came last
        self._skipped = self._given = 0
        self._maxsize, self._overflow, self._select = maxsize, overflow, select
        self._ended: BaseException | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._subscription = SingleAssignmentDisposable()
        self._valve = Valve()
        with felt(*([self._valve] if overflow == "block" else ())):
            self._subscription.disposable = source.subscribe(
                self._next, self._end, self._completed
            )

    def stats(self) -> dict[str, int]:
        """Give how many items wait, were given, and were skipped by the policy."""
        return {"waiting": len(self._items), "given": self._given, "skipped": self._skipped}
    def _next(self, item: T) -> None:
        if self._ended is not None or (self._select is not None and self._replaces(item)):
            return
        items = self._items
        if len(items) >= self._maxsize and self._overflow != "block":
            if self._overflow == "error":
                self._subscription.dispose()
                self._end(Overloaded(len(items), self._maxsize))
                return
            if self._overflow == "drop_new":
                self._skipped += 1
                return
            self._drop(len(items) if self._overflow == "latest" else 1)
        items.append(item if self._select is None else self._name)
        self._valve.turn(shut=len(items) >= self._maxsize)
        self._wake()

    def _replaces(self, item: T) -> bool:
        """Keep an item as the latest of its key; whether that took the place of another."""
        assert self._select is not None, "only where keys are told apart"
        try:
            name = self._name = self._select(item)
            waits = name in self._latest
        except Exception as error:  # noqa: BLE001  (it is the reader's)
            self._subscription.dispose()
            self._end(error)
            return True
        self._latest[name] = item
        self._skipped += waits
        return waits

    def _drop(self, count: int) -> None:
        for _ in range(count):
            first = self._items.popleft()
            if self._select is not None:
                del self._latest[first]
        self._skipped += count

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

    def _refill(self) -> bool:
        """Get what can be had without waiting; whether there was something to do."""
        return False

    async def __anext__(self) -> T:
        while not self._items:
            if self._ended is not None:
                raise self._ended
            if self._refill():
                continue
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # its turn goes to the next reader
                raise
        self._given += 1
        first = self._items.popleft()
        self._valve.turn(shut=False)
        return first if self._select is None else self._latest.pop(first)

    async def aclose(self) -> None:
        """Stop: the source is unsubscribed, pending reads end."""
        self._subscription.dispose()
        self._valve.turn(shut=False)
        self._completed()
