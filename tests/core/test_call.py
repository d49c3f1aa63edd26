"""The call: what it is before anything became of it, and how it is shown."""

from __future__ import annotations

from rxfero.core.call import AUTO, OK, TIMEOUT, WRITES, Call, weigh


def test_a_new_call_has_come_to_nothing_yet() -> None:
    call = Call("update", ("a",), b"\x01")
    assert (call.level, call.status, call.done, call.acked) == (AUTO, OK, False, False)
    assert call.offset is None
    assert call.result is None
    assert call.watchers == ()
    assert call.size > len(call.value)


def test_a_call_shows_what_became_of_it() -> None:
    call = Call("login", ("a",), b"\x01")
    assert "pending" in repr(call)
    call.status, call.done = TIMEOUT, True
    assert f"status={TIMEOUT}" in repr(call)
    assert "login" not in WRITES


def test_calls_weigh_together_what_they_weigh_one_by_one() -> None:
    calls = [Call("update", ("a",), bytes(size)) for size in (0, 1, 300)]
    assert weigh(calls) == sum(call.size for call in calls)
    assert weigh([]) == 0
