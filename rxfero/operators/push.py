"""push: each item as one new element of a list in a cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import operators as ops

from rxfero.operators.attempts import made
from rxfero.operators.checks import Asker, able, key_of, optional, value_of
from rxfero.ports import CacheLike, GuaranteeLike


def push(
    cache: CacheLike,
    key: Callable[[Any], Any] | None = None,
    value: Callable[[Any], Any] | None = None,
) -> Asker:
    """Append one value an item; give the guarantees, one an item.

        (k, 1) ------ (k, 2) --------->
            push(cache)
        g(k=[1]) ---- g(k=[1, 2]) ---->

    Args:
        cache: The cache to write into.
        key: A function of the item that gives the list's key; else it is the first of a (key,
            value) pair, or the key of a change.
        value: A function of the item that gives the value; else it is the second of a pair, the
            value of a change, or an item that is neither.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    write = able("push.cache", cache, "push").push
    where = optional("push.key", key) or key_of
    what = optional("push.value", value) or value_of

    def pushed(item: Any) -> GuaranteeLike:
        return made(write, where(item), what(item))

    return ops.map(pushed)
