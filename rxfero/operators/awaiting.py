"""The awaiting: what the operators `await_ack`, `await_commit`, ... have in common.

Guarantees come in, their outcomes go out in the order in which the guarantees came, whatever the
order in which they settle; the first failure ends the stream with its error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from reactivex import Observable, create
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable

from rxfero.errors import ConfigurationError

_WAITING: Any = object()


def check_timeout(operator: str, timeout: float | None) -> float | None:
    """Check the seconds of a timeout.

    Raises:
        ConfigurationError: not a number above 0.
    """
    if timeout is not None and (
        isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0
    ):
        raise ConfigurationError(f"{operator}.timeout", timeout, "must be seconds > 0, or None")
    return timeout


def awaiting(
    operator: str, stage_of: Callable[[Any], Observable[Any]], timeout: float | None
) -> Callable[[Observable[Any]], Observable[Any]]:
    """Give the operator that waits for a stage of each guarantee."""
    seconds = check_timeout(operator, timeout)

    def wait(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            line: deque[list[Any]] = deque()
            every = CompositeDisposable()
            ended = False

            def flush() -> None:
                while line and line[0][0] is not _WAITING:
                    observer.on_next(line.popleft()[0])
                if ended and not line:
                    observer.on_completed()

            def on_next(guarantee: Any) -> None:
                place: list[Any] = [_WAITING]
                line.append(place)
                try:
                    if seconds is not None:
                        guarantee.timeout(seconds)
                    stage = stage_of(guarantee)
                except Exception as error:  # noqa: BLE001  (a stream's error goes down the stream)
                    observer.on_error(error)
                    return
                every.add(
                    stage.subscribe(
                        lambda value: place.__setitem__(0, value), observer.on_error, flush
                    )
                )

            def on_completed() -> None:
                nonlocal ended
                ended = True
                flush()

            every.add(
                source.subscribe(on_next, observer.on_error, on_completed, scheduler=scheduler)
            )
            return every

        return create(subscribe)

    return wait
