"""The streams: Observables that keep to the node's loop, and a subject that fails nobody.

Knows no events: names, order and where errors are told are :mod:`rxfero.events`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, ScheduledAction, SchedulerBase
from reactivex.abc import Subscription as Subscribe
from reactivex.disposable import Disposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

T = TypeVar("T")
S = TypeVar("S")


class Stream(Observable[T], Generic[T]):
    """An Observable whose operators of time run on the node's loop.

    Operators take their scheduler from whoever subscribes to them, not from their source, and start
    a thread where none is given. So whatever is piped from a stream is a stream again.

    Args:
        clock: Gives the scheduler of subscriptions that bring none.
        subscribe: As of an Observable.

    Attributes:
        clock: As given.
    """

    def __init__(
        self, clock: Callable[[], SchedulerBase | None], subscribe: Subscribe[T] | None = None
    ) -> None:
        super().__init__(subscribe)
        self.clock = clock

    def subscribe(
        self, on_next: Any = None, on_error: Any = None, on_completed: Any = None, *,
        scheduler: SchedulerBase | None = None,
    ) -> DisposableBase:  # fmt: skip
        """Subscribe an observer or callbacks."""
        return super().subscribe(
            on_next, on_error, on_completed, scheduler=scheduler or self.clock()
        )

    if not TYPE_CHECKING:  # the types are the overloads of Observable.pipe

        def pipe(self, *operators):
            """Apply operators, one after the other."""
            result = self
            for operator in operators:
                result = operator(result)
                if type(result) is Observable:
                    result = self._like(result._subscribe)  # noqa: SLF001
            return result

    def _like(self, subscribe: Subscribe[S]) -> Stream[S]:
        return Stream(self.clock, subscribe)

    def live(self, *, every: float = 0.5, rows: int = 10) -> Any:
        """Give a live page for a notebook: the rate and the last items. Subscribes at once.

        Args:
            every: Seconds between two drawings.
            rows: Items shown.

        Raises:
            ConfigurationError: no running loop, an argument is out of range, or, when it is shown,
                anywidget is not installed.
        """
        view: Any = import_module("rxfero.view")
        return view.live(self, every=every, rows=rows)


class _Watcher:
    """A plain callback among the observers of a subject: it is called, and nothing else."""

    __slots__ = ("on_next",)

    def __init__(self, callback: Callable[[Any], Any]) -> None:
        self.on_next = callback

    def on_completed(self) -> None:
        """Nobody asked for this."""


def _ignore(value: object) -> None:
    """Take the place of a callback that has been taken off during an emission."""


class Subject(Stream[Any]):
    """A subject without a lock: a tuple of observers, replaced when one comes or goes.

    Args:
        failed: Told of an error that an observer raised, of the payload, and whether the observer
            has ended by it.
        clock: Gives the scheduler of subscriptions that bring none.
    """

    def __init__(
        self,
        failed: Callable[[Exception, Any, bool], None],
        clock: Callable[[], SchedulerBase | None] = lambda: None,
    ) -> None:
        super().__init__(clock)
        self.observers: tuple[Any, ...] = ()
        self._failed = failed
        self.ended = False

    def _subscribe_core(
        self, observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
    ) -> DisposableBase:
        del scheduler
        if self.ended:
            observer.on_completed()
            return Disposable()
        self.observers = (*self.observers, observer)

        def remove() -> None:
            self.observers = tuple(o for o in self.observers if o is not observer)

        return Disposable(remove)

    def watch(self, callback: Callable[[Any], Any]) -> DisposableBase:
        """Subscribe a function of the value, at no more cost than its call."""
        watcher = _Watcher(callback)
        if not self.ended:
            self.observers = (*self.observers, watcher)

        def remove() -> None:
            watcher.on_next = _ignore
            self.observers = tuple(o for o in self.observers if o is not watcher)

        return Disposable(remove)

    def on_next(self, value: Any) -> None:
        """Tell every observer; one that raises harms no other."""
        for observer in self.observers:
            try:
                observer.on_next(value)
            except Exception as error:  # noqa: BLE001  (law 4)
                self.failed(observer, error, value)

    def failed(self, observer: Any, error: Exception, value: Any) -> None:
        """Tell of what an observer raised, and whether it has ended by it."""
        self._failed(error, value, observer not in self.observers)

    def on_completed(self) -> None:
        """Tell every observer that there will be no more."""
        self.ended = True
        observers, self.observers = self.observers, ()
        for observer in observers:
            try:
                observer.on_completed()
            except Exception as error:  # noqa: BLE001  (law 4)
                self._failed(error, None, True)


class Clock(AsyncIOScheduler):
    """The scheduler of a loop. What an action raises is told, not left to the loop.

    Args:
        loop: Where actions run.
        failed: Told of an error, of where it came up and of the item it is about.
        wall: Gives seconds since 1970. Operators compare moments by it, so where the loop's time is
            simulated this must be too.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, failed: Callable[[Exception, str, Any], None],
        wall: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        super().__init__(loop)
        self._failed, self._wall = failed, wall

    @property
    def now(self) -> datetime:
        """The present moment, by the wall clock."""
        return datetime.fromtimestamp(self._wall(), UTC)

    def invoke_action(self, action: ScheduledAction[S], state: S | None = None) -> DisposableBase:
        """Run an action now."""
        try:
            return super().invoke_action(action, state)
        except Exception as error:  # noqa: BLE001  (law 4)
            self.report(error, "an operator of time", None)
            return Disposable()

    def report(self, error: Exception, context: str, item: Any, /) -> None:
        """Tell of an error that has no caller."""
        self._failed(error, context, item)
