"""The events: their laws, one by one, on a hub without a node."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxfero import operators as fop
from rxfero.errors import Closed, ConfigurationError, UnknownEvent
from rxfero.events import ANY, EVENTS, NAMES, Failure, Hub


def failing(_: Any) -> None:
    raise ValueError("bad observer")


@pytest.fixture
def hub() -> Hub:
    return Hub("users")


# --- names


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_observed(hub: Hub, name: str) -> None:
    seen: list[Any] = []
    hub.on(name).subscribe(seen.append)
    hub.emit("commit" if name == ANY else name, 1)
    assert seen == [("commit", 1) if name == ANY else 1]


@pytest.mark.parametrize("wrong", ["chagne", "", "Change", 7, None])
async def test_an_unknown_name_is_refused_everywhere(hub: Hub, wrong: Any) -> None:
    for call in (hub.on, hub.once, lambda n: hub.on(n, print)):
        with pytest.raises(UnknownEvent):
            call(wrong)
    if wrong is not None:
        with pytest.raises(UnknownEvent):
            hub.off(wrong)


def test_an_unknown_name_is_answered_with_the_nearest(hub: Hub) -> None:
    with pytest.raises(UnknownEvent, match="change"):
        hub.on("chagne")


def test_a_callback_must_be_a_function(hub: Hub) -> None:
    with pytest.raises(ConfigurationError, match="callback"):
        hub.on("change", 5)  # type: ignore[call-overload]


def test_the_table_has_a_payload_and_an_occasion_for_each() -> None:
    assert all(event.payload and event.when for event in EVENTS.values())


# --- law 1: order


def test_an_emission_during_an_emission_waits_for_its_turn(hub: Hub) -> None:
    first: list[Any] = []
    second: list[Any] = []

    def writes(value: int) -> None:
        first.append(value)
        if value < 3:
            hub.emit("change", value + 1)

    hub.on("change").subscribe(writes)
    hub.on("change").subscribe(second.append)
    hub.emit("change", 1)
    assert first == second == [1, 2, 3]


def test_no_observer_is_entered_while_another_runs_whatever_the_names(hub: Hub) -> None:
    seen: list[str] = []

    def outer(_: Any) -> None:
        seen.append("in")
        hub.emit("commit", 0)
        hub.emit("status", 0)
        seen.append("out")

    hub.on("change").subscribe(outer)
    hub.on("commit").subscribe(lambda _: seen.append("commit"))
    hub.on("status").subscribe(lambda _: seen.append("status"))
    hub.emit_all("change", [1, 2])
    assert seen == ["in", "out", "in", "out", "commit", "status", "commit", "status"]


@given(st.lists(st.lists(st.integers(), max_size=4), max_size=6), st.integers(1, 4))
def test_every_observer_sees_the_same_order(batches: list[list[int]], observers: int) -> None:
    hub = Hub("users")
    seen: list[list[int]] = [[] for _ in range(observers)]
    every: list[Any] = []
    for one in seen:
        hub.on("change").subscribe(one.append)
    hub.on(ANY).subscribe(every.append)
    for batch in batches:
        hub.emit_all("change", batch)
    flat = [value for batch in batches for value in batch]
    assert all(one == flat for one in seen)
    assert every == [("change", value) for value in flat]


@given(st.lists(st.tuples(st.sampled_from(["change", "commit", "reply"]), st.integers(0, 3))))
def test_nested_emissions_come_out_in_the_order_they_were_made(script: Any) -> None:
    hub = Hub("users")
    made: list[Any] = []
    seen: list[Any] = []

    def emit(name: str, depth: int) -> None:
        made.append((name, depth))
        hub.emit(name, depth)

    for name in ("change", "commit", "reply"):
        hub.on(name).subscribe(lambda depth: emit("commit", depth - 1) if depth > 0 else None)
    hub.on(ANY).subscribe(seen.append)
    for name, depth in script:
        emit(name, depth)
    assert seen == made


def test_an_interrupt_in_an_observer_loses_nothing_that_is_queued(hub: Hub) -> None:
    seen: list[int] = []

    def interrupted(value: int) -> None:
        if value == 1:
            hub.emit("change", 2)
            raise KeyboardInterrupt

    hub.on("change").subscribe(interrupted)
    hub.on("change").subscribe(seen.append)
    with pytest.raises(KeyboardInterrupt):
        hub.emit("change", 1)
    hub.emit("change", 3)
    assert seen == [2, 3]


# --- law 3: no observer, no work


async def test_observed_is_true_exactly_while_somebody_looks(hub: Hub) -> None:
    assert not hub.observed("change")
    one = hub.on("change").subscribe(print)
    assert hub.observed("change")
    assert not hub.observed("commit")
    one.dispose()
    assert not hub.observed("change")
    every = hub.on(ANY, lambda _: None)
    assert hub.observed("change")
    assert hub.observed("commit")
    every.dispose()
    waiter = asyncio.ensure_future(hub.once("change"))
    assert hub.observed("change")
    waiter.cancel()
    await asyncio.wait([waiter])
    assert not hub.observed("change")


# --- law 4: a raising observer harms nobody


def test_a_raising_observer_stays_and_the_others_get_the_event(hub: Hub) -> None:
    calls: list[int] = []
    seen: list[int] = []
    failures: list[Failure] = []

    def raises(value: int) -> None:
        calls.append(value)
        raise ValueError(value)

    hub.on("error").subscribe(failures.append)
    hub.on("change").subscribe(seen.append)
    hub.on("change").subscribe(raises)
    hub.on("change").subscribe(seen.append)
    hub.emit_all("change", [1, 2])
    assert (calls, seen) == ([1, 2], [1, 1, 2, 2])
    assert [(f.event, f.change, str(f.error)) for f in failures] == [
        ("change", 1, "1"),
        ("change", 2, "2"),
    ]
    assert "an observer" in str(failures[0])


def test_an_operator_that_raises_ends_its_chain_and_is_told_once(hub: Hub) -> None:
    chain: list[Any] = []
    seen: list[int] = []
    failures: list[Failure] = []
    hub.on("error").subscribe(failures.append)
    hub.on("change").pipe(ops.map(lambda v: 1 // v)).subscribe(chain.append)
    hub.on("change").subscribe(seen.append)
    hub.emit_all("change", [1, 0, 1])
    assert (chain, seen) == ([1], [1, 0, 1])
    assert len(failures) == 1
    assert isinstance(failures[0].error, ZeroDivisionError)
    assert failures[0].change == 0
    assert "has ended" in str(failures[0])


def test_a_chain_with_an_on_error_of_its_own_is_told_there_only(hub: Hub) -> None:
    failures: list[Failure] = []
    own: list[Exception] = []
    hub.on("error").subscribe(failures.append)
    hub.on("change").pipe(ops.map(lambda v: 1 // v)).subscribe(print, own.append)
    hub.emit_all("change", [0, 0])
    assert [type(e) for e in own] == [ZeroDivisionError]
    assert failures == []
    assert not hub.observed("change")


async def test_an_isolated_operator_goes_on_and_its_failures_are_told() -> None:
    hub = Hub("users")
    failures: list[Failure] = []
    chain: list[Any] = []
    hub.on("error").subscribe(failures.append)
    hub.on("change").pipe(fop.isolate(ops.map(lambda v: 6 // v))).subscribe(chain.append)
    hub.emit_all("change", [1, 0, 2])
    assert chain == [6, 3]
    assert [(f.event, f.context, f.change) for f in failures] == [
        ("chain", "an isolated operator", 0)
    ]


def test_an_error_that_nobody_observes_is_logged(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.on("change").subscribe(failing)
    with caplog.at_level(logging.ERROR):
        hub.emit("change", 1)
    assert "bad observer" in caplog.text


@pytest.mark.parametrize("name", ["error", ANY])
def test_an_observer_of_errors_that_raises_does_not_feed_itself(
    hub: Hub, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    hub.on(name).subscribe(failing)
    with caplog.at_level(logging.ERROR):
        hub.emit("error", Failure(ValueError("x"), "test"))
        hub.emit("change", 1)
    assert "observer of errors raised" in caplog.text


def test_an_observer_that_left_during_an_emission_gets_no_more(hub: Hub) -> None:
    seen: list[int] = []
    hub.on("change").subscribe(lambda _: other.dispose())
    other = hub.on("change").subscribe(seen.append)
    hub.emit_all("change", [1, 2])
    assert seen == []


def test_an_observer_that_came_during_an_emission_gets_what_follows(hub: Hub) -> None:
    seen: list[int] = []
    hub.on("change").pipe(ops.take(1)).subscribe(lambda _: hub.on("change").subscribe(seen.append))
    hub.emit_all("change", [1, 2, 3])
    assert seen == [2, 3]


async def test_whoever_comes_during_a_batch_gets_the_rest_of_it() -> None:
    hub, seen, every = Hub("users"), list[int](), list[Any]()
    waiting: list[Any] = []

    def comes(_: Any) -> None:
        hub.on("commit").subscribe(seen.append)
        hub.on(ANY).subscribe(every.append)
        waiting.append(hub.once("commit"))

    hub.on("commit").pipe(ops.take(1)).subscribe(comes)
    hub.emit_all("commit", [1, 2, 3])
    assert seen == [2, 3]
    assert every == [("commit", 1), ("commit", 2), ("commit", 3)]
    assert await waiting[0] == 1  # it came before the waiters of 1 were told


# --- once, off, close


async def test_once_gives_the_next_payload_only() -> None:
    hub = Hub("users")
    hub.emit("change", 0)
    waiting, every = hub.once("change"), hub.once(ANY)
    hub.emit_all("change", [1, 2])
    assert await waiting == 1
    assert await every == ("change", 1)
    assert not hub.observed("change")


async def test_waiting_for_an_error_counts_as_observing_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = Hub("users")
    waiting = hub.once("error")
    hub.emit("error", 1)
    assert await waiting == 1
    assert caplog.text == ""


def test_off_ends_a_callback_an_event_or_all(hub: Hub) -> None:
    seen: list[Any] = []

    def one(value: Any) -> None:
        seen.append(("one", value))

    def two(value: Any) -> None:
        seen.append(("two", value))

    for name in ("change", "commit"):
        hub.on(name, one)
        hub.on(name, two)
    chain: list[Any] = []
    hub.on("change").subscribe(chain.append)
    hub.off("change", one)
    hub.emit("change", 1)
    assert seen == [("two", 1)]
    hub.off("change")
    hub.emit("change", 2)
    assert seen == [("two", 1)]
    hub.off(callback=one)
    hub.emit("commit", 3)
    assert seen == [("two", 1), ("two", 3)]
    hub.off()
    hub.emit("commit", 4)
    assert len(seen) == 2
    assert chain == [1, 2]  # what was subscribed is disposed of by whoever subscribed it


def test_a_disposed_callback_is_known_no_more(hub: Hub) -> None:
    for _ in range(3):
        hub.on("change", print).dispose()
    assert not hub._callbacks
    assert not hub.observed("change")


async def test_close_completes_every_stream_and_fails_every_waiter() -> None:
    hub = Hub("users")
    ended: list[str] = []
    hub.on("change").subscribe(on_completed=lambda: ended.append("change"))
    hub.on(ANY).pipe(ops.count()).subscribe(lambda n: ended.append(f"* {n}"))
    waiting = hub.once("change")
    hub.close()
    hub.close()
    assert ended == ["change", "* 0"]
    with pytest.raises(Closed):
        await waiting
    with pytest.raises(Closed):
        await hub.once("change")
    late: list[str] = []
    hub.on("commit").subscribe(on_completed=lambda: late.append("late"))
    hub.on("commit", print)
    hub.emit("commit", 1)
    assert late == ["late"]
    assert not hub._callbacks


def test_close_during_an_emission_comes_after_what_is_being_told(hub: Hub) -> None:
    seen: list[Any] = []

    def closes(value: int) -> None:
        if value == 1:
            hub.emit("destroy", "users")
            hub.close()

    hub.on("change").subscribe(closes)
    hub.on("change").subscribe(seen.append, on_completed=lambda: seen.append("end"))
    hub.on("destroy").subscribe(seen.append)
    hub.emit_all("change", [1, 2])
    assert seen == [1, 2, "users", "end"]


def test_an_error_at_completion_is_told_to_those_who_still_can_hear(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise ValueError("at the end")

    ended: list[int] = []
    hub.on("change").subscribe(on_completed=fails)
    hub.on("change").subscribe(on_completed=lambda: ended.append(1))
    with caplog.at_level(logging.ERROR):
        hub.close()
    assert ended == [1]
    assert "at the end" in caplog.text


def test_representations(hub: Hub) -> None:
    hub.on("change").subscribe(print)
    assert repr(hub) == "<Hub users observed=['change']>"
    assert str(Failure(ValueError("x"), "change", "an observer", "bob")) == (
        "change in an observer from bob: ValueError: x"
    )
