"""The attempts: how a guarantee's request is made again, known as long as the guarantee is.

The operators that write or send remember it; `await_reply(retries=...)` asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from rxfero.ports import GuaranteeLike

_again: WeakKeyDictionary[GuaranteeLike, Callable[[], GuaranteeLike]] = WeakKeyDictionary()


def made(make: Callable[..., GuaranteeLike], *args: Any) -> GuaranteeLike:
    """Make a request, and remember how."""
    guarantee = make(*args)
    _again[guarantee] = lambda: made(make, *args)
    return guarantee


def again(guarantee: GuaranteeLike) -> Callable[[], GuaranteeLike] | None:
    """Give what makes the request of a guarantee again; None when that is not known."""
    return _again.get(guarantee)
