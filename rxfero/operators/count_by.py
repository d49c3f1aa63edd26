"""count_by: a running count for each key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from reactivex import Observable

from rxfero.operators.checks import Operator, T, attribute
from rxfero.operators.fold_by import K, fold_by


@overload
def count_by(
    selector: Callable[[T], K],
) -> Callable[[Observable[T]], Observable[tuple[K, int]]]: ...
@overload
def count_by(selector: str) -> Callable[[Observable[Any]], Observable[tuple[Any, int]]]: ...
def count_by(selector: str | Callable[[Any], Any]) -> Operator:
    """Count the items of each key; give (key, count so far), one an item.

        add ------- update ------- add ------->
            count_by("type")
        (add, 1) -- (update, 1) -- (add, 2) -->

    Every subscription counts from 1. An item whose selector raises is not counted. All keys are
    kept.

    Args:
        selector: A function of the item that gives a hashable key; or an attribute's name.

    Raises:
        ConfigurationError: the selector is neither.
    """
    return fold_by(attribute("count_by.selector", selector), lambda count, _: count + 1, 0)
