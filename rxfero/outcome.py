"""The outcome: the error that an owner's answer stands for."""

from __future__ import annotations

from typing import Any

from rxfero.core import call as status
from rxfero.core.call import DURABLE
from rxfero.errors import (
    CompareFailed,
    KeyMissing,
    MethodNotAllowed,
    NoQuorum,
    NotDurable,
    NotReplicated,
    Refused,
    RemoteError,
    RxferoError,
    WrongType,
)


def refused(code: int, what: str, detail: Any, path: Any, offset: Any) -> RxferoError:
    """Give the error of an answer that is not OK.

    Args:
        code: Its status, of :mod:`rxfero.core.call`.
        what: The request, as a sentence names it.
        detail: What came with the answer.
        path, offset: Of the request; of the write that was committed after all.
    """
    if code == status.NO_QUORUM:
        heard, need = detail
        return NoQuorum(f"{what}: {heard} voters can be reached, {need} are a majority")
    if code == status.NOT_REPLICATED:
        wanted, got = detail
        if wanted < DURABLE:
            return NotDurable(DURABLE - wanted, got, offset)
        return NotReplicated(wanted, got, offset)
    if code == status.COMPARE:
        return CompareFailed(*detail)
    if code == status.MISSING:
        return KeyMissing(path)
    if code == status.WRONG:
        return WrongType(str(detail))
    if code == status.NOT_ALLOWED:
        return MethodNotAllowed(str(detail))
    if code == status.FAILED:
        return RemoteError(*detail)
    return Refused(f"{what}: {detail}" if detail is not None else f"{what} was refused")
