"""The messages: how the operators that send make one of an item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxfero.errors import ConfigurationError
from rxfero.operators.attempts import made
from rxfero.operators.checks import able, content_of, optional
from rxfero.ports import GuaranteeLike


def sender(
    name: str, cache: Any, type: Any, key: Any, value: Any
) -> Callable[[Any], GuaranteeLike]:
    """Give the function that sends an item; its arguments are those of :func:`send`.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    peers = able(f"{name}.cache", getattr(cache, "peers", None), "send")
    if not callable(type) and (not isinstance(type, str) or not 0 < len(type) <= 255):
        raise ConfigurationError(f"{name}.type", type, "must be text of 1 to 255 characters")
    content = optional(f"{name}.value", value) or content_of

    def message(item: Any) -> GuaranteeLike:
        verb = type(item) if callable(type) else type
        where = key(item) if callable(key) else key
        return made(peers.send, {"type": verb, "key": where, "value": content(item)})

    return message
