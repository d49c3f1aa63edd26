"""await_reply: the outcomes in the order of the guarantees, failures at their turn."""

from __future__ import annotations

from typing import Any

import reactivex
from hypothesis import given
from hypothesis import strategies as st

from rxfero import operators as fop
from rxfero.errors import ConfigurationError, Refused, RequestTimeout
from tests.operators import outcome_cases as cases
from tests.operators.fake import FakeCache, FakeGuarantee, Seen, refused


@given(cases.ORDERS)
def test_law_outcomes_come_in_the_order_of_the_guarantees(order: list[int]) -> None:
    cases.order_holds(fop.await_reply(), order)


@given(cases.FATES)
def test_law_what_precedes_a_failure_is_given_then_the_failure(fates: list[bool]) -> None:
    cases.failure_holds(fop.await_reply(), fates)


@given(cases.FATES)
def test_law_isolated_every_other_outcome_is_given(fates: list[bool]) -> None:
    cases.isolation_holds(fop.await_reply(), fates)


def test_it_asks_for_its_stage() -> None:
    guarantee = FakeGuarantee(())
    cases.fed(fop.await_reply(), [guarantee])
    assert guarantee.levels == ["reply"]


def test_a_window_bounds_what_is_in_flight() -> None:
    cases.a_window_holds(fop.await_reply)


def test_unsubscribing_watches_no_more() -> None:
    cases.unsubscribing_watches_no_more(fop.await_reply())


def test_only_guarantees_are_taken() -> None:
    cases.only_guarantees_are_taken(fop.await_reply(), "await_reply")


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    cases.arguments_are_checked(fop.await_reply, "await_reply")


def test_a_timeout_is_set_on_each_guarantee() -> None:
    cases.a_timeout_is_set(fop.await_reply)


def test_answers_of_a_streaming_handler_come_before_those_of_the_next() -> None:
    first, second = cases.made(2)
    source, seen = cases.fed(fop.await_reply(), [first, second])
    source.on_completed()
    second.partial("b1")
    first.partial("a1")
    assert seen.values == ["a1"]
    first.partial("a2")
    first.settle("a3")
    assert seen.values == ["a1", "a2", "a3", "b1"]
    second.settle("b2")
    assert seen.values == ["a1", "a2", "a3", "b1", "b2"]
    assert seen.completed


def sent(cache: FakeCache, count: int, **options: Any) -> Seen:
    source = reactivex.from_iterable(range(count))
    return Seen(source.pipe(fop.send(cache), fop.await_reply(**options)))


@given(st.integers(0, 4), st.integers(0, 4))
def test_law_a_request_is_made_again_as_often_as_said(retries: int, failures: int) -> None:
    cache = FakeCache()
    seen = sent(cache, 1, timeout=2.0, retries=retries)
    for n in range(min(failures, retries + 1)):
        assert len(cache.asked) == n + 1
        cache.asked[-1].fail(RequestTimeout("send", 2.0))
    if failures > retries:
        assert isinstance(seen.error, RequestTimeout)
        assert len(cache.asked) == retries + 1
    else:
        cache.asked[-1].settle("yes")
        assert seen.values == ["yes"]
        assert seen.completed
        assert len(cache.asked) == failures + 1
    assert all(g.timeouts == [2.0] for g in cache.asked)
    assert len({str(g.what) for g in cache.asked}) == 1


def test_retries_keep_the_order_of_the_answers() -> None:
    cache = FakeCache()
    seen = sent(cache, 2, retries=1)
    cache.asked[0].fail(RequestTimeout("send", 1.0))
    cache.asked[1].settle("second")
    assert seen.values == []
    cache.asked[2].settle("first")
    assert seen.values == ["first", "second"]


def test_a_failure_that_has_settled_already_is_retried_too() -> None:
    cache = FakeCache()
    guarantees = Seen(reactivex.of(1).pipe(fop.send(cache))).values
    cache.asked[0].fail(RequestTimeout("send", 1.0))
    _, seen = cases.fed(fop.await_reply(retries=1), guarantees)
    assert len(cache.asked) == 2
    cache.asked[1].settle("late")
    assert seen.values == ["late"]


def test_what_will_not_help_is_not_retried() -> None:
    cache = FakeCache()
    seen = sent(cache, 1, retries=3)
    cache.asked[0].fail(Refused("never"))
    assert isinstance(seen.error, Refused)
    assert len(cache.asked) == 1


def test_after_an_answer_nothing_is_retried() -> None:
    cache = FakeCache()
    seen = sent(cache, 1, retries=3)
    cache.asked[0].partial("part")
    cache.asked[0].fail(RequestTimeout("send", 1.0))
    assert seen.values == ["part"]
    assert isinstance(seen.error, RequestTimeout)
    assert len(cache.asked) == 1


def test_a_guarantee_of_unknown_make_cannot_be_retried() -> None:
    guarantee = FakeGuarantee(())
    _, seen = cases.fed(fop.await_reply(retries=1), [guarantee])
    guarantee.fail(RequestTimeout("send", 1.0))
    assert isinstance(seen.error, ConfigurationError)


def test_a_retry_that_is_refused_ends_in_its_refusal() -> None:
    cache = FakeCache()
    seen = sent(cache, 1, retries=3)
    cache.refuse = lambda _: Refused("closed by now")
    cache.asked[0].fail(RequestTimeout("send", 1.0))
    assert str(seen.error) == "closed by now"


def test_retries_are_checked() -> None:
    for wrong in (-1, 1.5, "3", True):
        refused("await_reply.retries", lambda wrong=wrong: fop.await_reply(retries=wrong))
