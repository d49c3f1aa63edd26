"""remove: each item as one removal from a cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reactivex import operators as ops

from rxfero.core.change import Change
from rxfero.operators.attempts import made
from rxfero.operators.checks import Asker, able, is_pair, key_of, optional
from rxfero.ports import CacheLike, GuaranteeLike


def remove(cache: CacheLike, key: Callable[[Any], Any] | None = None) -> Asker:
    """Remove one key an item; give the guarantees, one an item.

        a -------- b -------->
            remove(cache)
        g(-a) ---- g(-b) ---->

    Args:
        cache: The cache to remove from.
        key: A function of the item that gives the key; else it is the key of a change, the first of
            a (key, value) pair, or an item that is neither. (So a path of two steps needs `key`.)

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    write = able("remove.cache", cache, "remove").remove
    where = optional("remove.key", key) or _key

    def removed(item: Any) -> GuaranteeLike:
        return made(write, where(item))

    return ops.map(removed)


def _key(item: Any) -> Any:
    return key_of(item) if isinstance(item, Change | Mapping) or is_pair(item) else item
