"""by_key: one stream for each top-level key."""

from __future__ import annotations

from typing import Any

import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxfero import operators as fop
from rxfero.core.change import Change
from tests.operators.fake import Seen

KEYS = st.lists(st.sampled_from(["a", "a.x", "b", "b.y.z", 1, (1, "x")]))


def grouped(items: list[Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    chain = reactivex.from_iterable(items).pipe(
        fop.by_key(), ops.flat_map(lambda g: g.pipe(ops.map(lambda item: (g.key, item))))
    )
    for key, item in Seen(chain).values:
        groups.setdefault(key, []).append(item)
    return groups


def test_table() -> None:
    items = [Change("add", "a", 1), Change("update", "b.c", 2), Change("update", "a.x", 3)]
    assert grouped(items) == {"a": [items[0], items[2]], "b": [items[1]]}


@given(KEYS)
def test_law_no_item_is_lost_or_doubled(keys: list[Any]) -> None:
    items = [(key, n) for n, key in enumerate(keys)]
    assert sorted((n for group in grouped(items).values() for _, n in group)) == list(
        range(len(keys))
    )


@given(KEYS)
def test_law_the_order_within_a_key_is_that_of_the_source(keys: list[Any]) -> None:
    for group in grouped([(key, n) for n, key in enumerate(keys)]).values():
        numbers = [n for _, n in group]
        assert numbers == sorted(numbers)


@given(KEYS)
def test_law_a_group_holds_one_top_level_key(keys: list[Any]) -> None:
    for top, group in grouped([Change("update", key, 0) for key in keys]).items():
        assert all(change.partition == top for change in group)


def test_an_item_without_a_key_fails() -> None:
    assert Seen(reactivex.just(5).pipe(fop.by_key())).error is not None
