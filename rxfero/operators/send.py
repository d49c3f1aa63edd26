"""send: each item as one message to a service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable
from reactivex import operators as ops
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SingleAssignmentDisposable

from rxfero.operators.attempts import is_awaited
from rxfero.operators.checks import MOST, Asker, whole
from rxfero.operators.gate import Gate
from rxfero.operators.messages import sender
from rxfero.operators.pressure import felt
from rxfero.operators.reports import report
from rxfero.ports import CacheLike, GuaranteeLike


def send(
    cache: CacheLike,
    type: str | Callable[[Any], str] = "message",
    key: Any = None,
    value: Callable[[Any], Any] | None = None,
    *,
    window: int | None = None,
    waiting: int | None = MOST,
) -> Asker:
    """Send one message an item; give the guarantees, one an item.

        a ------ b ------>
            send(emails, type="approve")
        g(a) --- g(b) --->

    Args:
        cache: The service to send to.
        type: The message's verb, or a function of the item that gives it.
        key: The message's key, or a function of the item that gives it: its owner will handle the
            message. None: any server.
        value: A function of the item that gives the message's value; else it is the item, and the
            value of a change.
        window: So many messages are unanswered at a time; further items wait to be sent, in their
            order, and a source that pulls waits (`from_async_iter`). A failure that no await
            operator of the chain takes goes to the cache's `error`. None: any number, and nothing
            is watched.
        waiting: So many items may wait; one more fails with Overloaded. None: any number.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    message = sender("send", cache, type, key, value)
    most = None if waiting is None else whole("send.waiting", waiting, 0)
    if window is None:
        return ops.map(message)
    room = whole("send.window", window, 1)

    def sent(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            window = _Window(message, room, most, observer, scheduler)
            with felt(window.gate.valve):
                taken = source.subscribe(
                    window.take, observer.on_error, window.end, scheduler=scheduler
                )
            return CompositeDisposable(taken, Disposable(window.gate.clear), window.watches)

        return Observable(subscribe)

    return sent


class _Window:
    """The messages in flight of one subscription."""

    def __init__(
        self,
        message: Callable[[Any], GuaranteeLike],
        room: int,
        most: int | None,
        observer: ObserverBase[Any],
        scheduler: SchedulerBase | None,
    ) -> None:
        self._message, self._observer, self._scheduler = message, observer, scheduler
        self._ended = False
        self.gate = Gate(room, most, self._send, "send.waiting")
        self.watches = CompositeDisposable()

    def take(self, item: Any) -> None:
        try:
            self.gate.enter(item)
        except Exception as error:  # noqa: BLE001  (it goes down the chain)
            self._observer.on_error(error)

    def end(self) -> None:
        self._ended = True
        self._rest()

    def _rest(self) -> None:
        if self._ended and not self.gate:
            self._observer.on_completed()

    def _send(self, item: Any) -> None:
        try:
            guarantee = self._message(item)
        except Exception as error:  # noqa: BLE001  (the failure of this item)
            self.gate.leave()
            self._observer.on_error(error)
            return
        try:
            self._observer.on_next(guarantee)
        finally:  # an await operator below has looked at it by now
            self._watch(guarantee, item)

    def _watch(self, guarantee: GuaranteeLike, item: Any) -> None:
        watch = SingleAssignmentDisposable()
        self.watches.add(watch)

        def leave() -> None:
            self.watches.remove(watch)
            self.gate.leave()
            self._rest()

        def failed(error: Exception) -> None:
            if not is_awaited(guarantee):
                report(self._scheduler, error, "send", item)
            leave()

        watch.disposable = guarantee.on("reply").subscribe(lambda _: None, failed, leave)
