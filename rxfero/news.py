"""The news: what a node's turn tells its program, in the order in which it is told.

Changes first, then what became of peers and what the node noticed, then answers: so whoever gets an
answer finds the state, and what was told of it, at least as new as that (STYLE 5). Where nobody
observes, nothing is made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rxfero.core.call import OK, Call
from rxfero.core.change import DATA, LOST, Change, Record
from rxfero.errors import HandshakeRefused, LostWrites
from rxfero.events import Failure, Hub

if TYPE_CHECKING:
    from rxfero.core.peering import Contact
    from rxfero.core.ready import Ready

log = logging.getLogger("rxfero")

TOLD = ("commit", "commits", "change", "changes")  # of a record, in this order
REFUSALS = 256  # reasons remembered, so that each is told once


class News:
    """Tells the events and outcomes of one node.

    Args:
        service: The service's name.
        hub: The events to feed.

    Attributes:
        peer_of: Gives what stands for a contact in events.
        many: Gives what stands for the requests of a batch.
        known: Connections whose fault has been told already.
    """

    def __init__(self, service: str, hub: Hub) -> None:
        self._service, self._hub = service, hub
        self.peer_of: Callable[[Contact], Any] = lambda contact: contact
        self.many: Callable[[Any], Sequence[Any]] = list
        self.known: set[int] = set()
        self._refusals: set[str] = set()

    def tell(self, ready: Ready) -> None:
        """Tell what a turn has brought, but for the requests to be handled."""
        hub = self._hub
        if ready.changes:
            self._changes(ready.changes)
        for status, contact in ready.news:
            if hub.observed("status") or hub.observed(status):
                peer = self.peer_of(contact)
                hub.emit("status", peer)
                hub.emit(status, peer)
        for event, payload in ready.notices:
            self._notice(event, payload)
        for call in ready.acked:
            call.received()
        for call, value in ready.partials:
            call.partial(value)
        if ready.settled or ready.answered:
            self._answers(ready)

    def settle(self, call: Call) -> None:
        """Tell those who wait for a call what became of it."""
        try:
            call.settled()
        except Exception as error:  # noqa: BLE001  (a waiter's fault must not end the node)
            self.fail(error, "reply")

    def fail(
        self, error: Exception, event: str, *, context: str = "", peer: str | None = None,
        change: Any = None,
    ) -> None:
        """Tell of an error that has no caller to raise to."""
        self._hub.emit("error", Failure(error, event, context, peer, change))

    def _answers(self, ready: Ready) -> None:
        for batch in ready.answered:
            for call in batch.calls.values():
                self.settle(call)
        for call in ready.settled:
            if call.watchers or call.status != OK or (call.seq and call.offset is None):
                self.settle(call)
        hub = self._hub
        one, together = hub.observed("reply"), hub.observed("replies")
        if one or together:
            public = [call for call in ready.settled if call.public]
            for calls in (*ready.answered, public):
                if one:
                    hub.emit_all("reply", calls)
                if together and calls:
                    hub.emit("replies", calls if calls is public else self.many(calls))

    def _changes(self, batches: Iterable[tuple[list[int], list[Record]]]) -> None:
        hub = self._hub
        observed = [name for name in TOLD if hub.observed(name)]
        if not observed:
            return
        of = Change.of
        for numbers, records in batches:
            views = [
                of(n, r) for n, r in zip(numbers, records, strict=True) if r.kind == DATA
            ]
            for name in observed if views else ():
                hub.emit_all(name, views if name in ("commit", "change") else [views])

    def _notice(self, event: str, payload: Any) -> None:
        hub = self._hub
        if event == "conflict":
            number, record = payload
            if hub.observed("conflict"):
                hub.emit("conflict", Change.of(number, record))
        elif event == "rollback":
            number, records = payload
            if hub.observed("rollback"):
                views = [Change.of(number, r) for r in records if r.kind in (DATA, LOST)]
                hub.emit("rollback", views)
        elif event == "lost_writes":
            self.fail(LostWrites(*payload), "retain")
        elif event == "refused":
            self._refused(*payload)
        elif event != "client" and hub.observed(event):
            hub.emit(event, payload)

    def _refused(self, link_id: int, reason: str) -> None:
        if link_id in self.known:
            self.known.discard(link_id)
        else:
            self.refused(reason)

    def refused(self, reason: str) -> None:
        """Tell of a connection that came to no handshake; once a reason, which names the nodes."""
        if reason in self._refusals:
            return
        if len(self._refusals) >= REFUSALS:
            self._refusals.clear()
        self._refusals.add(reason)
        log.warning("%s: a connection was refused: %s", self._service, reason)
        if self._hub.observed("error"):
            self.fail(HandshakeRefused(reason), "handshake")

    def __repr__(self) -> str:
        return f"<News of {self._service}>"
