"""Ready: what a turn of the replica wants done, in batches, in the order in which it is to be done.

The module knows nothing of how any of it came about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rxfero.core.batch import Batch
    from rxfero.core.call import Call
    from rxfero.core.change import Record
    from rxfero.core.journal import Entry
    from rxfero.core.messages import Inbound, Run
    from rxfero.core.peering import Address, Contact

T = TypeVar("T")
Items = list[T] | tuple[()]


class Ready:
    """What a turn wants done, in the order it is to be done."""

    # What a turn does not bring stays the class's: most turns bring one or two of these.
    frames: Items[tuple[int, bytes]] = ()
    entries: list[Entry] | None = None
    dials: Items[tuple[Contact, Address]] = ()
    closes: Items[tuple[int, str]] = ()
    changes: Items[tuple[list[int], list[Record]]] = ()
    acked: Items[Call] = ()
    answered: Items[Batch] = ()
    partials: Items[tuple[Call, bytes]] = ()
    settled: Items[Call] = ()
    requests: Items[Inbound | Run] = ()
    news: Items[tuple[str, Contact]] = ()
    notices: Items[tuple[str, Any]] = ()

    def __repr__(self) -> str:
        filled = ", ".join(f"{name}={len(value)}" for name, value in sorted(vars(self).items()))
        return f"<Ready {filled or 'nothing'}>"
