"""count_by: a running count for each key."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing.marbles import marbles_testing

from rxfero import operators as fop
from rxfero.core.change import Change
from tests.operators.fake import Seen, refused

LETTERS = st.lists(st.sampled_from("abc"))

TABLE: list[tuple[Any, list[Any], list[Any]]] = [
    ("type", [Change("add", "k", 1), Change("add", "l", 1)], [("add", 1), ("add", 2)]),
    ("type", [{"type": "x"}, {"type": "y"}], [("x", 1), ("y", 1)]),
    (lambda i: i % 2, [1, 2, 3], [(1, 1), (0, 1), (1, 2)]),
    (lambda _: None, [1, 2], [(None, 1), (None, 2)]),
]


@pytest.mark.parametrize(("selector", "items", "counts"), TABLE)
def test_table(selector: Any, items: list[Any], counts: list[Any]) -> None:
    assert Seen(reactivex.from_iterable(items).pipe(fop.count_by(selector))).values == counts


def test_marbles() -> None:
    out = {"x": ("a", 1), "y": ("b", 1), "z": ("a", 2)}
    with marbles_testing() as (start, cold, _, exp):
        source = cold("a-b-a-|", None, None)
        assert start(source.pipe(fop.count_by(lambda i: i))) == exp("x-y-z-|", out, None)


@given(LETTERS)
def test_law_the_last_counts_are_those_of_the_items(items: list[str]) -> None:
    counts = Seen(reactivex.from_iterable(items).pipe(fop.count_by(lambda i: i))).values
    assert dict(counts) == dict(Counter(items))
    assert [key for key, _ in counts] == items


@given(LETTERS)
def test_law_every_subscription_counts_from_one(items: list[str]) -> None:
    chain = reactivex.from_iterable(items).pipe(fop.count_by(lambda i: i))
    assert Seen(chain).values == Seen(chain).values


@given(st.lists(st.integers(0, 3)))
def test_law_isolated_what_fails_is_not_counted_and_the_rest_is(items: list[int]) -> None:
    failed: list[Any] = []
    chain = fop.isolate(fop.count_by(lambda i: 6 // i), errors=failed.append)
    counts = Seen(reactivex.from_iterable(items).pipe(chain)).values
    assert dict(counts) == dict(Counter(6 // i for i in items if i))
    assert len(failed) == items.count(0)


def test_a_selector_that_raises_or_gives_what_cannot_be_a_key_fails() -> None:
    assert Seen(reactivex.just(1).pipe(fop.count_by("type"))).error is not None
    assert isinstance(Seen(reactivex.just([]).pipe(fop.count_by(lambda i: i))).error, TypeError)


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("count_by.selector", lambda: fop.count_by(5))  # type: ignore[arg-type]
    refused("count_by.selector", lambda: fop.count_by(""))
