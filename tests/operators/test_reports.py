"""The reports: an error without a subscriber goes to the scheduler that can tell, or to the log."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from reactivex.scheduler import ImmediateScheduler

from rxfero.events import Hub
from rxfero.operators.reports import guarded, report


def test_without_a_scheduler_that_can_tell_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        report(None, ValueError("one"), "somewhere", 5)
        report(ImmediateScheduler(), ValueError("two"), "elsewhere", 6)
    assert "somewhere: 5" in caplog.text
    assert "elsewhere: 6" in caplog.text
    assert "two" in caplog.text


async def test_the_clock_of_events_tells_on_error() -> None:
    hub, failures = Hub("users"), list[Any]()
    hub.on("error").subscribe(failures.append)
    error = ValueError("x")
    report(hub.clock(), error, "somewhere", 5)
    assert [(f.error, f.context, f.change) for f in failures] == [(error, "somewhere", 5)]


def test_guarded_tells_what_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> None:
        raise ValueError("x")

    guarded(None, "here", fails)
    assert "here" in caplog.text
