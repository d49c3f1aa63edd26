"""add: each item as one new value of a cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import operators as ops

from rxfero.operators.attempts import made
from rxfero.operators.checks import Asker, able, content_of, optional, value_of
from rxfero.ports import CacheLike, GuaranteeLike


def add(
    cache: CacheLike,
    key: Callable[[Any], Any] | None = None,
    value: Callable[[Any], Any] | None = None,
) -> Asker:
    """Add one value an item; give the guarantees, one an item. Their reply is the id.

        a ------- b ------->
            add(cache)
        g(1=a) -- g(2=b) -->

    Args:
        cache: The cache to write into.
        key: A function of the item that gives the key; without it each value gets the next free
            integer.
        value: A function of the item that gives the value; else it is the item, and the value of a
            change. With `key`, it is also the second of a (key, value) pair.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    write = able("add.cache", cache, "add").add
    where = optional("add.key", key)
    what = optional("add.value", value) or (content_of if where is None else value_of)

    def added(item: Any) -> GuaranteeLike:
        if where is None:
            return made(write, what(item))
        return made(write, where(item), what(item))

    return ops.map(added)
