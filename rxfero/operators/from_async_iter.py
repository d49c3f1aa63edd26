"""from_async_iter: an async iterator as an Observable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import Any, TypeVar, cast

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable

from rxfero.errors import ConfigurationError
from rxfero.operators.reports import guarded

T = TypeVar("T")

BREATH = 100
"""Items after which the loop gets a turn, from iterators that never wait."""


def from_async_iter(items: AsyncIterable[T] | Callable[[], AsyncIterable[T]]) -> Observable[T]:
    """Give the items of an async iterator, to be subscribed to in a running loop.

        async for: a ---- b ---- c |
            from_async_iter(items)
        a ---- b ---- c |

    What it raises goes down `on_error`. Unsubscribing cancels it where it waits and closes it.

    Args:
        items: What `async for` takes; or a function that gives one, for each subscription anew.

    Raises:
        ConfigurationError: it is neither.
    """
    if not isinstance(items, AsyncIterable) and not callable(items):
        hint = "must be an async iterable, or a function that gives one"
        raise ConfigurationError("from_async_iter.items", items, hint)

    def made() -> AsyncIterable[T]:
        if isinstance(items, AsyncIterable):
            return cast("AsyncIterable[T]", items)
        return items()

    def subscribe(
        observer: ObserverBase[T], scheduler: SchedulerBase | None = None
    ) -> DisposableBase:
        stopped = False

        def give(value: T) -> None:
            guarded(scheduler, "from_async_iter", lambda: observer.on_next(value))

        async def run() -> None:
            nonlocal stopped
            count = 0
            try:
                iterator = aiter(made())
                try:
                    async for value in iterator:
                        give(value)
                        count += 1
                        if count % BREATH == 0:
                            await asyncio.sleep(0)
                        if stopped:
                            return
                finally:
                    close = cast("Any", getattr(iterator, "aclose", None))
                    if close is not None:
                        await close()
            except Exception as error:  # noqa: BLE001  (it goes down the chain)
                failed = error
                guarded(scheduler, "from_async_iter", lambda: observer.on_error(failed))
            else:
                guarded(scheduler, "from_async_iter", observer.on_completed)

        task = asyncio.get_running_loop().create_task(run())

        def stop() -> None:
            nonlocal stopped
            stopped = True
            if task is not asyncio.current_task():
                task.cancel()

        return Disposable(stop)

    return Observable(subscribe)
