"""await_ack: the outcomes in the order of the guarantees, failures at their turn."""

from __future__ import annotations

from hypothesis import given

from rxfero import operators as fop
from tests.operators import outcome_cases as cases
from tests.operators.fake import FakeGuarantee, refused


@given(cases.ORDERS)
def test_law_outcomes_come_in_the_order_of_the_guarantees(order: list[int]) -> None:
    cases.order_holds(fop.await_ack(), order)


@given(cases.FATES)
def test_law_what_precedes_a_failure_is_given_then_the_failure(fates: list[bool]) -> None:
    cases.failure_holds(fop.await_ack(), fates)


@given(cases.FATES)
def test_law_isolated_every_other_outcome_is_given(fates: list[bool]) -> None:
    cases.isolation_holds(fop.await_ack(), fates)


def test_it_asks_for_its_stage() -> None:
    guarantee = FakeGuarantee(())
    cases.fed(fop.await_ack(), [guarantee])
    assert guarantee.levels == ["ack"]


def test_with_a_predicate_it_asks_for_who_acknowledges() -> None:
    guarantee = FakeGuarantee(())

    def where(_: object) -> bool:
        return True

    _, seen = cases.fed(fop.await_ack(where=where), [guarantee])
    assert guarantee.levels == [where]
    guarantee.settle(7)
    assert seen.values == [7]


@given(cases.FATES)
def test_law_with_a_predicate_failures_come_at_their_turn_too(fates: list[bool]) -> None:
    cases.failure_holds(fop.await_ack(where=bool), fates)


def test_the_predicate_is_checked_when_the_chain_is_built() -> None:
    refused("await_ack.where", lambda: fop.await_ack(where="alice"))  # pyright: ignore[reportArgumentType]


def test_a_window_bounds_what_is_in_flight() -> None:
    cases.a_window_holds(fop.await_ack)


def test_unsubscribing_watches_no_more() -> None:
    cases.unsubscribing_watches_no_more(fop.await_ack())


def test_only_guarantees_are_taken() -> None:
    cases.only_guarantees_are_taken(fop.await_ack(), "await_ack")


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    cases.arguments_are_checked(fop.await_ack, "await_ack")


def test_a_timeout_is_set_on_each_guarantee() -> None:
    cases.a_timeout_is_set(fop.await_ack)
