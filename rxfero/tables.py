"""The tables: a cache's state and its history as data frames and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from rxfero.cache import Cache
from rxfero.core.change import Change
from rxfero.extras import wanted
from rxfero.markup import colours

BINS = 60  # of a plot


def state_frame(cache: Cache) -> Any:
    """Give the state as a pandas DataFrame: a row a key; the fields of dicts are columns.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    pandas = wanted("pandas", "frames", "to_frame")
    keys = sorted(cache, key=str)
    rows = [_fields(cache.get(key)) for key in keys]
    return pandas.DataFrame(rows, index=pandas.Index(keys, name="key"))


def _fields(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(name): item for name, item in cast("Mapping[Any, Any]", value).items()}
    return {"value": value}


def history_frame(changes: Sequence[Change]) -> Any:
    """Give changes as a pandas DataFrame: time, type, key, value, shard and number.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    pandas = wanted("pandas", "frames", "to_frame")
    rows = [
        (
            change.time, change.type, str(change.key), change.value,
            change.offset.shard if change.offset else None,
            change.offset.number if change.offset else None,
        )
        for change in changes
    ]  # fmt: skip
    return pandas.DataFrame(rows, columns=["time", "type", "key", "value", "shard", "number"])


def plot(changes: Sequence[Change], axes: Any = None) -> Any:
    """Plot how many changes came when, by type; gives the matplotlib Axes.

    Args:
        changes: As of `cache.history()`.
        axes: Where; None for a new figure.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    if axes is None:
        pyplot = wanted("matplotlib.pyplot", "notebook", "plot")
        axes = pyplot.subplots(figsize=(8, 2.6))[1]
    hues = colours(change.type for change in changes)
    times = {
        kind: [c.time.timestamp() for c in changes if c.type == kind and c.time is not None]
        for kind in hues
    }
    first = min((min(each) for each in times.values() if each), default=0.0)
    series = [[at - first for at in each] for each in times.values()]
    if any(series):
        axes.hist(series, bins=BINS, stacked=True, color=list(hues.values()), label=list(times))
        axes.legend(frameon=False, ncols=len(times))
    axes.set_xlabel("seconds")
    axes.set_ylabel("changes")
    return axes
