"""The gate: lets so many items in at a time; the others wait outside, in their order.

What an item does inside is for who made the gate to say, and also when it leaves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from rxfero.errors import Overloaded
from rxfero.operators.pressure import Valve


class Gate:
    """Items inside and outside.

    Args:
        inside: So many at a time; None: any number.
        outside: So many may wait; None: any number.
        begin: Called with each item that comes in. Every one leaves once, also during this call.
        name: The argument that sets `outside`, for the error.
    """

    def __init__(
        self, inside: int | None, outside: int | None, begin: Callable[[Any], None], name: str
    ) -> None:
        self._inside, self._outside, self._begin, self._name = inside, outside, begin, name
        self._waiting: deque[Any] = deque()
        self._moving = False
        self.valve = Valve()
        self.count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, item: Any) -> None:
        """Let an item in, now or when there is room.

        Raises:
            Overloaded: too many wait already. The item is not taken.
        """
        if self._inside is not None and self.count >= self._inside:
            limit = self._outside
            if limit is not None and len(self._waiting) >= limit:
                raise Overloaded(len(self._waiting), limit, "items", self._name)
        self._waiting.append(item)
        self._move()
        if self._waiting:
            self.valve.turn(shut=True)

    def leave(self) -> None:
        """Know that an item inside has left."""
        self.count -= 1
        self._move()

    def clear(self) -> None:
        """Forget those who wait."""
        self._waiting.clear()
        self.valve.turn(shut=False)

    def _move(self) -> None:
        if self._moving:
            return
        self._moving = True
        try:
            while self._waiting and (self._inside is None or self.count < self._inside):
                self.count += 1
                self._begin(self._waiting.popleft())
        finally:
            self._moving = False
        if not self._waiting:
            self.valve.turn(shut=False)
