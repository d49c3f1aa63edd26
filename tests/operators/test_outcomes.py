"""The outcomes: guarantees that fail before they can be watched."""

from __future__ import annotations

from typing import Any

import reactivex
from reactivex.subject import Subject

from rxfero.errors import Closed
from rxfero.operators.outcomes import outcomes
from tests.operators.fake import FakeGuarantee, Seen


def test_a_stage_that_cannot_be_asked_for_is_the_failure_of_its_item() -> None:
    def stage(guarantee: Any) -> Any:
        raise Closed("users")

    seen = Seen(reactivex.just(FakeGuarantee(())).pipe(outcomes("test", stage, None, None)))
    assert isinstance(seen.error, Closed)


def test_an_error_of_the_source_passes_at_once() -> None:
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(outcomes("test", lambda g: g.on("ack"), None, None)))
    guarantee = FakeGuarantee(())
    source.on_next(guarantee)
    source.on_error(ValueError("source"))
    assert str(seen.error) == "source"
    assert guarantee.watched == 0
