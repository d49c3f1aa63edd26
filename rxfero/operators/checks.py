"""The checks: what operators ask of their arguments, when a chain is built and not when it runs.

Every refusal is a ConfigurationError that names the operator and the argument. Also here is how
items are read that may be a change, a message or a (key, value) pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from reactivex import Observable

from rxfero.core.change import Change
from rxfero.errors import ConfigurationError, ValueRefused
from rxfero.ports import GuaranteeLike

T = TypeVar("T")

MOST = 1_000_000  # items that wait in an operator, unless told otherwise
Operator = Callable[[Observable[Any]], Observable[Any]]
Same = Callable[[Observable[T]], Observable[T]]
Asker = Callable[[Observable[Any]], Observable[GuaranteeLike]]
Awaiter = Callable[[Observable[GuaranteeLike]], Observable[T]]
Selector = Callable[[Any], Any]


def function(option: str, value: Any) -> Any:
    """Give a function."""
    if not callable(value):
        raise ConfigurationError(option, value, "must be a function of the item")
    return value


def optional(option: str, value: Any) -> Any:
    """Give a function or None."""
    return None if value is None else function(option, value)


def attribute(option: str, value: Any) -> Selector:
    """Give a function of the item; text names an attribute, or a key of a dict."""
    if not isinstance(value, str):
        return cast("Selector", function(option, value))
    if not value:
        raise ConfigurationError(option, value, "must name an attribute")
    name = value

    def read(item: Any) -> Any:
        return item[name] if is_message(item) else getattr(item, name)

    return read


def seconds(option: str, value: Any) -> float | None:
    """Give seconds above 0, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ConfigurationError(option, value, "must be seconds > 0, or None")
    return value


def some_seconds(option: str, value: Any) -> float:
    """Give seconds above 0."""
    found = seconds(option, value)
    if found is None:
        raise ConfigurationError(option, value, "must be seconds > 0")
    return found


def share(option: str, value: Any) -> float:
    """Give a share, 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigurationError(option, value, "must be 0 to 1")
    return value


def whole(option: str, value: Any, least: int) -> int:
    """Give a whole number that is at least so much."""
    if type(value) is not int or value < least:
        raise ConfigurationError(option, value, f"must be a whole number >= {least}")
    return value


def able(option: str, value: Any, method: str) -> Any:
    """Give a cache, or what stands for one: it has the method that is needed."""
    if not callable(getattr(value, method, None)):
        hint = f"must be a cache, with a method {method}; `await fero(...)` gives one"
        raise ConfigurationError(option, value, hint)
    return value


def is_message(item: Any) -> bool:
    """Whether an item is a mapping, as messages are."""
    return isinstance(item, Mapping)


def is_pair(item: Any) -> bool:
    """Whether an item is a (key, value) pair."""
    return type(item) is tuple and len(cast("tuple[Any, ...]", item)) == 2


def key_of(item: Any) -> Any:
    """Give the key of a change, a message or a pair.

    Raises:
        ValueRefused: it is none of those.
    """
    if isinstance(item, Change):
        return item.key
    if is_message(item) and "key" in item:
        return item["key"]
    if is_pair(item):
        return item[0]
    kind = type(item).__name__
    raise ValueRefused("item", f"a {kind} is no change, message or (key, value) pair; give key=")


def value_of(item: Any) -> Any:
    """Give the value of a change or a pair; what is neither is a value itself."""
    if is_pair(item):
        return item[1]
    return content_of(item)


def content_of(item: Any) -> Any:
    """Give the value of a change; what is none is a value itself, also a pair."""
    return item.value if isinstance(item, Change) else item


def type_of(item: Any) -> Any:
    """Give the type of a change, a request or a message; None if it has none."""
    return item.get("type") if is_message(item) else getattr(item, "type", None)
