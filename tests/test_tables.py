"""The tables: frames and plots of what a cache holds and has recorded."""

from __future__ import annotations

import sys
from datetime import datetime

import pytest

from rxfero.errors import ConfigurationError
from rxfero.testing import FakeCache

matplotlib = pytest.importorskip("matplotlib")
pandas = pytest.importorskip("pandas")
matplotlib.use("Agg")


def users() -> FakeCache:
    cache = FakeCache()
    cache.add("bob", {"email": "b@x.org", "age": 8})
    cache.add("alice", {"email": "a@x.org"})
    cache.update("count", 2)
    cache.remove("count")
    cache.update(7, "seven")
    return cache


def test_the_state_as_a_frame() -> None:
    frame = users().to_frame()
    assert list(frame.index) == [7, "alice", "bob"]
    assert frame.index.name == "key"
    assert frame.loc["bob", "age"] == 8
    assert frame.loc["alice", "email"] == "a@x.org"
    assert frame.loc[7, "value"] == "seven"
    assert pandas.isna(frame.loc["alice", "age"])
    assert FakeCache().to_frame().empty


def test_the_history_as_a_frame() -> None:
    cache = users()
    frame = cache.partitions.to_frame()
    assert list(frame.columns) == ["time", "type", "key", "value", "shard", "number"]
    assert list(frame["type"]) == [change.type for change in cache.history()]
    assert list(frame["key"]) == ["bob", "alice", "count", "count", "7"]
    assert all(isinstance(time, datetime) for time in frame["time"])
    offsets = [(c.offset.shard, c.offset.number) for c in cache.history() if c.offset]
    assert list(zip(frame["shard"], frame["number"], strict=True)) == offsets


def test_a_plot_counts_every_change() -> None:
    cache = users()
    axes = cache.plot()
    assert axes.get_ylabel() == "changes"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["add", "remove", "update"]
    tops = [box.get_height() for group in axes.containers for box in group]
    assert sum(tops) == len(cache.history()) == 5
    given = axes.figure.add_subplot()
    assert cache.partitions.plot(given) is given
    matplotlib.pyplot.close("all")


def test_a_plot_of_nothing() -> None:
    assert not FakeCache().plot().containers
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    ("library", "extra", "call"),
    [("pandas", "frames", "to_frame"), ("matplotlib.pyplot", "notebook", "plot")],
)
def test_what_is_missing_is_named(
    library: str, extra: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError, match=rf"pip install 'rxfero\[{extra}\]'"):
        getattr(users(), call)()
