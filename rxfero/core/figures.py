"""The figures: what a node tells monitors of itself, as one frame that is made seldom.

A monitor asks as often as it likes; the figures are taken at most once in `EVERY_S`, so somebody's
view of a whole cluster, or one who asks without end, costs a node little. A monitor is told
nothing else and may write nothing.

What the figures are is the node's affair: it gives the function that takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rxfero.core import frame

EVERY_S: Final = 0.1


class Figures:
    """The answer to monitors.

    Use: `take` is set by the owner: gives a map of names and plain values.
    """

    __slots__ = ("_at", "_said", "take")

    def __init__(self) -> None:
        self.take: Callable[[], dict[str, Any]] = dict
        self._at = float("-inf")
        self._said = b""

    def answer(self, now: float) -> bytes:
        """Give the frame that answers a monitor at `now`."""
        if now - self._at >= EVERY_S:
            self._at, self._said = now, frame.encode(frame.MONITOR, [self.take()])
        return self._said

    def __repr__(self) -> str:
        return f"<Figures {len(self._said)} bytes>"
