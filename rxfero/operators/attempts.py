"""The attempts: how a guarantee's request is made again, known as long as the guarantee is.

The operators that write or send remember it; those that retry ask for it. Those that await a
guarantee say so, so that nobody else tells of its failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from rxfero.errors import RxferoError
from rxfero.ports import GuaranteeLike

_again: WeakKeyDictionary[GuaranteeLike, Callable[[], GuaranteeLike]] = WeakKeyDictionary()
_awaited: WeakKeyDictionary[GuaranteeLike, None] = WeakKeyDictionary()


def made(make: Callable[..., GuaranteeLike], *args: Any) -> GuaranteeLike:
    """Make a request, and remember how."""
    guarantee = make(*args)
    _again[guarantee] = lambda: made(make, *args)
    return guarantee


def again(guarantee: GuaranteeLike) -> Callable[[], GuaranteeLike] | None:
    """Give what makes the request of a guarantee again; None when that is not known."""
    return _again.get(guarantee)


def may_retry(error: Exception) -> bool:
    """Whether making a request again may help."""
    return isinstance(error, TimeoutError) or (isinstance(error, RxferoError) and error.retry)


def awaited(guarantee: GuaranteeLike) -> None:
    """Know that an operator takes what a guarantee comes to."""
    _awaited[guarantee] = None


def is_awaited(guarantee: GuaranteeLike) -> bool:
    """Whether an operator takes what a guarantee comes to."""
    return guarantee in _awaited
