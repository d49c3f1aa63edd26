"""The clock: hybrid logical timestamps, one integer each (Kulkarni et al. 2014).

A stamp is ``wall_ms << 16 | counter``: close to the wall clock, above every stamp that this process
gave, and above every stamp it has seen, unless that is more than the allowed skew ahead of the wall
clock. The wall clock is an argument; what has been seen is judged by it when the next stamp is
given, so neither a clock that never ticked nor one that was idle for hours judges by an old time.
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

    Attributes:
        last: The last stamp given.
        clamped: How often a foreign stamp was too far ahead.
    """

    __slots__ = ("_seen", "clamped", "last", "max_clock_skew_ms", "wall_ms")

    def __init__(self, *, max_clock_skew_ms: int = 60_000) -> None:
        self.last = 0
        self.wall_ms = 0
        self.clamped = 0
        self.max_clock_skew_ms = max_clock_skew_ms
        self._seen = 0  # highest foreign stamp since the last of ours; 0: none

    def tick(self, wall_ms: int) -> int:
        """Give a stamp above all given and seen."""
        return self.first(wall_ms, 1)

    def next(self) -> int:
        """Give a stamp above all given and seen, by the wall clock of the last :meth:`tick`."""
        stamp = self.wall_ms << COUNTER_BITS
        if self._seen or stamp <= self.last:
            return self.first(self.wall_ms, 1)
        self.last = stamp
        return stamp

    def first(self, wall_ms: int, count: int) -> int:
        """Reserve `count` consecutive stamps for a batch; give the first of them."""
        self.wall_ms = wall_ms
        last = self.last
        if self._seen:
            limit = (wall_ms + self.max_clock_skew_ms) << COUNTER_BITS
            if self._seen > limit:
                self._seen = limit
                self.clamped += 1
            last = max(last, self._seen)
            self._seen = 0
        stamp = wall_ms << COUNTER_BITS
        if stamp <= last:
            stamp = last + 1
        self.last = stamp + count - 1
        return stamp

    def observe(self, stamp: int) -> None:
        """Take note of a foreign stamp; the next of ours will be above it, within the skew."""
        if stamp > self._seen:
            self._seen = stamp

    def __repr__(self) -> str:
        return f"<Clock {wall_ms_of(self.last)} ms + {self.last & 0xFFFF}>"
