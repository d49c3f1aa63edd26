"""from_async_iter: an async iterator as an Observable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable

from rxfero.errors import ConfigurationError
from rxfero.operators.pressure import unfelt, valves_below
from rxfero.operators.reports import guarded

T = TypeVar("T")

BREATH = 100
"""Items after which the loop gets a turn, from iterators that never wait."""


def from_async_iter(items: AsyncIterable[T] | Callable[[], AsyncIterable[T]]) -> Observable[T]:
    """Give the items of an async iterator, to be subscribed to in a running loop.

        async for: a ---- b ---- c |
            from_async_iter(items)
        a ---- b ---- c |

    It waits while items wait in `send(window=)`, `retry_send`, `map_async` or a full
    `to_async_iter` below it. What it raises goes down `on_error`. Unsubscribing cancels it where
    it waits and closes it.

    Args:
        items: What `async for` takes; or a function that gives one, for each subscription anew.

    Raises:
        ConfigurationError: it is neither.
    """
    if not _is_iterable(items) and not callable(items):
        hint = "must be an async iterable, or a function that gives one"
        raise ConfigurationError("from_async_iter.items", items, hint)

    def subscribe(
        observer: ObserverBase[T], scheduler: SchedulerBase | None = None
    ) -> DisposableBase:
        reader: _Reader[T] = _Reader(items, observer, scheduler)
        with unfelt():
            reader.task = asyncio.get_running_loop().create_task(reader.run())
        return Disposable(reader.stop)

    return Observable(subscribe)


def _is_iterable(items: Any) -> bool:
    return isinstance(items, AsyncIterable)


class _Reader(Generic[T]):
    """The task of one subscription."""

    task: asyncio.Task[None]

    def __init__(
        self,
        items: AsyncIterable[T] | Callable[[], AsyncIterable[T]],
        observer: ObserverBase[T],
        scheduler: SchedulerBase | None,
    ) -> None:
        self._items, self._observer, self._scheduler = items, observer, scheduler
        self._stopped = False
        self._valves = valves_below()

    async def run(self) -> None:
        try:
            await self._read()
        except Exception as error:  # noqa: BLE001  (it goes down the chain)
            failed = error
            self._guarded(lambda: self._observer.on_error(failed))
        else:
            self._guarded(self._observer.on_completed)

    def stop(self) -> None:
        self._stopped = True
        with suppress(RuntimeError):  # no loop runs, so no task of it does
            if self.task is asyncio.current_task():
                return
        self.task.cancel()

    async def _read(self) -> None:
        iterator = self._made().__aiter__()
        count = 0
        try:
            async for value in iterator:
                self._give(value)
                count += 1
                if self._stopped:
                    return
                for valve in self._valves:
                    await valve.opened()
                if count % BREATH == 0:
                    await asyncio.sleep(0)
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    def _made(self) -> AsyncIterable[T]:
        items: Any = self._items
        return items if _is_iterable(items) else items()

    def _give(self, value: T) -> None:
        self._guarded(lambda: self._observer.on_next(value))

    def _guarded(self, give: Callable[[], None]) -> None:
        guarded(self._scheduler, "from_async_iter", give)
