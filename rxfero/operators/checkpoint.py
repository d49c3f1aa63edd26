"""checkpoint: a value folded from changes, kept together with how far it has come."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, SerialDisposable

from rxfero.core.change import Change
from rxfero.errors import ValueRefused
from rxfero.operators.attempts import awaited
from rxfero.operators.checks import function
from rxfero.operators.saved import Counted, place, record
from rxfero.ports import CacheLike, Level

V = TypeVar("V")


def checkpoint(
    cache: CacheLike,
    name: str | int,
    fn: Callable[[V, Change], V],
    seed: V,
    *,
    ack: Level | None = None,
) -> Callable[[Observable[Change]], Observable[V]]:
    """Fold changes into one value; commit it and the offsets of its inputs in one record.

        1 -- 2 3 4 -- 5 ---------------->
            checkpoint(totals, "sum", add, 0)
        ---- 1 ------ 10 --- 15 -------->     (each given once it is committed)

    Killed at any point and begun anew by :func:`resume`, each change counts once: the record says
    which were counted, and a change that was is left out, also when a split that has healed brings
    it again in another place of the log. One write is on its way at a time, what
    comes meanwhile is folded and committed together. A write counts only if the record is still the
    one that was read or written last. So of two that run at once, or of one and what a dead process
    had sent, one fails, with CompareFailed: put :func:`supervise` below, which reads again. Not for
    use inside :func:`isolate`: a write that failed must not be passed over.

    Changes of one shard come in their order, those of several in any: `fn` should not mind, as sums
    and folds by key do not.

    Args:
        cache: Where the record is kept.
        name: Its top-level key. ``cache[name]["value"]`` is the value.
        fn: Gives the next value, of (value so far, change). What it is given may be read-only: it
            gives a new one.
        seed: The value before the first change.
        ack: What each commit waits for, as of `cache.update`. None: the commit. What is lost
            later is lost together, value and offsets.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    key = place("checkpoint", cache, name)
    function("checkpoint.fn", fn)

    def checkpointed(source: Observable[Change]) -> Observable[V]:
        def subscribe(
            observer: ObserverBase[V], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            try:
                fold = _Fold(cache, key, fn, copy.deepcopy(seed), ack, observer)
            except ValueRefused as error:
                observer.on_error(error)
                return CompositeDisposable()
            taken = source.subscribe(fold.take, fold.fail, fold.end, scheduler=scheduler)
            return CompositeDisposable(taken, fold.write)

        return Observable(subscribe)

    return checkpointed


class _Fold:
    """The value of one subscription, and what of it is committed.

    Invariant: `_value` has in it exactly the changes that `_counted` has.
    """

    def __init__(
        self,
        cache: CacheLike,
        key: str | int,
        fn: Callable[[Any, Change], Any],
        seed: Any,
        ack: Any,
        observer: ObserverBase[Any],
    ) -> None:
        self._cache, self._key, self._fn, self._ack = cache, key, fn, ack
        self._observer = observer
        self._saved: Any = cache.get(key)
        self._counted = Counted(key, self._saved)
        self._value = seed if self._saved is None else self._saved["value"]
        self._changed = self._writing = self._ended = self._failed = False
        self.write = SerialDisposable()

    def take(self, change: Change) -> None:
        if self._failed:
            return
        if not isinstance(change, Change):  # pyright: ignore[reportUnnecessaryIsInstance]
            self.fail(ValueRefused("item", "checkpoint takes the changes of a cache"))
            return
        try:
            if not self._counted.take(change):
                return
            self._value = self._fn(self._value, change)
        except Exception as error:  # noqa: BLE001  (it goes down the chain)
            self.fail(error)
            return
        self._changed = True
        self._commit()

    def end(self) -> None:
        self._ended = True
        self._commit()

    def fail(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            self.write.dispose()
            self._observer.on_error(error)

    def _commit(self) -> None:
        if self._writing or self._failed:
            return
        if not self._changed:
            if self._ended:
                self._observer.on_completed()
            return
        self._writing, self._changed = True, False
        value = self._value
        try:
            # A copy: what stands there now must stay known also if `fn` changes its value in place.
            now = Change("update", self._key, record(value, self._counted)).value
            guarantee = self._cache.update((self._key,), now, expect=self._saved, ack=self._ack)
            awaited(guarantee)
            committed = guarantee.on("commit")
        except Exception as error:  # noqa: BLE001  (it goes down the chain)
            self.fail(error)
            return

        def done() -> None:
            self._saved, self._writing = now, False
            self._observer.on_next(now["value"])
            self._commit()

        self.write.disposable = committed.subscribe(lambda _: None, self.fail, done)
