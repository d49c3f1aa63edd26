"""The events: every name a cache tells of, each a subject, and the laws by which they are told.

1. Events are emitted in the node's turn, after its frames were sent; an emission during an emission
   is queued. So every observer sees the order of the log.
2. The state is at least as new as the change an observer holds; `change.value` is what was written.
3. No observer, no work: the node asks :meth:`Hub.observed` before it makes anything.
4. An observer that raises harms nobody: its error goes to `error`, it stays subscribed, the others
   get the event.
5. Operators of time run on the node's loop; no thread ever starts.

The names, payloads and occasions are the table :data:`EVENTS`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable
from reactivex.observer import AutoDetachObserver
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxfero.errors import Closed, ConfigurationError, UnknownEvent

log = logging.getLogger("rxfero")


class Event(NamedTuple):
    """One row of the table of events."""

    payload: str
    when: str


EVENTS: dict[str, Event] = {
    "commit": Event("Change", "a write has reached this node's log"),
    "change": Event("Change", "a write has been applied to this node's state"),
    "proxy": Event("Row", "a request has come to this server, to be handled or passed on"),
    "ack": Event("int", "so many requests of this node have been received by a server"),
    "reply": Event("Guarantee", "a request of this node has been answered"),
    "tack": Event("int", "so many requests of this node have been handed to the socket"),
    "status": Event("Peer", "a peer has changed its status"),
    "disconnected": Event("Peer", "a server is not connected; it will be dialed again"),
    "connecting": Event("Peer", "a server is being dialed, greeted or synced"),
    "connected": Event("Peer", "a server is connected and in sync"),
    "throttled": Event("Peer", "a server takes no more for the moment"),
    "removed": Event("Peer", "a peer is no longer known"),
    "client": Event("Peer", "a client has connected here"),
    "owner": Event("list[int]", "these shards have come to this node, or gone from it"),
    "conflict": Event("Change", "a write has lost a merge after a split"),
    "rollback": Event("list[Change]", "these writes were undone here, to be merged by the owner"),
    "reset": Event("int", "the state of this shard was replaced by a snapshot"),
    "checksum": Event("int", "the ring has changed; its checksum"),
    "stable": Event("list[tuple[int, int]]", "(shard, number): every live server holds up to there"),
    "error": Event("Failure", "something failed that has no caller to raise to"),
    "destroy": Event("str", "the cache has been destroyed"),
}
ANY = "*"
NAMES = (*EVENTS, ANY)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that had no caller. Attributes: error, event, context, peer, change."""

    error: Exception
    event: str
    context: str = ""
    peer: str | None = None
    change: Any = None

    def __str__(self) -> str:
        where = f" in {self.context}" if self.context else ""
        who = f" from {self.peer}" if self.peer else ""
        return f"{self.event}{where}{who}: {type(self.error).__name__}: {self.error}"


class Subject(Observable[Any]):
    """A subject without a lock: a tuple of observers, replaced when one comes or goes.

    Args:
        failed: Told of an error that an observer raised, and of the payload.
        scheduler: Gives the scheduler of subscriptions that bring none.
    """

    def __init__(
        self, failed: Callable[[Exception, Any], None],
        scheduler: Callable[[], SchedulerBase | None] = lambda: None,
    ) -> None:
        super().__init__()
        self.observers: tuple[ObserverBase[Any] | Callable[[Any], None], ...] = ()
        self._sinks: tuple[Callable[[Any], None], ...] = ()
        self._failed, self._scheduler = failed, scheduler
        self.ended = False

    def subscribe(  # type: ignore[override]
        self, on_next: Any = None, on_error: Any = None, on_completed: Any = None, *,
        scheduler: SchedulerBase | None = None,
    ) -> DisposableBase:
        """Subscribe an observer or callbacks; time operators get the node's own scheduler."""
        return super().subscribe(
            on_next, on_error, on_completed, scheduler=scheduler or self._scheduler()
        )

    def _subscribe_core(
        self, observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
    ) -> DisposableBase:
        del scheduler
        if self.ended:
            observer.on_completed()
            return Disposable()
        return self.attach(observer, _sink(observer))

    def attach(self, key: Any, sink: Callable[[Any], None]) -> DisposableBase:
        """Add a sink; gives what removes it."""
        self.observers = (*self.observers, key)
        self._sinks = (*self._sinks, sink)

        def remove() -> None:
            if key in self.observers:
                at = self.observers.index(key)
                self.observers = self.observers[:at] + self.observers[at + 1 :]
                self._sinks = self._sinks[:at] + self._sinks[at + 1 :]

        return Disposable(remove)

    def on_next(self, value: Any) -> None:
        """Tell every observer; one that raises harms no other."""
        for sink in self._sinks:
            try:
                sink(value)
            except Exception as error:  # noqa: BLE001  (law 4)
                self._failed(error, value)

    def on_completed(self) -> None:
        """Tell every observer that there will be no more."""
        self.ended = True
        observers, self.observers, self._sinks = self.observers, (), ()
        for observer in observers:
            if isinstance(observer, ObserverBase):
                try:
                    observer.on_completed()
                except Exception as error:  # noqa: BLE001
                    self._failed(error, None)


def _sink(observer: ObserverBase[Any]) -> Callable[[Any], None]:
    """Give the shortest way to an observer that leaves it subscribed when it raises."""
    inner = getattr(observer, "_on_next", None)
    if isinstance(observer, AutoDetachObserver) and inner is not None:
        return inner
    return observer.on_next


class Hub:
    """The events of one cache.

    Args:
        name: The service, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._subjects: dict[str, Subject] = {}
        self._waiters: dict[str, list[asyncio.Future[Any]]] = {}
        self._callbacks: list[tuple[str, Callable[[Any], None], DisposableBase]] = []
        self._queue: deque[tuple[str, list[Any]]] = deque()
        self._emitting = False
        self._closed: Exception | None = None
        self._clock: AsyncIOScheduler | None = None

    def _subject(self, name: str) -> Subject:
        if name not in EVENTS and name != ANY:
            raise UnknownEvent(str(name), NAMES)
        subject = self._subjects.get(name)
        if subject is None:

            def failed(error: Exception, payload: Any) -> None:
                self._observer_failed(name, error, payload)

            subject = self._subjects[name] = Subject(failed, self._scheduler)
            if self._closed is not None:
                subject.on_completed()
        return subject

    def _scheduler(self) -> SchedulerBase | None:
        if self._clock is None:
            try:
                self._clock = AsyncIOScheduler(asyncio.get_running_loop())
            except RuntimeError:
                return None
        return self._clock

    def on(self, name: str, callback: Callable[[Any], None] | None = None) -> Any:
        """Give an event's Observable; with a callback, subscribe it and give a Disposable.

        Raises:
            UnknownEvent: no such event.
        """
        subject = self._subject(name)
        if callback is None:
            return subject
        if not callable(callback):
            raise ConfigurationError("callback", callback, "must be a function of the payload")
        subscription = subject.subscribe(callback)
        self._callbacks.append((name, callback, subscription))
        return subscription

    def once(self, name: str) -> Awaitable[Any]:
        """Give an awaitable of the event's next payload; raises Closed when the cache ends."""
        self._subject(name)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._closed is not None:
            future.set_exception(self._closed)
        else:
            self._waiters.setdefault(name, []).append(future)
        return future

    def off(self, name: str | None = None, callback: Callable[[Any], None] | None = None) -> None:
        """End subscriptions made with callbacks: one callback's, an event's, or all."""
        if name is not None:
            self._subject(name)
        kept: list[tuple[str, Callable[[Any], None], DisposableBase]] = []
        for entry in self._callbacks:
            if name in (None, entry[0]) and callback in (None, entry[1]):
                entry[2].dispose()
            else:
                kept.append(entry)
        self._callbacks = kept

    def observed(self, name: str) -> bool:
        """Whether anybody would see the event."""
        subjects, waiters = self._subjects, self._waiters
        for wanted in (name, ANY):
            subject = subjects.get(wanted)
            if (subject is not None and subject.observers) or waiters.get(wanted):
                return True
        return False

    def emit(self, name: str, payload: Any) -> None:
        """Tell of one event."""
        self.emit_all(name, [payload])

    def emit_all(self, name: str, payloads: list[Any]) -> None:
        """Tell of several events of one name, in order."""
        if self._emitting:
            self._queue.append((name, payloads))
            return
        self._emitting = True
        try:
            self._deliver(name, payloads)
            while self._queue:
                self._deliver(*self._queue.popleft())
        finally:
            self._emitting = False

    def _deliver(self, name: str, payloads: Iterable[Any]) -> None:
        subject, every = self._subjects.get(name), self._subjects.get(ANY)
        seen = False
        for payload in payloads:
            if subject is not None and subject.observers:
                subject.on_next(payload)
                seen = True
            if every is not None and every.observers:
                every.on_next((name, payload))
                seen = True
            if self._waiters:
                seen = self._wake(name, payload) or seen
            if name == "error" and not seen:
                log.error("%s: %s", self.name, payload)

    def _wake(self, name: str, payload: Any) -> bool:
        woken = False
        for wanted, value in ((name, payload), (ANY, (name, payload))):
            for future in self._waiters.pop(wanted, ()):
                if not future.done():
                    future.set_result(value)
                    woken = True
        return woken

    def _observer_failed(self, name: str, error: Exception, payload: Any) -> None:
        if name == "error":
            log.error("%s: an observer of error raised", self.name, exc_info=error)
            return
        self.emit("error", Failure(error, name, "an observer", None, payload))

    def close(self, error: Exception | None = None) -> None:
        """End every subject and every waiter."""
        self._closed = error or Closed(self.name)
        for subject in list(self._subjects.values()):
            subject.on_completed()
        waiters, self._waiters = self._waiters, {}
        for futures in waiters.values():
            for future in futures:
                if not future.done():
                    future.set_exception(self._closed)
                    future.exception()
        self._callbacks.clear()

    def __repr__(self) -> str:
        live = [n for n, s in self._subjects.items() if s.observers]
        return f"<Hub {self.name} observed={live}>"
