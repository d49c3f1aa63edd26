"""resume: the changes of a service from where a checkpoint left off."""

from __future__ import annotations

from typing import Any

import reactivex
from reactivex import Observable
from reactivex.abc import SchedulerBase

from rxfero.core.change import Change
from rxfero.operators.checks import able
from rxfero.operators.saved import Counted, place
from rxfero.ports import CacheLike


def resume(source: CacheLike, cache: CacheLike, name: str | int) -> Observable[Change]:
    """Give the changes of `source` that the checkpoint `name` in `cache` has not counted yet.

        users: 1 - 2 - 3 - 4 - 5 --->     (2 is the last that was counted)
            resume(users, totals, "sum")
        3 4 5 ---------------------->

    It begins a chain that ends in :func:`checkpoint`, and is read anew with each subscription, so
    :func:`supervise` below restarts at the last checkpoint. Without a record it begins with the
    first change. Where the history does not reach back that far, `source` tells `reset`, and its
    state comes as changes; those that were counted are still left out.

    Args:
        source: The service to follow.
        cache: The cache that holds the checkpoint.
        name: The checkpoint's key.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    able("resume.source", source, "on")
    key = place("resume", cache, name)

    def begun(scheduler: SchedulerBase) -> Observable[Any]:
        del scheduler
        return source.on("change", since=Counted(key, cache.get(key)).position())

    def from_there(live: Observable[Any]) -> Observable[Any]:
        del live
        return reactivex.defer(begun)

    # By way of `on`, so that the operators of time below run on the loop of `source`.
    return source.on("change").pipe(from_there)
