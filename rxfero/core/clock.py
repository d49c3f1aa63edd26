"""The clock: hybrid logical timestamps, one integer each (Kulkarni et al. 2014).

A stamp is ``wall_ms << 16 | counter``: close to the wall clock, and above every stamp seen before.
The wall clock is an argument; a stamp from a peer that is too far ahead is clamped.
"""

from __future__ import annotations

COUNTER_BITS = 16


def wall_ms_of(stamp: int) -> int:
    """Give the wall-clock milliseconds of a stamp."""
    return stamp >> COUNTER_BITS


class Clock:
    """The hybrid logical clock of one process.

    Args:
        max_clock_skew_ms: How far ahead of this wall clock a foreign stamp is believed.
    """

    __slots__ = ("last", "max_clock_skew_ms", "wall_ms")

    def __init__(self, *, max_clock_skew_ms: int = 60_000) -> None:
        self.last = 0
        self.wall_ms = 0
        self.max_clock_skew_ms = max_clock_skew_ms

    def tick(self, wall_ms: int) -> int:
        """Give a stamp above all given and seen."""
        self.wall_ms = wall_ms
        stamp = wall_ms << COUNTER_BITS
        self.last = stamp if stamp > self.last else self.last + 1
        return self.last

    def observe(self, stamp: int) -> bool:
        """Take note of a foreign stamp; give False when it was too far ahead and was clamped."""
        limit = (self.wall_ms + self.max_clock_skew_ms) << COUNTER_BITS
        if self.wall_ms and stamp > limit:
            self.last = max(self.last, limit)
            return False
        if stamp > self.last:
            self.last = stamp
        return True

    def __repr__(self) -> str:
        return f"<Clock {wall_ms_of(self.last)} ms + {self.last & 0xFFFF}>"
