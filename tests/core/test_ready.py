"""Ready: what a turn did not bring costs nothing, and what it did is told."""

from __future__ import annotations

from rxfero.core.ready import Ready


def test_a_turn_that_brought_nothing_has_nothing() -> None:
    ready = Ready()
    assert repr(ready) == "<Ready nothing>"
    assert vars(ready) == {}
    for name in Ready.__annotations__:
        assert not getattr(ready, name)


def test_what_a_turn_brought_is_its_own() -> None:
    ready = Ready()
    ready.frames = [(1, b"x"), (2, b"y")]
    ready.notices = [("ack", 3)]
    assert repr(ready) == "<Ready frames=2, notices=1>"
    assert Ready().frames == ()
