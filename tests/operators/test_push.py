"""push: one element an item, at the list its key names."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st

from rxfero import operators as fop
from rxfero.core.change import Change
from tests.operators.fake import FakeCache, Seen, refused

TABLE: list[tuple[dict[str, Any], Any, tuple[Any, ...]]] = [
    ({}, ("k", 1), ("k", 1)),
    ({}, Change("add", "a.b", 7), ("a.b", 7)),
    ({"key": lambda _: "log"}, 5, ("log", 5)),
    ({"key": lambda c: "log", "value": lambda c: c.type}, Change("add", "k", 1), ("log", "add")),
]


@pytest.mark.parametrize(("options", "item", "written"), TABLE)
def test_table(options: dict[str, Any], item: Any, written: Any) -> None:
    cache = FakeCache()
    seen = Seen(reactivex.just(item).pipe(fop.push(cache, **options)))
    assert cache.what == [("push", *written)]
    assert seen.values == cache.asked


@given(st.lists(st.tuples(st.integers(), st.integers())))
def test_law_one_push_a_pair_in_order(pairs: list[tuple[int, int]]) -> None:
    cache = FakeCache()
    Seen(reactivex.from_iterable(pairs).pipe(fop.push(cache)))
    assert [what[1:] for what in cache.what] == pairs


@given(st.lists(st.integers()))
def test_law_the_guarantees_are_those_of_the_cache(items: list[int]) -> None:
    cache = FakeCache()
    seen = Seen(reactivex.from_iterable(items).pipe(fop.push(cache, key=lambda _: "log")))
    assert seen.values == cache.asked
    assert seen.completed


@given(st.lists(st.tuples(st.integers(), st.integers())))
def test_law_a_key_and_a_value_of_their_own_are_a_pair(pairs: list[tuple[int, int]]) -> None:
    own, plain = FakeCache(), FakeCache()
    chosen = fop.push(own, key=lambda p: p[1], value=lambda p: p[0])
    Seen(reactivex.from_iterable(pairs).pipe(chosen))
    Seen(reactivex.from_iterable([(b, a) for a, b in pairs]).pipe(fop.push(plain)))
    assert own.what == plain.what


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    cache = FakeCache()
    refused("push.cache", lambda: fop.push(5))  # type: ignore[arg-type]
    refused("push.key", lambda: fop.push(cache, key="log"))  # type: ignore[arg-type]
    refused("push.value", lambda: fop.push(cache, value=1))  # type: ignore[arg-type]
