"""The reports: where an error goes that no subscriber is there to take.

A chain's scheduler may be one that can tell of errors (that of a cache's events is: they are its
`error`). Where it is not, the error is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from reactivex.abc import SchedulerBase

from rxfero.ports import Reporter

log = logging.getLogger("rxfero")


def report(scheduler: SchedulerBase | None, error: Exception, context: str, item: Any) -> None:
    """Tell of an error, and of the item it is about."""
    if isinstance(scheduler, Reporter):
        scheduler.report(error, context, item)
    else:
        log.error("%s: %r", context, item, exc_info=error)


def guarded(scheduler: SchedulerBase | None, context: str, give: Callable[[], None]) -> None:
    """Call observers from outside an emission: what they raise is told."""
    try:
        give()
    except Exception as error:  # noqa: BLE001  (there is nobody to raise it to)
        report(scheduler, error, context, None)
