"""The outcomes: what awaits guarantees in a stream, the common part of the await operators.

Guarantees are watched as they come, all at the same time, and what they come to is given in their
order. Nothing here makes them wait: they are on their way already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, SingleAssignmentDisposable

from rxfero.errors import ConfigurationError, Overloaded, ValueRefused
from rxfero.operators.attempts import again, awaited, may_retry
from rxfero.operators.checks import Operator
from rxfero.operators.line import Line, Place
from rxfero.ports import GuaranteeLike

Stage = Callable[[GuaranteeLike], Observable[Any]]


def outcomes(
    name: str, stage: Stage, timeout: float | None, window: int | None, retries: int = 0
) -> Operator:
    """Give the operator that takes guarantees and gives what a stage of them comes to."""

    def watched(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            line, watches = Line(observer), CompositeDisposable()

            def on_next(item: Any) -> None:
                if not isinstance(item, GuaranteeLike):
                    what = f"{name} takes guarantees (of fop.send, fop.update ...), not"
                    observer.on_error(ValueRefused("item", f"{what} {type(item).__name__}"))
                    return
                if window is not None and len(line) >= window:
                    observer.on_error(Overloaded(len(line), window, "guarantees", f"{name}.window"))
                    return
                _watch(name, item, stage, timeout, retries, line, line.enter(), watches)

            watches.add(source.subscribe(on_next, observer.on_error, line.end, scheduler=scheduler))
            return watches

        return Observable(subscribe)

    return watched


def _watch(
    name: str,
    guarantee: GuaranteeLike,
    stage: Stage,
    timeout: float | None,
    retries: int,
    line: Line,
    place: Place,
    watches: CompositeDisposable,
) -> None:
    watch = SingleAssignmentDisposable()
    watches.add(watch)
    awaited(guarantee)

    def leave(error: Exception | None = None) -> None:
        watches.remove(watch)
        line.leave(place, error)

    def failed(error: Exception) -> None:
        if not retries or not may_retry(error) or place.used:
            leave(error)
            return
        make = again(guarantee)
        if make is None:
            hint = "retries only requests that fop.send, fop.update and the like have made"
            leave(ConfigurationError(f"{name}.retries", retries, hint))
            return
        try:
            made = make()
        except Exception as refused:  # noqa: BLE001  (the failure of this item)
            leave(refused)
            return
        watches.remove(watch)
        _watch(name, made, stage, timeout, retries - 1, line, place, watches)

    try:
        if timeout is not None:
            guarantee.timeout(timeout)
        results = stage(guarantee)
    except Exception as error:  # noqa: BLE001  (the failure of this item)
        leave(error)
        return
    watch.disposable = results.subscribe(lambda value: line.give(place, value), failed, leave)
