"""The events: every name a cache tells of, each a subject, and the laws by which they are told.

1. Events are emitted in the node's turn, after its frames were sent; an emission during an emission
   is queued, whatever its name. So every observer sees the order of the log, and no observer is
   entered while another one runs.
2. The state is at least as new as the change an observer holds; `change.value` is what was written.
3. No observer, no work: the node asks :meth:`Hub.observed` before it makes anything.
4. An observer that raises harms nobody: its error goes to `error`, it stays subscribed, the others
   get the event. An *operator* whose function raises ends its own chain, as everywhere in RxPY: the
   error goes to the chain's `on_error`; where it has none, to `error`, once, and the failure says
   that the chain has ended. Wrap such an operator in :func:`rxfero.operators.isolate` to go on.
5. Operators of time run on the node's loop, wherever they stand in a chain and however it is
   written (`pipe`, or one method after another); no thread ever starts. What they raise goes to
   `error` too.

An error that nobody observes is logged. Observers are told in the order in which they subscribed;
one that subscribes or leaves during an emission gets, or misses, what is told after it.

The names, payloads and occasions are the table :data:`EVENTS`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar, overload

from reactivex.abc import DisposableBase, SchedulerBase
from reactivex.abc import Subscription as Subscribe

from rxfero.errors import Closed, ConfigurationError, UnknownEvent
from rxfero.shown import Shown
from rxfero.streams import Clock, Stream, Subject
from rxfero.surroundings import surroundings

log = logging.getLogger("rxfero")

T = TypeVar("T")


class Event(NamedTuple):
    """One row of the table of events."""

    payload: str
    when: str


EVENTS: dict[str, Event] = {
    "commit": Event("Change", "a write has reached this node's log"),
    "change": Event("Change", "a write has been applied to this node's state"),
    "commits": Event("list[Change]", "as commit, once for all that have come together"),
    "changes": Event("list[Change]", "as change, once for all that have come together"),
    "proxy": Event("Row", "a request has come to this server, to be handled or passed on"),
    "ack": Event("int", "so many requests of this node have been received by a server"),
    "reply": Event("Guarantee", "a request of this node has been answered"),
    "replies": Event("Sequence[Guarantee]", "as reply, once for all that have come together"),
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
    "stable": Event("list[tuple[int, int]]", "(shard, number): all live servers hold up to it"),
    "error": Event("Failure", "something failed that has no caller to raise to"),
    "destroy": Event("str", "the cache has been destroyed"),
}
PeerEvent = Literal[
    "status", "disconnected", "connecting", "connected", "throttled", "removed", "client"
]
CountEvent = Literal["ack", "tack", "reset", "checksum"]
ANY = "*"
NAMES = (*EVENTS, ANY)
_END = ""


@dataclass(frozen=True, slots=True)
class Failure(Shown):
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


class _Callback(DisposableBase):
    """The subscription of a callback; known to the hub until it ends."""

    def __init__(
        self, hub: Hub, name: str, callback: Callable[[Any], None], inner: DisposableBase
    ) -> None:
        self._hub, self.name, self.callback, self._inner = hub, name, callback, inner

    def dispose(self) -> None:
        self._inner.dispose()
        self._hub.forget(self)


class Hub:
    """The events of one cache.

    Args:
        name: The service, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._subjects: dict[str, Subject] = {}
        self._waiters: dict[str, list[asyncio.Future[Any]]] = {}
        self._callbacks: dict[_Callback, None] = {}
        self._queue: deque[tuple[str, Iterable[Any]]] = deque()
        self._emitting = False
        self._wider = False  # whether others than the observers of a name want its events
        self._closed: Exception | None = None
        self.unseen: Callable[[Failure], None] | None = None  # told of errors nobody observes
        self._clock: Clock | None = None
        self.clock()

    def clock(self) -> SchedulerBase | None:
        """Give the scheduler of the loop the hub was made in; None before there is a loop."""
        if self._clock is None:
            try:
                loop, _, wall, _ = surroundings()
                self._clock = Clock(loop, self._chain_failed, wall)
            except RuntimeError:
                return None
        return self._clock

    def stream(self, subscribe: Subscribe[T]) -> Stream[T]:
        """Give an Observable of one's own to which law 5 applies."""
        return Stream(self.clock, subscribe)

    def _subject(self, name: str) -> Subject:
        subject = self._subjects.get(name)
        if subject is None:
            if name not in EVENTS and name != ANY:
                raise UnknownEvent(str(name), NAMES)

            def failed(error: Exception, payload: Any, ended: bool) -> None:
                self._observer_failed(name, error, payload, ended)

            subject = self._subjects[name] = Subject(failed, self.clock)
            self._wider = self._wider or name == ANY
            if self._closed is not None:
                subject.on_completed()
        return subject

    @overload
    def on(self, name: str) -> Stream[Any]: ...

    @overload
    def on(self, name: str, callback: None) -> Stream[Any]: ...

    @overload
    def on(self, name: str, callback: Callable[[Any], None]) -> DisposableBase: ...

    @overload
    def on(
        self, name: str, callback: Callable[[Any], None] | None
    ) -> Stream[Any] | DisposableBase: ...

    def on(
        self, name: str, callback: Callable[[Any], None] | None = None
    ) -> Stream[Any] | DisposableBase:
        """Give an event's Observable; with a callback, subscribe it and give a Disposable.

        Raises:
            UnknownEvent: no such event.
            ConfigurationError: the callback is none.
        """
        subject = self._subject(name)
        if callback is None:
            return subject
        if not callable(callback):
            raise ConfigurationError("callback", callback, "must be a function of the payload")
        entry = _Callback(self, name, callback, subject.watch(callback))
        if self._closed is None:
            self._callbacks[entry] = None
        return entry

    def once(self, name: str) -> Awaitable[Any]:
        """Give an awaitable of the event's next payload; raises Closed when the cache ends.

        Cancelling it leaves nothing behind.

        Raises:
            UnknownEvent: no such event.
        """
        self._subject(name)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._closed is not None:
            future.set_exception(self._closed)
            future.exception()
            return future
        self._wider = True
        waiting = self._waiters.setdefault(name, [])
        waiting.append(future)

        def done(_: object) -> None:
            if future in waiting:
                waiting.remove(future)

        future.add_done_callback(done)
        return future

    def off(self, name: str | None = None, callback: Callable[[Any], None] | None = None) -> None:
        """End subscriptions made with callbacks: one callback's, an event's, or all.

        Raises:
            UnknownEvent: no such event.
        """
        if name is not None:
            self._subject(name)
        for entry in list(self._callbacks):
            if name in (None, entry.name) and callback in (None, entry.callback):
                entry.dispose()

    def forget(self, entry: _Callback) -> None:
        """Know a callback's subscription no more."""
        self._callbacks.pop(entry, None)

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

    def emit_all(self, name: str, payloads: Iterable[Any]) -> None:
        """Tell of several events of one name, in order."""
        self._queue.append((name, payloads))
        if self._emitting:
            return
        self._emitting = True
        try:
            while self._queue:
                self._deliver(*self._queue.popleft())
        finally:
            self._emitting = False

    def _deliver(self, name: str, payloads: Iterable[Any]) -> None:
        if name == _END:
            self._end()
            return
        subject = self._subjects.get(name)
        rest = iter(payloads)
        self._wider = bool(self._waiters) or ANY in self._subjects or name == "error"
        if subject is not None and not self._wider:
            if len(subject.observers) == 1:
                self._deliver_to(name, subject, rest)
            for payload in rest:
                for observer in subject.observers:
                    try:
                        observer.on_next(payload)
                    except Exception as error:  # noqa: BLE001  (law 4)
                        subject.failed(observer, error, payload)
                if self._wider:  # an observer has brought one of those
                    self._deliver_wider(name, payload)
                    break
        for payload in rest:
            subject = self._subjects.get(name)
            seen = subject is not None and bool(subject.observers)
            if subject is not None and seen:
                subject.on_next(payload)
            seen = self._deliver_wider(name, payload) or seen
            if not seen and name == "error":
                self._tell_unseen(payload)

    def _deliver_to(self, name: str, subject: Subject, rest: Iterator[Any]) -> None:
        """Tell the only observer, until there are others: most events have one, if any."""
        observers = subject.observers
        observer, on_next = observers[0], observers[0].on_next
        for payload in rest:
            try:
                on_next(payload)
            except Exception as error:  # noqa: BLE001  (law 4)
                subject.failed(observer, error, payload)
            if self._wider:
                self._deliver_wider(name, payload)
                break
            if subject.observers is not observers:
                break

    def _deliver_wider(self, name: str, payload: Any) -> bool:
        """Tell those who wait for one event and those who see all; whether there were any."""
        seen = False
        every = self._subjects.get(ANY)
        if every is not None and every.observers:
            every.on_next((name, payload))
            seen = True
        return self._wake(name, payload) or seen

    def _tell_unseen(self, failure: Failure) -> None:
        if self.unseen is None or log.hasHandlers():
            log.error("%s: %s", self.name, failure)
        if self.unseen is not None:
            try:
                self.unseen(failure)
            except Exception:
                log.exception("%s: %s, and it could not be shown", self.name, failure)

    def _wake(self, name: str, payload: Any) -> bool:
        woken = False
        for wanted, value in ((name, payload), (ANY, (name, payload))):
            for future in self._waiters.pop(wanted, ()):
                if not future.done():
                    future.set_result(value)
                    woken = True
        return woken

    def _observer_failed(self, name: str, error: Exception, payload: Any, ended: bool) -> None:
        if name == "error" or (name == ANY and payload is not None and payload[0] == "error"):
            log.error("%s: an observer of errors raised", self.name, exc_info=error)
            return
        context = "an operator chain, which has ended" if ended else "an observer"
        self.emit("error", Failure(error, name, context, None, payload))

    def _chain_failed(self, error: Exception, context: str, item: Any) -> None:
        self.emit("error", Failure(error, "chain", context, None, item))

    def close(self, error: Exception | None = None) -> None:
        """End every subject and every waiter, once what is being told has been told."""
        if self._closed is None:
            self._closed = error or Closed(self.name)
            self.emit_all(_END, [])

    def _end(self) -> None:
        assert self._closed is not None, "close() says why before it ends"
        for subject in list(self._subjects.values()):
            subject.on_completed()
        waiters, self._waiters = self._waiters, {}
        for futures in waiters.values():
            for future in list(futures):
                if not future.done():
                    future.set_exception(self._closed)
                    future.exception()
        self._callbacks.clear()

    def __repr__(self) -> str:
        live = [n for n, s in self._subjects.items() if s.observers]
        return f"<Hub {self.name} observed={live}>"
