"""supervise: a chain that failed is begun anew, after a while."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, SerialDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxfero.errors import ConfigurationError
from rxfero.operators.checks import optional, share, some_seconds, whole
from rxfero.operators.pressure import felt, unfelt, valves_below
from rxfero.operators.reports import report

T = TypeVar("T")


def supervise(
    base: float = 0.1,
    cap: float = 30.0,
    retries: int | None = None,
    *,
    calm: float = 60.0,
    jitter: float = 0.1,
    errors: Callable[[Exception], object] | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """Subscribe anew to everything above when it fails, after a wait that doubles.

        1 -- 2 -- x
                    (base) 1 -- 2 -- 3 -- |
            supervise()
        1 -- 2 ----------- 1 -- 2 -- 3 -- |

    What stands above begins as if just subscribed. What comes meanwhile
    is not seen: where nothing may be missed, begin with what can go on from an offset. Failures of
    the operators below are not seen here.

    Args:
        base: Seconds before the first restart; each further one waits twice as long as the last.
        cap: Seconds that are never exceeded.
        retries: After so many restarts in a row the next failure goes down `on_error`. None: any
            number.
        calm: Seconds that a chain has run for, after which counting begins anew.
        jitter: The share of each wait, 0 to 1, that is left to chance.
        errors: A function, told of each failure. None: they go to the cache's `error`, and without
            a cache to the log.

    Raises:
        ConfigurationError: an argument is out of range.
    """
    first, most = some_seconds("supervise.base", base), some_seconds("supervise.cap", cap)
    quiet = some_seconds("supervise.calm", calm)
    if most < first:
        raise ConfigurationError("supervise.cap", cap, f"must be at least base, {base} s")
    again = None if retries is None else whole("supervise.retries", retries, 0)
    chance = share("supervise.jitter", jitter)
    tell = optional("supervise.errors", errors)

    def supervised(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: ObserverBase[T], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            clock = scheduler or AsyncIOScheduler(asyncio.get_running_loop())
            running, timer = SerialDisposable(), SerialDisposable()
            failures = 0
            begun = clock.now
            valves = valves_below()

            def failed(error: Exception) -> None:
                nonlocal failures
                if clock.now - begun >= timedelta(seconds=quiet):
                    failures = 0
                try:
                    if tell is None:
                        report(scheduler, error, "a supervised chain", None)
                    else:
                        tell(error)
                except Exception as raised:  # noqa: BLE001  (it goes down the chain)
                    observer.on_error(raised)
                    return
                if again is not None and failures >= again:
                    observer.on_error(error)
                    return
                wait = min(most, first * 2 ** min(failures, 64))
                wait *= 1 - chance * random.random()
                failures += 1
                timer.disposable = clock.schedule_relative(wait, begin)

            def begin(scheduler: SchedulerBase | None = None, state: object = None) -> None:
                nonlocal begun
                del scheduler, state
                begun = clock.now
                with unfelt(), felt(*valves):
                    running.disposable = source.subscribe(
                        observer.on_next, failed, observer.on_completed, scheduler=clock
                    )

            begin()
            return CompositeDisposable(running, timer)

        return Observable(subscribe)

    return supervised
