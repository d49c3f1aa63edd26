"""await_replicated: the outcomes in the order of the guarantees, failures at their turn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from rxfero import operators as fop
from tests.operators import outcome_cases as cases
from tests.operators.fake import FakeGuarantee, refused


def make(**options: Any) -> Any:
    return fop.await_replicated(2, **options)


@given(cases.ORDERS)
def test_law_outcomes_come_in_the_order_of_the_guarantees(order: list[int]) -> None:
    cases.order_holds(make(), order)


@given(cases.FATES)
def test_law_what_precedes_a_failure_is_given_then_the_failure(fates: list[bool]) -> None:
    cases.failure_holds(make(), fates)


@given(cases.FATES)
def test_law_isolated_every_other_outcome_is_given(fates: list[bool]) -> None:
    cases.isolation_holds(make(), fates)


def test_it_asks_for_its_stage() -> None:
    guarantee = FakeGuarantee(())
    cases.fed(make(), [guarantee])
    assert guarantee.levels == [2]


def test_a_window_bounds_what_is_in_flight() -> None:
    cases.a_window_holds(make)


def test_unsubscribing_watches_no_more() -> None:
    cases.unsubscribing_watches_no_more(make())


def test_only_guarantees_are_taken() -> None:
    cases.only_guarantees_are_taken(make(), "await_replicated")


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    cases.arguments_are_checked(make, "await_replicated")


def test_a_timeout_is_set_on_each_guarantee() -> None:
    cases.a_timeout_is_set(make)


@pytest.mark.parametrize("level", [1, 7, "majority", "all"])
def test_every_level_is_passed_on(level: Any) -> None:
    guarantee = FakeGuarantee(())
    cases.fed(fop.await_replicated(level), [guarantee])
    assert guarantee.levels == [level]


@pytest.mark.parametrize("level", [0, -1, 1.0, True, "most", None])
def test_no_other_level_is_taken(level: Any) -> None:
    refused("await_replicated.n", lambda: fop.await_replicated(level))
