"""send: each item as one message to a service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import operators as ops

from rxfero.errors import ConfigurationError
from rxfero.operators.attempts import made
from rxfero.operators.checks import Operator, able, content_of, optional
from rxfero.ports import CacheLike, GuaranteeLike


def send(
    cache: CacheLike,
    type: str | Callable[[Any], str] = "message",
    key: Any = None,
    value: Callable[[Any], Any] | None = None,
) -> Operator:
    """Send one message an item; give the guarantees, one an item.

        a ------ b ------>
            send(emails, type="approve")
        g(a) --- g(b) --->

    Args:
        cache: The service to send to.
        type: The message's verb, or a function of the item that gives it.
        key: The message's key, or a function of the item that gives it: its owner will handle the
            message. None: any server.
        value: A function of the item that gives the message's value; else it is the item, and the
            value of a change.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    peers = able("send.cache", getattr(cache, "peers", None), "send")
    verbs: Any = type
    if not callable(verbs) and (not isinstance(verbs, str) or not 0 < len(verbs) <= 255):
        raise ConfigurationError("send.type", type, "must be text of 1 to 255 characters")
    content = optional("send.value", value) or content_of

    def message(item: Any) -> GuaranteeLike:
        verb = type(item) if callable(type) else type
        where = key(item) if callable(key) else key
        return made(peers.send, {"type": verb, "key": where, "value": content(item)})

    return ops.map(message)
