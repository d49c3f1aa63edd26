"""update: each item as one write into a cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import operators as ops

from rxfero.operators.attempts import made
from rxfero.operators.checks import Asker, able, key_of, optional, value_of
from rxfero.ports import CacheLike, GuaranteeLike


def update(
    cache: CacheLike,
    key: Callable[[Any], Any] | None = None,
    value: Callable[[Any], Any] | None = None,
) -> Asker:
    """Set one value an item; give the guarantees, one an item.

        (k, 1) ---- (k, 2) ---->
            update(cache)
        g(k=1) ---- g(k=2) ---->

    Args:
        cache: The cache to write into.
        key: A function of the item that gives the key; else it is the first of a (key, value) pair,
            or the key of a change.
        value: A function of the item that gives the value; else it is the second of a pair, the
            value of a change, or an item that is neither.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    write = able("update.cache", cache, "update").update
    where = optional("update.key", key) or key_of
    what = optional("update.value", value) or value_of

    def updated(item: Any) -> GuaranteeLike:
        return made(write, where(item), what(item))

    return ops.map(updated)
