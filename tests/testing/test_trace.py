"""Tests of the trace."""

from __future__ import annotations

from rxfero.testing.trace import Trace


def test_a_line_says_when_and_what() -> None:
    trace = Trace()
    trace.note(1.5, "s1 starts")
    trace.sent(2.0, "a>b", b"123456789")
    assert list(trace) == ["1.500000000 s1 starts", "2.000000000 a>b 9 cbf43926"]
    assert str(trace) == "\n".join(trace)


def test_the_last_lines_are_held_and_all_are_summed() -> None:
    short, long = Trace(keep=2), Trace()
    for trace in (short, long):
        for number in range(5):
            trace.note(number, "line")
    assert len(short) == 2
    assert short.count == long.count == 5
    assert short.digest == long.digest
    long.note(5.0, "one more")
    assert short.digest != long.digest
    assert short.digest in repr(short)
