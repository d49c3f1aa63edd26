"""isolate: what fails goes aside, the stream goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from reactivex import Observable, create
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase

from rxfero.errors import ConfigurationError


class Failed(NamedTuple):
    """An item that could not be handled, and why."""

    error: Exception
    item: Any


def isolate(
    fn: Callable[[Any], Any], errors: Any = None
) -> Callable[[Observable[Any]], Observable[Any]]:
    """Map each item by a function; an item for which it raises goes to `errors` instead.

    ::

        --1----0----2---->
              isolate(lambda x: 1 / x, errors)
        --1.0-------0.5-->
        errors: ----Failed(ZeroDivisionError, 0)

    Args:
        fn: Function of the item.
        errors: Where :class:`Failed` go: a Subject (or anything with `on_next`), a function, or
            None to drop them.

    Raises:
        ConfigurationError: an argument does not fit. Told when the chain is built.
    """
    if not callable(fn):
        raise ConfigurationError("isolate.fn", fn, "must be a function of the item")
    tell: Callable[[Failed], Any]
    if errors is None:
        tell = _drop
    elif hasattr(errors, "on_next"):
        tell = errors.on_next
    elif callable(errors):
        tell = errors
    else:
        raise ConfigurationError("isolate.errors", errors, "must be a Subject or a function")

    def guard(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            def on_next(item: Any) -> None:
                try:
                    value = fn(item)
                except Exception as error:  # noqa: BLE001  (that is what this operator is for)
                    tell(Failed(error, item))
                    return
                observer.on_next(value)

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return create(subscribe)

    return guard


def _drop(failed: Failed) -> None:
    del failed
