"""conflate: of what comes close together, the latest of each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, SerialDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxfero.operators.checks import Same, T, attribute, seconds


def conflate(key: str | Callable[[T], Any], every: float | None = None) -> Same[T]:
    """Keep the latest item of each key until the next turn of the loop, or for some seconds.

        a1 a2 b1 a3 ------------ c1 ------------>
            conflate(key, every=0.1)
        ------------- a3 b1 ----------- c1 ----->

    The keys come in the order in which they were first seen. When the source ends, what is kept is
    given before; when it fails, it is dropped. Memory is bounded by the number of keys.

    Args:
        key: A function of the item that gives a hashable key; or an attribute's name.
        every: Seconds from the first item kept until all are given. None: the loop's next turn.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    select = attribute("conflate.key", key)
    wait = seconds("conflate.every", every) or 0.0

    def conflated(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: ObserverBase[T], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            clock = scheduler or AsyncIOScheduler(asyncio.get_running_loop())
            kept: dict[Any, T] = {}
            timer = SerialDisposable()

            def on_next(item: T) -> None:
                try:
                    name = select(item)
                    first = not kept
                    kept[name] = item
                except Exception as error:  # noqa: BLE001  (it goes down the chain)
                    observer.on_error(error)
                    return
                if first:
                    timer.disposable = clock.schedule_relative(wait, due)

            def due(scheduler: SchedulerBase, state: object) -> None:
                del scheduler, state
                give()

            def give() -> None:
                items = list(kept.values())
                kept.clear()
                for item in items:
                    observer.on_next(item)

            def end() -> None:
                timer.dispose()
                give()
                observer.on_completed()

            taken = source.subscribe(on_next, observer.on_error, end, scheduler=scheduler)
            return CompositeDisposable(taken, timer)

        return Observable(subscribe)

    return conflated
