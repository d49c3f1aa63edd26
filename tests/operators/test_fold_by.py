"""fold_by: a running reduction for each key."""

from __future__ import annotations

from functools import reduce
from typing import Any

import reactivex
from hypothesis import given
from hypothesis import strategies as st

from rxfero import operators as fop
from tests.operators.fake import Seen, refused

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.integers()))


def first(item: Any) -> Any:
    return item[0]


def total(value: int, item: Any) -> int:
    return value + item[1]


def test_table() -> None:
    source = reactivex.of(("a", 1), ("b", 5), ("a", 2))
    assert Seen(source.pipe(fop.fold_by(first, total, 0))).values == [("a", 1), ("b", 5), ("a", 3)]


@given(PAIRS)
def test_law_the_last_value_of_a_key_is_the_reduction_of_its_items(pairs: list[Any]) -> None:
    folded = dict(Seen(reactivex.from_iterable(pairs).pipe(fop.fold_by(first, total, 10))).values)
    for key in {key for key, _ in pairs}:
        assert folded[key] == reduce(total, [p for p in pairs if p[0] == key], 10)


@given(PAIRS)
def test_law_each_key_has_a_seed_of_its_own(pairs: list[Any]) -> None:
    seed: list[int] = []

    def collect(values: list[int], item: Any) -> list[int]:
        values.append(item[1])
        return values

    folded = dict(
        Seen(reactivex.from_iterable(pairs).pipe(fop.fold_by(first, collect, seed))).values
    )
    assert seed == []
    for key, values in folded.items():
        assert values == [n for name, n in pairs if name == key]


@given(PAIRS)
def test_law_counting_is_a_fold(pairs: list[Any]) -> None:
    source = reactivex.from_iterable(pairs)
    fold = fop.fold_by(first, lambda n, _: n + 1, 0)
    assert Seen(source.pipe(fold)).values == Seen(source.pipe(fop.count_by(first))).values


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("fold_by.selector", lambda: fop.fold_by(5, total, 0))  # type: ignore[arg-type]
    refused("fold_by.fn", lambda: fop.fold_by("type", 5, 0))  # type: ignore[arg-type]
