"""The selectors: how operators read a part of an item, checked when the chain is built."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, itemgetter
from typing import Any

from rxfero.errors import ConfigurationError

FIRST: Callable[[Any], Any] = itemgetter(0)
SECOND: Callable[[Any], Any] = itemgetter(1)


def selector_of(operator: str, argument: str, selector: Any) -> Callable[[Any], Any]:
    """Give the function that an argument stands for: itself, or of an attribute's name.

    Raises:
        ConfigurationError: it is neither; names the operator and the argument.
    """
    if isinstance(selector, str) and selector:
        return attrgetter(selector)
    if callable(selector):
        return selector
    raise ConfigurationError(
        f"{operator}.{argument}", selector, "must be a function of the item, or an attribute's name"
    )


def function_or(
    operator: str, argument: str, given: Any, default: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """Give an optional function argument, or its default.

    Raises:
        ConfigurationError: it is given and no function.
    """
    if given is None:
        return default
    if callable(given):
        return given
    raise ConfigurationError(f"{operator}.{argument}", given, "must be a function of the item")


def cache_of(operator: str, cache: Any, *needed: str) -> Any:
    """Check that something has the methods of a cache that an operator needs.

    Raises:
        ConfigurationError: it lacks one; names it.
    """
    for name in needed:
        if not hasattr(cache, name):
            raise ConfigurationError(f"{operator}.cache", cache, f"must be a cache: no {name!r}")
    return cache
