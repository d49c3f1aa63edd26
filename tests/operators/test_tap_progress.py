"""tap_progress: a look at how many have passed."""

from __future__ import annotations

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st

from rxfero import operators as fop
from tests.operators.fake import Seen, refused

TABLE = [(5, 2, [2, 4, 5]), (4, 2, [2, 4]), (0, 2, []), (1, 1000, [1]), (3, 1, [1, 2, 3])]


@pytest.mark.parametrize(("count", "every", "told"), TABLE)
def test_table(count: int, every: int, told: list[int]) -> None:
    counts: list[int] = []
    Seen(reactivex.from_iterable(range(count)).pipe(fop.tap_progress(counts.append, every)))
    assert counts == told


@given(st.lists(st.integers()), st.integers(1, 5))
def test_law_the_items_are_untouched(items: list[int], every: int) -> None:
    seen = Seen(reactivex.from_iterable(items).pipe(fop.tap_progress(lambda _: None, every)))
    assert seen.values == items
    assert seen.completed


@given(st.lists(st.integers()), st.integers(1, 5))
def test_law_counts_grow_and_end_at_the_number_of_items(items: list[int], every: int) -> None:
    counts: list[int] = []
    Seen(reactivex.from_iterable(items).pipe(fop.tap_progress(counts.append, every)))
    assert counts == sorted(set(counts))
    assert counts[-1:] == ([len(items)] if items else [])


@pytest.mark.parametrize("count", [1, 2])
def test_a_report_that_raises_fails(count: int) -> None:
    def report(_: int) -> None:
        raise ValueError("no")

    seen = Seen(reactivex.from_iterable(range(count)).pipe(fop.tap_progress(report, 2)))
    assert str(seen.error) == "no"


@given(st.integers(0, 30), st.integers(1, 5))
def test_law_each_subscription_counts_for_itself(count: int, every: int) -> None:
    counts: list[int] = []
    chain = reactivex.from_iterable(range(count)).pipe(fop.tap_progress(counts.append, every))
    Seen(chain)
    once = list(counts)
    Seen(chain)
    assert counts == once * 2


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("tap_progress.report", lambda: fop.tap_progress(5))  # type: ignore[arg-type]
    refused("tap_progress.every", lambda: fop.tap_progress(print, 0))
