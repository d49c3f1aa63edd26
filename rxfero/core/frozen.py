"""The frozen: read-only dicts and lists, as readers of the state hold them.

Both are equal to plain ones with the same items and are dicts and lists wherever one is asked for
(``isinstance``, ``json``, pattern matching), but every method that would change them raises
TypeError and says what to do instead. It keeps mistakes out, not attacks: ``dict.__setitem__`` goes
round it, and the state does just that.

The module knows no values, packing or state.
"""

from __future__ import annotations

from typing import Any, NoReturn, cast


def _frozen(self: object, *_: object, **__: object) -> NoReturn:
    raise TypeError(
        "this is a read-only snapshot of the state: change it through the cache "
        "(cache.update(...)), or take .copy() and change that"
    )


class FrozenDict(dict[Any, Any]):
    """A dict that cannot be changed; equal to a plain dict with the same items.

    :meth:`copy`, `copy.copy`, `copy.deepcopy` and `pickle` give plain dicts, deeply.

    Attributes:
        shared: Copy on write, for the state alone: whether a reader may hold this object, so that
            the next write to it has to change a copy. False until somebody sets it.
    """

    __slots__ = ("shared",)

    shared: bool

    # Decoding makes thousands of these, so they have no __init__ of their own (2 times slower):
    # the mark is set when it is first asked for.
    def __getattr__(self, name: str) -> bool:
        if name == "shared":
            self.shared = False
            return False
        raise AttributeError(f"'FrozenDict' object has no attribute {name!r}")

    __setitem__ = __delitem__ = __ior__ = _frozen  # type: ignore[assignment]
    clear = pop = popitem = setdefault = update = _frozen  # type: ignore[assignment]

    def copy(self) -> dict[Any, Any]:
        """Give a plain dict, deeply: everything in it can be changed."""
        return {key: thaw(value) for key, value in self.items()}

    def __copy__(self) -> dict[Any, Any]:
        return self.copy()

    def __deepcopy__(self, memo: object) -> dict[Any, Any]:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, (self.copy(),))


class FrozenList(list[Any]):
    """A list that cannot be changed; equal to a plain list with the same items.

    :meth:`copy`, `copy.copy`, `copy.deepcopy` and `pickle` give plain lists, deeply.

    Attributes:
        shared: As of :class:`FrozenDict`.
    """

    __slots__ = ("shared",)

    shared: bool

    def __getattr__(self, name: str) -> bool:
        if name == "shared":
            self.shared = False
            return False
        raise AttributeError(f"'FrozenList' object has no attribute {name!r}")

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _frozen  # type: ignore[assignment]
    append = extend = insert = pop = remove = clear = sort = reverse = _frozen  # type: ignore[assignment]

    def copy(self) -> list[Any]:
        """Give a plain list, deeply: everything in it can be changed."""
        return [thaw(value) for value in self]

    def __copy__(self) -> list[Any]:
        return self.copy()

    def __deepcopy__(self, memo: object) -> list[Any]:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return (list, (self.copy(),))


def thaw(value: Any) -> Any:
    """Give a plain copy of a value, deeply: everything in it can be changed."""
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [thaw(item) for item in cast("list[Any]", value)]
    return value
