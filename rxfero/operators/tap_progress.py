"""tap_progress: a look at how many items have passed."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase

from rxfero.operators.checks import Same, T, function, whole


def tap_progress(report: Callable[[int], object], every: int = 1000) -> Same[T]:
    """Pass every item; call `report` with the count after every so many, and at the end.

        a -- b -- c -- d -- e -- |
            tap_progress(report, every=2)
        a -- b -- c -- d -- e -- |
        report: 2 ---- 4 ------ 5

    The count is that of the subscription. An error that `report` raises goes down `on_error`.

    Args:
        report: A function of the count.
        every: The number of items between two calls.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    function("tap_progress.report", report)
    step = whole("tap_progress.every", every, 1)

    def tapped(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: ObserverBase[T], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            count = 0

            def told() -> bool:
                try:
                    report(count)
                except Exception as error:  # noqa: BLE001  (it goes down the chain)
                    observer.on_error(error)
                    return False
                return True

            def on_next(item: T) -> None:
                nonlocal count
                count += 1
                if count % step or told():
                    observer.on_next(item)

            def end() -> None:
                if not count % step or told():
                    observer.on_completed()

            return source.subscribe(on_next, observer.on_error, end, scheduler=scheduler)

        return Observable(subscribe)

    return tapped
