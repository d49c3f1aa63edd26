"""The retained writes: those that were acknowledged and may not be on every live server yet (R12).

They are in the order of their answers, and as many as the limits allow: the oldest go first. Who
asks for one that is gone cannot be helped any more; :mod:`rxfero.core.requests` says what then.

The module knows no shards, servers or terms.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from rxfero.core.call import CALL_BYTES, Call


class Retained:
    """Writes by the numbers of their requests.

    Args:
        limits: Most of them, in records and in bytes.

    Attributes:
        bytes: What they weigh.
    """

    __slots__ = ("_limits", "bytes", "calls")

    def __init__(self, limits: tuple[int, int]) -> None:
        self._limits = limits
        self.calls: OrderedDict[int, Call] = OrderedDict()
        self.bytes = 0

    def add(self, number: int, call: Call) -> None:
        """Keep one, or what has come in its place."""
        if number not in self.calls:
            self.bytes += len(call.value) + CALL_BYTES
        self.calls[number] = call

    def add_all(self, numbers: Sequence[int], calls: Sequence[Call], size: int) -> None:
        """Keep several, none of which is here; `size` is what they weigh."""
        self.calls.update(zip(numbers, calls, strict=True))
        self.bytes += size

    def drop(self, number: int) -> None:
        """Keep one no longer."""
        self.bytes -= self.calls.pop(number).size

    def trim(self) -> None:
        """Keep to the limits: the oldest go first."""
        calls, held = self.calls, self.bytes
        records, size = self._limits
        while len(calls) > records or held > size:
            held -= len(calls.popitem(last=False)[1].value) + CALL_BYTES
        self.bytes = held

    def __contains__(self, number: int) -> bool:
        return number in self.calls

    def __len__(self) -> int:
        return len(self.calls)

    def __repr__(self) -> str:
        return f"<Retained {len(self.calls)} writes of {self.bytes} bytes>"
