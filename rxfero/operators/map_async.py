"""map_async: an async function of each item, several at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable

from rxfero.errors import ConfigurationError, Overloaded
from rxfero.operators.checks import MOST, T, function, whole
from rxfero.operators.line import Line, Place
from rxfero.operators.pressure import Valve, felt
from rxfero.operators.reports import guarded

U = TypeVar("U")


def map_async(
    fn: Callable[[T], Awaitable[U]], concurrency: int = 1, ordered: bool = True,
    *, waiting: int | None = MOST,
) -> Callable[[Observable[T]], Observable[U]]:
    """Await `fn(item)` for each item; give the results.

        a ---- b ---- c ------------------->
            map_async(fn, concurrency=2)
        ---------- fn(a) fn(b) ---- fn(c) ->

    Items beyond `concurrency` wait, and so does a source that pulls (`from_async_iter`).
    Unsubscribing cancels what runs. A failure goes down `on_error` (at its turn, if ordered) and
    ends the chain, which cancels the others; inside :func:`isolate` only this item is lost. To be
    subscribed to in a running loop.

    Args:
        fn: An async function of the item.
        concurrency: So many run at a time.
        ordered: Give the results in the order of the items; else as they come.
        waiting: So many items may wait; one more fails with Overloaded. None: any number.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    function("map_async.fn", fn)
    whole("map_async.concurrency", concurrency, 1)
    if not isinstance(ordered, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("map_async.ordered", ordered, "must be True or False")

    most = None if waiting is None else whole("map_async.waiting", waiting, 0)

    def mapped(source: Observable[T]) -> Observable[U]:
        def subscribe(
            observer: ObserverBase[U], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            crew = _Crew(fn, concurrency, ordered, most, observer, scheduler)
            with felt(crew.valve):
                taken = source.subscribe(
                    crew.take, observer.on_error, crew.end, scheduler=scheduler
                )
            return CompositeDisposable(taken, Disposable(crew.stop))

        return Observable(subscribe)

    return mapped


class _Crew:
    """The tasks of one subscription."""

    def __init__(
        self,
        fn: Callable[[Any], Awaitable[Any]],
        concurrency: int,
        ordered: bool,
        most: int | None,
        observer: ObserverBase[Any],
        scheduler: SchedulerBase | None,
    ) -> None:
        self._fn, self._concurrency, self._ordered = fn, concurrency, ordered
        self._most, self._observer, self._scheduler = most, observer, scheduler
        self.valve = Valve()
        self._loop = asyncio.get_running_loop()
        self._line = Line(observer)
        self._waiting: deque[tuple[Place | None, Any]] = deque()
        self._running: dict[asyncio.Task[Any], None] = {}  # in the order of their begin
        self._ended = self._stopped = False

    def take(self, item: Any) -> None:
        if self._most is not None and len(self._waiting) >= self._most:
            full = Overloaded(len(self._waiting), self._most, "items", "map_async.waiting")
            self._observer.on_error(full)
            return
        self._waiting.append((self._line.enter() if self._ordered else None, item))
        self._start()

    def end(self) -> None:
        self._ended = True
        self._rest()

    def stop(self) -> None:
        self._stopped = True
        self._waiting.clear()
        self.valve.turn(shut=False)
        for task in list(self._running):
            task.cancel()

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._concurrency:
            place, item = self._waiting.popleft()
            task = self._loop.create_task(self._run(item))
            self._running[task] = None
            task.add_done_callback(lambda task, place=place: self._done(task, place))
        self.valve.turn(shut=bool(self._waiting))

    async def _run(self, item: Any) -> Any:
        return await self._fn(item)

    def _done(self, task: asyncio.Task[Any], place: Place | None) -> None:
        self._running.pop(task, None)
        error: BaseException | None
        if task.cancelled():
            error = RuntimeError("map_async: the task of an item was cancelled")
        else:
            error = task.exception()
        if self._stopped:
            return
        self._start()
        guarded(self._scheduler, "map_async", lambda: self._give(task, place, error))
        guarded(self._scheduler, "map_async", self._rest)

    def _give(
        self, task: asyncio.Task[Any], place: Place | None, error: BaseException | None
    ) -> None:
        place = place or self._line.enter()
        if error is None:
            place.values.append(task.result())
            self._line.leave(place)  # with its result, so that it moves once
        elif isinstance(error, Exception):
            self._line.leave(place, error)

    def _rest(self) -> None:
        if self._ended and not self._waiting and not self._running:
            self._line.end()
