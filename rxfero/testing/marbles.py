"""The marbles: diagrams in text for what goes into a pipeline and what has to come out of it.

Everything runs on one reactivex TestScheduler, so no time passes. A character is a second unless
said otherwise; the diagrams are reactivex's: ``-`` a second, ``(a,b)`` together, ``|`` the end,
``#`` an error. What a letter stands for is looked up; one that is not there is itself, and a number
is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import reactivex
from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable, SerialDisposable
from reactivex.notification import Notification, OnError, OnNext
from reactivex.observable.marbles import parse
from reactivex.testing import TestScheduler

from rxfero.core.change import Change
from rxfero.core.clock import wall_ms_of
from rxfero.testing.fake import FakeCache

T = TypeVar("T")

UNTIL_S = 1000.0
NEXT, ERROR, COMPLETED = "next", "error", "completed"


class Message(NamedTuple):
    """What came out: when (seconds), which kind ("next", "error", "completed"), and the value."""

    at: float
    kind: str
    value: Any = None


class Marbles:
    """Sources, expectations and a fake cache on one virtual time.

    Args:
        timespan: Seconds that a character of a diagram stands for.

    Attributes:
        scheduler: The TestScheduler.

    ::

        marbles = Marbles()
        words = marbles.hot("a-b---c|")
        marbles.expect(words.pipe(ops.debounce(2.0)), "----b--(c,|)")
    """

    def __init__(self, timespan: float = 1.0) -> None:
        self.timespan = timespan
        self.scheduler = TestScheduler()

    def hot(
        self, diagram: str, values: Mapping[Any, Any] | None = None,
        error: Exception | None = None,
    ) -> Observable[Any]:  # fmt: skip
        """Give a source that goes on whether somebody listens or not."""
        return reactivex.hot(
            diagram, self.timespan, lookup=values, error=error, scheduler=self.scheduler
        )

    def cold(
        self, diagram: str, values: Mapping[Any, Any] | None = None,
        error: Exception | None = None,
    ) -> Observable[Any]:  # fmt: skip
        """Give a source that begins anew for each who listens."""
        return reactivex.from_marbles(
            diagram, self.timespan, lookup=values, error=error, scheduler=self.scheduler
        )

    def recorded(self, changes: Iterable[Change]) -> Observable[Change]:
        """Give a source of recorded changes, as of `cache.history()`, each at its time.

        The first comes at once, the end with the last one.
        """
        kept = list(changes)
        times = [wall_ms_of(change.stamp) / 1000 for change in kept]

        def subscribe(
            observer: ObserverBase[Change], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            del scheduler

            def give(number: int) -> DisposableBase:
                if number == len(kept):
                    observer.on_completed()
                    return Disposable()
                wait = max(0.0, times[number] - times[max(0, number - 1)])

                def due(scheduler: SchedulerBase, state: object) -> None:
                    del scheduler, state
                    observer.on_next(kept[number])
                    coming.disposable = give(number + 1)

                return self.scheduler.schedule_relative(wait, due)

            coming = SerialDisposable()
            coming.disposable = give(0)
            return coming

        return Observable(subscribe)

    def rerun(
        self, changes: Iterable[Change], chain: Callable[[Observable[Change]], Observable[T]]
    ) -> list[T]:
        """Run a pipeline over recorded changes as if they came now; give what comes out of it.

        Raises:
            Exception: what the pipeline ended with.
        """
        kept = list(changes)
        span = wall_ms_of(kept[-1].stamp) - wall_ms_of(kept[0].stamp) if kept else 0
        until = self.scheduler.clock + max(0, span) / 1000 + UNTIL_S
        messages = self.seen(chain(self.recorded(kept)), until=until)
        for message in messages:
            if message.kind == ERROR:
                raise message.value
        return [message.value for message in messages if message.kind == NEXT]

    def play(
        self, diagram: str, action: Callable[[Any], object],
        values: Mapping[Any, Any] | None = None,
    ) -> None:  # fmt: skip
        """Call a function with each value of a diagram at its time, for what is no Observable.

        Raises:
            ValueError: the diagram has an end or an error.
        """
        for at, notification in parse(diagram, self.timespan, 0.0, values):
            if not isinstance(notification, OnNext):
                raise ValueError(f"{diagram!r} has something that is no value")
            self._at(at, action, _message(at, notification).value)

    def _at(self, at: Any, action: Callable[[Any], object], value: Any) -> None:
        def act(scheduler: SchedulerBase, state: Any = None) -> None:
            action(value)

        self.scheduler.schedule_absolute(at, act)

    def cache(self, *args: Any, **options: Any) -> FakeCache:
        """Give a FakeCache; drive it by :meth:`play`, and expect what its events come to."""
        return FakeCache(*args, **options)

    def seen(self, source: Observable[Any], *, until: float = UNTIL_S) -> list[Message]:
        """Subscribe now, let time go on to `until` seconds, and give what came out."""
        found: list[Message] = []

        def note(kind: str, value: Any = None) -> None:
            found.append(Message(round(self.scheduler.clock, 6), kind, value))

        subscription = source.subscribe(
            lambda value: note(NEXT, value), lambda error: note(ERROR, error),
            lambda: note(COMPLETED), scheduler=self.scheduler,
        )  # fmt: skip
        self.scheduler.advance_to(until)
        subscription.dispose()
        return found

    def expect(
        self, source: Observable[Any], diagram: str, values: Mapping[Any, Any] | None = None,
        error: Exception | None = None, *, until: float = UNTIL_S,
    ) -> None:  # fmt: skip
        """Check that a source comes to a diagram.

        Errors are the same when they have one type and, if `error` is given, one text.

        Raises:
            AssertionError: it came to something else; says both.
        """
        wanted = [_message(at, n) for at, n in parse(diagram, self.timespan, 0.0, values, error)]
        found = self.seen(source, until=until)
        if [_comparable(m, error) for m in found] != [_comparable(m, error) for m in wanted]:
            raise AssertionError(
                f"{diagram!r} did not come out\n  wanted: {_told(wanted)}\n  seen:   {_told(found)}"
            )

    def __repr__(self) -> str:
        return f"<Marbles at {self.scheduler.clock:g} s>"


def _message(at: Any, notification: Notification[Any]) -> Message:
    at = round(float(at), 6)
    if isinstance(notification, OnNext):
        return Message(at, NEXT, notification.value)
    if isinstance(notification, OnError):
        return Message(at, ERROR, notification.exception)
    return Message(at, COMPLETED)


def _comparable(message: Message, error: Exception | None) -> Message:
    if message.kind != ERROR:
        return message
    if error is None:
        return message._replace(value=None)
    return message._replace(value=(type(message.value), str(message.value)))


def _told(messages: list[Message]) -> str:
    told = [f"{m.at:g}s {m.kind}{'' if m.kind == COMPLETED else f' {m.value!r}'}" for m in messages]
    return ", ".join(told) or "nothing"
