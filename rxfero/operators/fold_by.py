"""fold_by: a running reduction for each key."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar, overload

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase

from rxfero.operators.checks import Operator, T, attribute, function

K = TypeVar("K")
S = TypeVar("S")


@overload
def fold_by(
    selector: Callable[[T], K], fn: Callable[[S, T], S], seed: S
) -> Callable[[Observable[T]], Observable[tuple[K, S]]]: ...
@overload
def fold_by(
    selector: str, fn: Callable[[S, Any], S], seed: S
) -> Callable[[Observable[Any]], Observable[tuple[Any, S]]]: ...
def fold_by(
    selector: str | Callable[[Any], Any], fn: Callable[[Any, Any], Any], seed: Any
) -> Operator:
    """Fold the items of each key; give (key, value so far), one an item.

        a1 ------ b5 ------ a2 ------>
            fold_by(key, add, 0)
        (a, 1) -- (b, 5) -- (a, 3) -->

    Every subscription folds from the seed. An item whose selector or `fn` raises changes nothing.
    All keys are kept.

    Args:
        selector: A function of the item that gives a hashable key; or an attribute's name.
        fn: Gives the next value, of (value so far, item).
        seed: The value before the first item of each key; each key gets a copy.

    Raises:
        ConfigurationError: an argument is not a function.
    """
    select = attribute("fold_by.selector", selector)
    function("fold_by.fn", fn)

    def fold(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            values: dict[Any, Any] = {}

            def on_next(item: Any) -> None:
                try:
                    key = select(item)
                    value = fn(values[key] if key in values else copy.deepcopy(seed), item)
                    values[key] = value
                except Exception as error:  # noqa: BLE001  (it goes down the chain)
                    observer.on_error(error)
                    return
                observer.on_next((key, value))

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return fold
