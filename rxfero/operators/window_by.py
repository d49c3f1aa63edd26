"""window_by: lists of what belongs together, by key and by time, size or silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxfero.errors import ConfigurationError
from rxfero.operators.checks import Selector, attribute, seconds, whole

T = TypeVar("T")


class Window(NamedTuple, Generic[T]):
    """The items of one key, in their order; never empty."""

    key: Any
    items: list[T]


def window_by(
    key: str | Callable[[T], Any],
    *,
    every: float | None = None,
    idle: float | None = None,
    size: int | None = None,
) -> Callable[[Observable[T]], Observable[Window[T]]]:
    """Collect the items of each key into windows; a window is given when it closes.

        a1 b1 a2 -------------- a3 ------ |
            window_by(key, every=1)
        ------------- (a, [a1 a2]) (b, [b1]) ---- (a, [a3]) |

    A window opens with the first item of its key that comes while none is open. It closes by the
    first of the bounds that are given. When the source ends, the open windows are given before, in
    the order in which they opened; when it fails, they are dropped. Memory is that of the open
    windows: give `size` where a key may have many items.

    Args:
        key: A function of the item that gives a hashable key; or an attribute's name.
        every: Seconds from its first item at which a window closes.
        idle: Seconds without an item of its key after which it closes.
        size: The number of items at which it closes at once.

    Raises:
        ConfigurationError: no bound, or an argument of the wrong type or range.
    """
    select = attribute("window_by.key", key)
    length = seconds("window_by.every", every)
    silence = seconds("window_by.idle", idle)
    most = None if size is None else whole("window_by.size", size, 1)
    if length is None and silence is None and most is None:
        raise ConfigurationError("window_by", None, "needs a bound: every=, idle= or size=")

    def windowed(source: Observable[T]) -> Observable[Window[T]]:
        def subscribe(
            observer: ObserverBase[Window[T]], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            windows = _Windows(select, length, silence, most, observer, scheduler)
            taken = source.subscribe(windows.take, windows.fail, windows.end, scheduler=scheduler)
            return CompositeDisposable(taken, Disposable(windows.stop))

        return Observable(subscribe)

    return windowed


class _Windows:
    """The open windows of one subscription."""

    def __init__(
        self,
        select: Selector,
        length: float | None,
        silence: float | None,
        most: int | None,
        observer: ObserverBase[Any],
        scheduler: SchedulerBase | None,
    ) -> None:
        self._select, self._observer = select, observer
        self._length, self._silence, self._most = length, silence, most
        self._clock = scheduler
        if scheduler is None and (length is not None or silence is not None):
            self._clock = AsyncIOScheduler(asyncio.get_running_loop())
        self._open: dict[Any, _Open] = {}

    def take(self, item: Any) -> None:
        try:
            name = self._select(item)
            window = self._open.get(name)
        except Exception as error:  # noqa: BLE001  (it goes down the chain)
            self._observer.on_error(error)
            return
        if window is None:
            window = self._open[name] = _Open()
            self._arm(window.length, self._length, name)
        window.items.append(item)
        if self._most is not None and len(window.items) >= self._most:
            self._close(name)
        else:
            self._arm(window.silence, self._silence, name)

    def end(self) -> None:
        while self._open:
            self._close(next(iter(self._open)))
        self._observer.on_completed()

    def fail(self, error: Exception) -> None:
        self.stop()
        self._observer.on_error(error)

    def stop(self) -> None:
        for window in self._open.values():
            window.stop()
        self._open.clear()

    def _arm(self, timer: SerialDisposable, wait: float | None, name: Any) -> None:
        if wait is not None and self._clock is not None:
            due = self._clock.schedule_relative(wait, lambda _clock, _state: self._close(name))
            timer.disposable = due

    def _close(self, name: Any) -> None:
        window = self._open.pop(name)
        window.stop()
        self._observer.on_next(Window(name, window.items))


class _Open:
    """A window that has not closed yet, and its timers."""

    __slots__ = ("items", "length", "silence")

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.length, self.silence = SerialDisposable(), SerialDisposable()

    def stop(self) -> None:
        self.length.dispose()
        self.silence.dispose()
