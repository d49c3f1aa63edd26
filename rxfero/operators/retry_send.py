"""retry_send: each item as one message, sent again until it is answered or given up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxfero.errors import ConfigurationError
from rxfero.operators.attempts import awaited, may_retry
from rxfero.operators.checks import MOST, Operator, seconds, share, some_seconds, whole
from rxfero.operators.gate import Gate
from rxfero.operators.line import Line, Place
from rxfero.operators.messages import sender
from rxfero.operators.pressure import felt
from rxfero.ports import CacheLike, GuaranteeLike


class DeadLetter(NamedTuple):
    """An item that was given up: its last error, and how often it was sent."""

    item: Any
    error: Exception
    attempts: int


def retry_send(
    cache: CacheLike,
    type: str | Callable[[Any], str] = "message",
    key: Any = None,
    value: Callable[[Any], Any] | None = None,
    *,
    retries: int = 5,
    base: float = 0.1,
    cap: float = 10.0,
    jitter: float = 0.1,
    timeout: float | None = None,
    window: int = 1000,
    waiting: int | None = MOST,
    dead: ObserverBase[Any] | Callable[[DeadLetter], object] | None = None,
) -> Operator:
    """Send one message an item, again and later each time it fails; give the answers in order.

        a ----- b --------------------------->
            retry_send(emails, retries=1, dead=letters)
        -- r(a) ---- x - (base) x ----------->
        letters: -------------- DeadLetter(b) ->

    Sent again after a timeout, and after an error whose `retry` is true: a message that timed out
    may have been handled, so handlers should not mind doing it twice. What is given up goes to
    `dead`, and the stream goes on; without `dead` its error goes down `on_error` at its turn.

    Args:
        cache, type, key, value: As of :func:`send`.
        retries: So often an item is sent again.
        base: Seconds before the second attempt; each further wait is twice as long.
        cap: Seconds that no wait exceeds; at least `base`.
        jitter: The share of each wait, 0 to 1, that is left to chance.
        timeout: Seconds for each attempt; None leaves it to `constants.requests.timeout`.
        window: So many items are unanswered at a time; further ones wait.
        waiting: So many items may wait; one more fails with Overloaded. None: any number.
        dead: An observer (such as a Subject) or a function, given a :class:`DeadLetter` each time.

    Raises:
        ConfigurationError: an argument is of the wrong type or range.
    """
    message = sender("retry_send", cache, type, key, value)
    again = whole("retry_send.retries", retries, 0)
    first, most = some_seconds("retry_send.base", base), some_seconds("retry_send.cap", cap)
    if most < first:
        raise ConfigurationError("retry_send.cap", cap, f"must be at least base, {base} s")
    chance = share("retry_send.jitter", jitter)
    limit = seconds("retry_send.timeout", timeout)
    room = whole("retry_send.window", window, 1)
    queue = None if waiting is None else whole("retry_send.waiting", waiting, 0)
    if dead is not None and not callable(getattr(dead, "on_next", dead)):
        raise ConfigurationError("retry_send.dead", dead, "must be an observer or a function")
    bury = cast("Callable[[DeadLetter], object] | None", getattr(dead, "on_next", dead))

    def wait(attempts: int) -> float:
        return min(most, first * 2 ** min(attempts - 1, 64)) * (1 - chance * random.random())

    def sent(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            clock = scheduler or AsyncIOScheduler(asyncio.get_running_loop())
            line, letters = Line(observer), CompositeDisposable()

            def begin(item: Any) -> None:
                letter = _Letter(item, line.enter(), again, limit)
                letters.add(letter.watch)

                def over(error: Exception | None) -> None:
                    letters.remove(letter.watch)
                    try:
                        if error is not None and bury is not None:
                            bury(DeadLetter(item, error, letter.attempts))
                            error = None
                        line.leave(letter.place, error)
                    finally:
                        gate.leave()
                        rest()

                letter.post(message, line, clock, wait, over)

            gate = Gate(room, queue, begin, "retry_send.waiting")
            ended = False

            def take(item: Any) -> None:
                try:
                    gate.enter(item)
                except Exception as error:  # noqa: BLE001  (it goes down the chain)
                    observer.on_error(error)

            def end() -> None:
                nonlocal ended
                ended = True
                rest()

            def rest() -> None:
                if ended and not gate and not gate.count:
                    line.end()

            with felt(gate.valve):
                taken = source.subscribe(take, observer.on_error, end, scheduler=scheduler)
            return CompositeDisposable(taken, Disposable(gate.clear), letters)

        return Observable(subscribe)

    return sent


class _Letter:
    """An item on its way, and what it has come to so far."""

    def __init__(self, item: Any, place: Place, retries: int, timeout: float | None) -> None:
        self.item, self.place = item, place
        self._retries, self._timeout = retries, timeout
        self.attempts = 0
        self._answers, self._timer = SerialDisposable(), SerialDisposable()
        self.watch = CompositeDisposable(self._answers, self._timer)

    def post(
        self,
        message: Callable[[Any], GuaranteeLike],
        line: Line,
        clock: SchedulerBase,
        wait: Callable[[int], float],
        over: Callable[[Exception | None], None],
    ) -> None:
        def attempt(scheduler: SchedulerBase | None = None, state: object = None) -> None:
            del scheduler, state
            self.attempts += 1
            try:
                guarantee = message(self.item)
                awaited(guarantee)
                if self._timeout is not None:
                    guarantee.timeout(self._timeout)
                answers = guarantee.on("reply")
            except Exception as error:  # noqa: BLE001  (the failure of this item)
                failed(error)
                return
            self._answers.disposable = answers.subscribe(
                lambda answer: line.give(self.place, answer), failed, lambda: over(None)
            )

        def failed(error: Exception) -> None:
            if self.attempts > self._retries or self.place.used or not may_retry(error):
                over(error)
            else:
                self._timer.disposable = clock.schedule_relative(wait(self.attempts), attempt)

        attempt()
