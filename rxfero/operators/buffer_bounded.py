"""buffer_bounded: items in lists, bounded in size and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, SerialDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxfero.operators.checks import T, seconds, whole


def buffer_bounded(
    maxsize: int, within: float | None = None
) -> Callable[[Observable[T]], Observable[list[T]]]:
    """Collect items into lists of at most `maxsize`; no item waits longer than `within`.

        1 2 3 --- 4 ----------------- 5 |
            buffer_bounded(3, within=1)
        ----[1 2 3] ------- [4] ------- [5] |

    Never an empty list. When the source ends, the rest is given before; when it fails, dropped.

    Args:
        maxsize: The size at which a list is given at once.
        within: Seconds after its first item at which it is given anyway. None: not before it is
            full.

    Raises:
        ConfigurationError: an argument is out of range.
    """
    size = whole("buffer_bounded.maxsize", maxsize, 1)
    wait = seconds("buffer_bounded.within", within)

    def buffered(source: Observable[T]) -> Observable[list[T]]:
        def subscribe(
            observer: ObserverBase[list[T]], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            clock = scheduler
            if clock is None and wait is not None:
                clock = AsyncIOScheduler(asyncio.get_running_loop())
            items: list[T] = []
            timer = SerialDisposable()

            def on_next(item: T) -> None:
                items.append(item)
                if len(items) >= size:
                    give()
                elif len(items) == 1 and clock is not None and wait is not None:
                    timer.disposable = clock.schedule_relative(wait, due)

            def due(scheduler: SchedulerBase, state: object) -> None:
                del scheduler, state
                give()

            def give() -> None:
                nonlocal items
                timer.disposable = None
                full, items = items, []
                if full:
                    observer.on_next(full)

            def end() -> None:
                give()
                observer.on_completed()

            taken = source.subscribe(on_next, observer.on_error, end, scheduler=scheduler)
            return CompositeDisposable(taken, timer)

        return Observable(subscribe)

    return buffered
