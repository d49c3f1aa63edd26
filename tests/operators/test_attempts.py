"""The attempts: known as long as the guarantee, and no longer."""

from __future__ import annotations

import gc

from rxfero.operators import attempts
from tests.operators.fake import FakeCache, FakeGuarantee


def test_what_was_made_can_be_made_again_and_again() -> None:
    cache = FakeCache()
    first = attempts.made(cache.update, "k", 1)
    make = attempts.again(first)
    assert make is not None
    second = make()
    assert second is not first
    assert attempts.again(second) is not None
    assert cache.what == [("update", "k", 1)] * 2


def test_what_was_made_elsewhere_is_not_known() -> None:
    assert attempts.again(FakeGuarantee(())) is None


def test_nothing_is_kept_of_guarantees_that_are_gone() -> None:
    gc.collect()
    before = len(attempts._again)
    for _ in range(100):
        attempts.made(FakeGuarantee, ())
    gc.collect()
    assert len(attempts._again) <= before
