"""isolate: operators of which single items may fail, and the stream goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast, overload

import reactivex
from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from rxfero.errors import ConfigurationError
from rxfero.operators.checks import Operator, T
from rxfero.operators.pressure import felt, unfelt, valves_below
from rxfero.operators.reports import report

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
Tell = Callable[["Isolated"], object]


class Isolated(NamedTuple):
    """An item that failed. `item` is None where the failure came later than the item."""

    error: Exception
    item: Any


@overload
def isolate(
    first: Callable[[Observable[T]], Observable[A]], /, *,
    errors: ObserverBase[Any] | Tell | None = None,
) -> Callable[[Observable[T]], Observable[A]]: ...
@overload
def isolate(
    first: Callable[[Observable[T]], Observable[A]],
    second: Callable[[Observable[A]], Observable[B]], /, *,
    errors: ObserverBase[Any] | Tell | None = None,
) -> Callable[[Observable[T]], Observable[B]]: ...
@overload
def isolate(
    first: Callable[[Observable[T]], Observable[A]],
    second: Callable[[Observable[A]], Observable[B]],
    third: Callable[[Observable[B]], Observable[C]], /, *,
    errors: ObserverBase[Any] | Tell | None = None,
) -> Callable[[Observable[T]], Observable[C]]: ...
@overload
def isolate(*operators: Operator, errors: ObserverBase[Any] | Tell | None = None) -> Operator: ...
def isolate(*operators: Operator, errors: ObserverBase[Any] | Tell | None = None) -> Operator:
    """Apply operators; an item that makes one fail goes to `errors`, and the stream goes on.

        1 ---- x ---- 3 ------>
            isolate(ops.map(int), errors=failed)
        1 ----------- 3 ------>
        failed: x ------------>

    Each operator is isolated by itself. RxPY's map and filter and all of rxfero's operators
    (count_by, send, await_commit, map_async) keep their memory and what they have in flight. One
    that ends itself when it fails (RxPY's scan and flat_map do) begins anew with the next item, as
    if just subscribed: fold with :func:`fold_by` instead.

    Errors of the source and errors raised below the isolated operators are passed on as always.

    Args:
        operators: What may fail; a function goes in as ``ops.map(function)``.
        errors: An observer (such as a Subject) or a function, given an :class:`Isolated` for each
            failure. None: they go to the cache's `error`, and without a cache to the log.

    Raises:
        ConfigurationError: no operator, or an argument is of the wrong type.
    """
    if not operators:
        raise ConfigurationError("isolate.operators", operators, "takes at least one operator")
    if errors is not None and not callable(getattr(errors, "on_next", errors)):
        raise ConfigurationError("isolate.errors", errors, "must be an observer or a function")
    tell = cast("Tell | None", getattr(errors, "on_next", errors))
    for operator in operators:
        _check(operator)

    def isolated(source: Observable[Any]) -> Observable[Any]:
        for operator in operators:
            source = _apart(source, operator, tell)
        return source

    return isolated


def _check(operator: Any) -> None:
    hint = "must be an operator; a function goes in as ops.map(function)"
    try:
        made = operator(reactivex.never())
    except Exception as error:
        raise ConfigurationError("isolate.operators", operator, hint) from error
    if not isinstance(made, Observable):
        raise ConfigurationError("isolate.operators", operator, hint)


def _apart(source: Observable[Any], operator: Operator, tell: Tell | None) -> Observable[Any]:
    def subscribe(
        observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
    ) -> DisposableBase:
        cell = _Cell(operator, observer, scheduler, tell)
        cell.start()
        with unfelt(), felt(*cell.valves):
            fed = source.subscribe(cell.feed, cell.fail, cell.end, scheduler=scheduler)
        return CompositeDisposable(fed, cell.running)

    return Observable(subscribe)


class _Cell(ObserverBase[Any]):
    """One operator between its source and its observer.

    It observes the operator without the observer that RxPY puts between, which would end at the
    first error.
    """

    def __init__(
        self,
        operator: Operator,
        below: ObserverBase[Any],
        scheduler: SchedulerBase | None,
        tell: Tell | None,
    ) -> None:
        self._operator, self._below = operator, below
        self._scheduler, self._tell = scheduler, tell
        self._inputs: tuple[ObserverBase[Any], ...] = ()
        self._failed = self._source_failed = False
        self._item: Any = None
        self._passing: Exception | None = None
        self.running = SerialDisposable()
        self.valves = valves_below()

    def start(self) -> None:
        """Subscribe to the operator, for the first time or anew."""
        self._inputs = ()
        made = self._operator(Observable(self._plugged))
        core = made._subscribe_core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self.running.disposable = core(self, self._scheduler)

    def _plugged(
        self, observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
    ) -> DisposableBase:
        del scheduler
        self._inputs = (*self._inputs, observer)
        self.valves = valves_below()

        def unplug() -> None:
            self._inputs = tuple(o for o in self._inputs if o is not observer)

        return Disposable(unplug)

    # --- told by the source

    def feed(self, item: Any) -> None:
        """Take an item of the source."""
        if self._failed:
            self._failed = False
            if not self._inputs:
                self.start()
        outer, self._item, self._passing = self._item, item, None
        try:
            for observer in self._inputs:
                observer.on_next(item)
        except Exception as error:
            if self._passing is not None:
                raise
            self.on_error(error)
        finally:
            self._item = outer

    def fail(self, error: Exception) -> None:
        """Take the source's own error."""
        self._source_failed = True
        for observer in self._inputs or (self._below,):
            observer.on_error(error)

    def end(self) -> None:
        """Take the source's end."""
        for observer in self._inputs or (self._below,):
            observer.on_completed()

    # --- told by the operator

    def on_next(self, value: Any) -> None:
        try:
            self._below.on_next(value)
        except Exception as error:
            self._passing = error
            raise

    def on_error(self, error: Exception) -> None:
        if self._source_failed:
            self._below.on_error(error)
            return
        if error is self._passing:
            raise error
        self._failed = True
        if self._tell is None:
            report(self._scheduler, error, "an isolated operator", self._item)
        else:
            self._tell(Isolated(error, self._item))

    def on_completed(self) -> None:
        self._below.on_completed()
