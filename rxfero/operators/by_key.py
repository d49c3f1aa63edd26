"""by_key: one stream for each top-level key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable
from reactivex import operators as ops
from reactivex.observable import GroupedObservable

from rxfero.core.path import Path
from rxfero.operators.checks import T, key_of


def by_key() -> Callable[[Observable[T]], Observable[GroupedObservable[Any, T]]]:
    """Give one Observable for each top-level key, with that as its `key`.

        a1 ---- b1 ---- a2 ---->
            by_key()
        a: a1 --------- a2 ---->
        b: ---- b1 ------------>

    A group stays until the source ends: for keys without number, group by something coarser.
    """

    def top(item: Any) -> Any:
        return Path.parse(key_of(item))[0]

    return ops.group_by(top)
