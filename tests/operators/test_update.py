"""update: one write an item, of pairs, of changes, or as the selectors say."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxfero import operators as fop
from rxfero.core.change import Change
from rxfero.errors import ValueRefused
from tests.operators.fake import FakeCache, Seen, refused

ITEM = {"who": "alice", "n": 1}
TABLE: list[tuple[dict[str, Any], Any, tuple[Any, Any]]] = [
    ({}, ("k", 1), ("k", 1)),
    ({}, Change("add", "a.b", 7), ("a.b", 7)),
    ({"key": lambda i: i[0]}, ("k", 1), ("k", 1)),
    ({"key": lambda i: i["who"]}, ITEM, ("alice", ITEM)),
    ({"key": lambda i: i["who"], "value": lambda i: i["n"]}, ITEM, ("alice", 1)),
    ({"value": lambda i: i[1] + 1}, ("k", 1), ("k", 2)),
    ({}, {"type": "x", "key": "k"}, ("k", {"type": "x", "key": "k"})),
    ({"key": lambda _: "k"}, [1, 2], ("k", [1, 2])),
]


@pytest.mark.parametrize(("options", "item", "written"), TABLE)
def test_table(options: dict[str, Any], item: Any, written: Any) -> None:
    cache = FakeCache()
    seen = Seen(reactivex.just(item).pipe(fop.update(cache, **options)))
    assert cache.what == [("update", *written)]
    assert seen.values == cache.asked


@given(st.lists(st.tuples(st.text(), st.integers())))
def test_law_pairs_are_written_in_their_order(pairs: list[tuple[str, int]]) -> None:
    cache = FakeCache()
    seen = Seen(reactivex.from_iterable(pairs).pipe(fop.update(cache)))
    assert [what[1:] for what in cache.what] == pairs
    assert seen.values == cache.asked
    assert seen.completed


@given(st.lists(st.sampled_from(["add", "update", "remove"])))
def test_law_counts_written_into_a_cache_are_those_of_the_source(types: list[str]) -> None:
    cache = FakeCache()
    items = [{"type": name} for name in types]
    Seen(reactivex.from_iterable(items).pipe(fop.count_by("type"), fop.update(cache)))
    assert {what[1]: what[2] for what in cache.what} == {t: types.count(t) for t in types}


def test_an_item_without_a_key_is_refused_and_isolate_goes_on() -> None:
    cache = FakeCache()
    seen = Seen(reactivex.of(5, ("k", 1)).pipe(fop.update(cache)))
    assert isinstance(seen.error, ValueRefused)
    failed: list[fop.Isolated] = []
    source = reactivex.of(5, ("k", 1)).pipe(fop.isolate(fop.update(cache), errors=failed.append))
    assert Seen(source.pipe(ops.map(lambda g: g.what))).values == [("update", "k", 1)]
    assert [f.item for f in failed] == [5]


@given(st.lists(st.tuples(st.text(), st.integers())))
def test_law_a_key_and_a_value_of_their_own_are_a_pair(pairs: list[tuple[str, int]]) -> None:
    own, plain = FakeCache(), FakeCache()
    items = [{"who": key, "n": value} for key, value in pairs]
    chosen = fop.update(own, key=lambda i: i["who"], value=lambda i: i["n"])
    Seen(reactivex.from_iterable(items).pipe(chosen))
    Seen(reactivex.from_iterable(pairs).pipe(fop.update(plain)))
    assert own.what == plain.what


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    cache = FakeCache()
    refused("update.cache", lambda: fop.update(None))  # type: ignore[arg-type]
    refused("update.key", lambda: fop.update(cache, key="k"))  # type: ignore[arg-type]
    refused("update.value", lambda: fop.update(cache, value=3))  # type: ignore[arg-type]
