"""The answers: several to one request, one after the other, at the pace of who asked.

A handler may answer with a stream. WINDOW answers may be on their way; so many more as the caller
has taken it asks for (MORE), so a caller that takes none stops the stream, and costs a window. One
that goes away, or no longer waits, ends it (CANCEL). Both words go the way of the request: to the
owner of its shard or, as that may change, to who answers, as soon as an answer (PARTIAL) says it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxfero.core import frame
from rxfero.core.call import WINDOW, Call
from rxfero.core.cluster import Cluster
from rxfero.core.messages import Inbound
from rxfero.core.owner import Owner
from rxfero.core.requests import Requests
from rxfero.core.shard import Shard
from rxfero.core.value import check_all
from rxfero.errors import ProtocolError

MOST = 1 << 20  # answers that one MORE can ask for


class Answers:
    """Streams of answers: out of handlers here, and to requests of this node.

    Args:
        server_of: Gives the other server that serves a shard, or should.
    """

    def __init__(
        self, cluster: Cluster, owner: Owner, requests: Requests,
        server_of: Callable[[Shard], str | None],
    ) -> None:
        self._cluster, self._owner, self._requests = cluster, owner, requests
        self._server_of = server_of
        self.came: list[tuple[Call, bytes]] = []

    # --- out of a handler

    def send(self, inbound: Inbound, value: bytes) -> None:
        """Send one of several answers of a handler."""
        dest = inbound.dest
        body = [dest.to, dest.sid, inbound.number, value, self._cluster.name]
        if dest.route:
            self._cluster.say(dest.route, frame.PARTIAL, body)
        else:
            self.on_partial(body)

    def on_word(self, kind: int, body: list[Any]) -> None:
        """Hear that a stream shall end (CANCEL) or go on (MORE), or pass the word on."""
        try:
            _, sid, number, where, *rest = body
            inbound = self._owner.open.get((sid, number))
        except (TypeError, ValueError) as error:
            raise ProtocolError("a CANCEL or MORE that cannot be read") from error
        count: Any = rest[0] if rest else None
        asks = kind == frame.MORE
        if len(rest) != asks or (asks and not (type(count) is int and 0 < count <= MOST)):
            raise ProtocolError("a CANCEL or MORE that asks for what cannot be")
        if inbound is not None:
            if asks and inbound.more is not None:
                inbound.more(count)
            elif not asks and inbound.cancel is not None:
                inbound.cancel()
            return
        target = where
        if type(where) is int:
            known = 0 <= where < self._cluster.count
            target = self._server_of(self._cluster.shards[where]) if known else None
        if type(target) is str and target in self._cluster.servers:
            self._cluster.say(target, kind, body)

    def gone(self, name: str) -> None:
        """A client or server has gone: stop the streams that answer it."""
        for inbound in list(self._owner.open.values()):
            if inbound.dest.to == name and inbound.cancel is not None:
                inbound.cancel()

    # --- to a request of this node

    def on_partial(self, body: list[Any]) -> None:
        """Take one of several answers, or hand it to the node it is for."""
        cluster = self._cluster
        try:
            to, sid, number, value, by = body
        except ValueError as error:
            raise ProtocolError("a PARTIAL that cannot be read") from error
        if to != cluster.name:
            if to in cluster.clients or to in cluster.servers:
                cluster.say(to, frame.PARTIAL, body)
            return
        call = self._requests.find(number)
        if sid == self._requests.sid and call is not None:
            check_all([value])
            if type(by) is not str:
                raise ProtocolError("a PARTIAL of nobody")
            if call.handler not in (None, by):
                return  # it was lost for a while, and another has begun anew
            call.handler = by
            call.streams += 1
            if call.streams - call.taken > 8 * WINDOW:  # each new owner may begin with a window
                raise ProtocolError("answers far beyond the window")
            call.deadline = cluster.now + self._requests.timeout_s
            self.came.append((call, value))

    def more(self, call: Call, count: int) -> None:
        """Tell whoever handles a request that so many answers have been taken."""
        call.taken += count
        if not call.done:
            self._tell(call, frame.MORE, [count])

    def cancel(self, call: Call) -> None:
        """Tell whoever handles a request that its caller has gone."""
        self._requests.drop(call)
        self._tell(call, frame.CANCEL, [])

    def late(self, calls: list[Call]) -> None:
        """End the streams of requests that nobody took anything of for too long."""
        for call in calls:
            if call.streams:
                self._tell(call, frame.CANCEL, [])

    def _tell(self, call: Call, kind: int, rest: list[int]) -> None:
        cluster = self._cluster
        where = call.shard if call.handler is None else call.handler
        body = [cluster.name, self._requests.sid, call.number, where, *rest]
        if call.target is None or call.target == cluster.name:
            self.on_word(kind, body)
        else:
            cluster.say(call.target, kind, body)

    def __repr__(self) -> str:
        return f"<Answers of {self._cluster.name} came={len(self.came)}>"
