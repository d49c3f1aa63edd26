"""of_type: changes, messages and requests by their type."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing.marbles import marbles_testing

from rxfero import operators as fop
from rxfero.core.change import Change
from tests.operators.fake import Seen, refused

TYPES = st.sampled_from(["add", "update", "remove", "login"])

TABLE: list[tuple[Any, bool]] = [
    (Change("add", "k", 1), True),
    (Change("login", "k", 1), True),
    (Change("update", "k", 1), False),
    ({"type": "add"}, True),
    ({"type": "remove"}, False),
    ({"kind": "add"}, False),
    ({"type": ["add"]}, False),
    ("add", False),
    (None, False),
    (5, False),
]


@pytest.mark.parametrize(("item", "passes"), TABLE)
def test_table(item: Any, passes: bool) -> None:
    seen = Seen(reactivex.just(item).pipe(fop.of_type("add", "login")))
    assert seen.values == ([item] if passes else [])
    assert seen.completed


def test_marbles() -> None:
    values = {"a": {"type": "add"}, "u": {"type": "update"}}
    with marbles_testing() as (start, cold, _, exp):
        source = cold("a-u-a-|", values, None)
        assert start(source.pipe(fop.of_type("add"))) == exp("a---a-|", values, None)


@given(st.lists(TYPES), st.sets(TYPES, min_size=1))
def test_law_it_is_the_filter_by_type(types: list[str], wanted: set[str]) -> None:
    items = [Change(name, "k", n) for n, name in enumerate(types)]
    seen = Seen(reactivex.from_iterable(items).pipe(fop.of_type(*wanted)))
    assert seen.values == [c for c in items if c.type in wanted]


@given(st.lists(TYPES), st.sets(TYPES, min_size=1), st.sets(TYPES, min_size=1))
def test_law_two_in_a_row_pass_what_both_pass(types: list[str], one: Any, two: Any) -> None:
    source = reactivex.from_iterable([{"type": name} for name in types])
    both = Seen(source.pipe(fop.of_type(*one), fop.of_type(*two))).values
    common = one & two
    assert both == (Seen(source.pipe(fop.of_type(*common))).values if common else [])


@given(st.lists(TYPES), st.sets(TYPES, min_size=1, max_size=3))
def test_law_the_wanted_and_the_others_are_all(types: list[str], wanted: set[str]) -> None:
    others = {"add", "update", "remove", "login"} - wanted
    items = [{"type": name, "n": n} for n, name in enumerate(types)]
    source = reactivex.from_iterable(items)
    parts = [Seen(source.pipe(fop.of_type(*some))).values for some in (wanted, others)]
    assert sorted(parts[0] + parts[1], key=lambda i: i["n"]) == items


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("of_type.types", fop.of_type)
    refused("of_type.types", lambda: fop.of_type("add", 5))  # type: ignore[arg-type]
    refused("of_type.types", lambda: fop.of_type(""))
