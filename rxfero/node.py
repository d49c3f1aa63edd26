"""The node: one replica and its edges, driven a turn at a time.

Whatever happens (bytes came, the program asked, time passed) goes into the replica at once and
marks the node; the turn that follows drains :meth:`Replica.ready` and carries it out: frames to the
transport first, the program's events after. So a write inside an observer starts the next turn,
and every observer sees the order of the log (STYLE 5). One timer serves all deadlines.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from rxfero.core.batch import Batch
from rxfero.core.call import Call
from rxfero.core.hello import VOTERS
from rxfero.core.link import Identity
from rxfero.core.messages import Inbound, Run, bare
from rxfero.core.peering import CONNECTED, Address
from rxfero.core.quorum import Quorum
from rxfero.core.ready import Ready
from rxfero.core.replica import Replica
from rxfero.core.settings import Settings
from rxfero.door import Door
from rxfero.errors import Closed, ProtocolError, RequestTimeout
from rxfero.events import Hub
from rxfero.figures import told
from rxfero.keep import Keep
from rxfero.news import News
from rxfero.options import Options
from rxfero.outbox import Outbox
from rxfero.search import SCAN_S, Search, settle_s
from rxfero.surroundings import surroundings
from rxfero.transport import Frame, Transport

log = logging.getLogger("rxfero")
TICK_S = 0.005  # how late a deadline may be noticed


class Node(Outbox):
    """One server or client of a service, on the running loop.

    Args:
        service: The service's name.
        options: Checked options.
        hub: The events to feed.
        handled: Whether requests go to a handler.
    """

    def __init__(self, service: str, options: Options, hub: Hub, *, handled: bool) -> None:
        super().__init__(options.constants)
        self.service, self.options, self.hub = service, options, hub
        self.loop, self._monotonic, self._wall, self.rng = surroundings()
        self._born = False  # whether there is a replica
        self.born = self._monotonic()
        self._handler: Callable[[list[Inbound | Run]], None] | None = None
        self.news = News(service, hub)
        self.peer_named: Callable[[str], Any] = lambda name: name
        self._handled = handled
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._conditions: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._search = Search(self)
        self._door = Door()
        self._keep: Keep | None = None
        constants = options.constants
        self.transport = Transport(
            self.loop, frame_max=constants.outbox.frag, high_water=int(constants.credit.log),
            on_open=self._on_open, on_frames=self._on_frames, on_close=self._on_close,
            on_paused=self._on_paused, on_broken=self._on_broken,
        )
        self.replica: Replica

    # --- life

    async def start(self) -> None:
        """Listen (a server), look for others, and be of use.

        Raises:
            AddressInUse: no port of the range is free.
        """
        options = self.options
        host, port = "", 0
        if not options.client:
            plain = next((h for h in options.hosts if isinstance(h, str) and _bare(h)), "127.0.0.1")
            host, port = await self.transport.listen(plain, options.ports)
        wall = self._wall()
        boot = (int(wall * 1000) << 22) | self.rng.getrandbits(22)
        name = options.id or f"{self.rng.getrandbits(48):012x}"
        constants = options.constants
        digest = f"{constants.shards}/{constants.dht.vnodes}/{_named(options.hash)}"
        quorum = None
        if options.quorum is not None:
            digest += f"{VOTERS}{options.quorum}:{','.join(sorted(options.voters))}"
            quorum = None if options.client else Quorum(tuple(sorted(options.voters)))
        keep: Keep | None = None
        if options.storage is not None:
            keep = Keep(self, options, name)
            name = keep.name
        identity = Identity(
            options.cluster, self.service, name, boot, "client" if options.client else "server",
            options.group, host, port, digest,
        )
        settings = Settings(
            name, boot, bool(options.client), constants, self.rng, options.hash,
            options.partition, self._handled, quorum, options.follow,
        )
        self.replica = Replica(
            settings, identity, self.now, wall, secret=options.secret,
            restores=options.restore is not None,
        )
        self.replica.figures.take = partial(told, self)
        self.replica.router.want_proxy = partial(self.hub.observed, "proxy")
        if keep is not None:
            try:
                await keep.open(self.replica, digest)
            except BaseException:
                await self.transport.aclose()
                raise
            self._keep = keep
        self._born = True
        self.replica.settle_s = settle_s(options)
        self._arm(self.now)
        self._search.start()
        try:
            await self._found()
        except BaseException:
            await self.stop()
            raise

    async def _found(self) -> None:
        if self.options.client:
            await self.holds(lambda: self._of_use or self.replica.discovered, None)
            replica = self.replica
            if replica.cluster.servers or replica.probing or self.options.finders:
                await self.holds(lambda: self._of_use, SCAN_S)
        else:
            await self.holds(lambda: self._of_use, None)

    @property
    def _of_use(self) -> bool:
        replica = self.replica
        if self.options.client:
            return any(c.status == CONNECTED for c in replica.peering.servers.values())
        me = replica.members.me
        return me is not None and me.state != 0 and not replica.succession.rounds

    async def stop(self) -> None:
        """Leave, close everything, end what is pending. Idempotent."""
        if self.closed:
            return
        if self._born and not self.options.client:
            self.replica.leave(self.now)
            self.mark()
            await self.holds(lambda: self.replica.left, None)
        self.closed = True
        await self._search.stop()
        if self._born:
            self.replica.goodbye(self.now)
            self._carry_out(self.replica.ready(self.now))
        await self.transport.aclose()
        if self._keep is not None:
            await self._keep.close()
        self.end()

    def end(self) -> None:
        """End what is pending with Closed; from now on nothing is taken, nothing is sent."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._born:
            self._hand_over()
            self.batch = Batch(self.turns, self, self.batch.make, -1)
            for call in self.replica.requests.close():
                self.news.settle(call)
        for _, future in self._conditions:
            if not future.done():
                future.set_exception(Closed(self.service))
                future.exception()  # who waits gets it still; where nobody does, nothing is said

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self._monotonic()

    # --- what the program asks, beside what the outbox takes

    def cancel(self, call: Call) -> None:
        """Tell whoever handles a request that nobody waits for it any more."""
        self._hand_over()
        self.replica.answers.cancel(call)
        self.mark()

    def taken(self, call: Call, count: int) -> None:
        """Tell whoever handles a request that so many of its answers have been taken."""
        self.replica.answers.more(call, count)
        self.mark()

    def handle(
        self, handler: Callable[[list[Inbound | Run]], None], kind: type[Inbound]
    ) -> None:
        """Give requests to a handler from now on, those that wait for it too."""
        owner = self.replica.owner
        self._handler, owner.kind, owner.bare = handler, kind, bare(kind)
        self.mark()

    async def until(
        self, predicate: Callable[[], bool], what: str, timeout_s: float | None
    ) -> None:
        """Wait until something holds; looked at after every turn.

        Raises:
            RequestTimeout: it did not hold in time.
            Closed: the node was stopped.
        """
        if self.closed:
            raise Closed(self.service)
        if not await self.holds(predicate, timeout_s):
            servers = len(self.replica.cluster.servers)
            raise RequestTimeout(what, timeout_s or 0.0, servers if self.options.client else None)

    async def holds(self, predicate: Callable[[], bool], timeout_s: float | None) -> bool:
        """As :meth:`until`, but tells whether it held in time."""
        if predicate():
            return True
        future: asyncio.Future[None] = self.loop.create_future()
        entry = (predicate, future)
        self._conditions.append(entry)
        try:
            async with asyncio.timeout(timeout_s):
                await future
            return True
        except TimeoutError:
            return False
        finally:
            if entry in self._conditions:
                self._conditions.remove(entry)

    # --- edges

    def _on_open(self, link_id: int, dialed: tuple[str, int] | None) -> None:
        if not self._born:  # somebody was faster than we: he will knock again
            self.transport.close(link_id, "the node is starting")
            return
        if dialed is None and self.options.secret is not None:
            host, _ = self.transport.peername(link_id) or ("", 0)
            reason = self._door.knock(link_id, host, self.now)
            if reason is not None:
                self.transport.close(link_id, reason)
                return self.news.refused(reason)
        self.replica.opened(link_id, None if dialed is None else Address(*dialed), self.now)
        self.mark()

    def _on_frames(self, link_id: int, frames: list[Frame]) -> None:
        if not self._born:
            return
        replica, now = self.replica, self._monotonic()
        link = replica.links.get(link_id)
        was = None if link is None else link.state
        try:
            for kind, flags, body in frames:
                replica.receive(link_id, kind, flags, body, now)
        except ProtocolError:
            self.mark()
            raise
        if link is not None and was != "open" and link.state == "open":
            self._door.gone(link_id)
            self.transport.opened(link_id)
        elif link is not None and link.stranger:
            self._door.failed(link_id, now)
        if self.marked or len(self.transport.wires) > 1:
            self.mark()
        else:
            self._turn()  # nobody else's bytes can be waiting to share it

    def _on_broken(self, link_id: int, error: ProtocolError) -> None:
        if not self._born:
            return
        link = self.replica.links.get(link_id)
        peer = None if link is None or link.peer is None else link.peer.name
        if link is not None and link.peer is None:
            self.news.known.add(link_id)  # its end will be noticed as a refusal too
        log.warning("%s: a connection %s was closed: %s", self.service,
                    "before its handshake" if peer is None else f"from {peer}", error)
        self.replica.broken(link_id, str(error), self.now)
        self.fail(error, "frame", peer=peer)
        self.mark()

    def _on_close(self, link_id: int, reason: str) -> None:
        if not self._born:
            return
        link = self.replica.links.get(link_id)
        if link is None or link.peer is not None:
            self.news.known.discard(link_id)
        self._door.gone(link_id)
        self.replica.closed(link_id, reason, self.now)
        self.mark()

    def _on_paused(self, link_id: int, paused: bool) -> None:
        self.replica.paused(link_id, paused, self.now)
        self.mark()

    # --- the turn

    def _turn(self) -> None:
        self.marked = False
        if self.closed:
            return
        if self.batch.values:
            self._hand_over()
        self.turns = self.batch.turn = self.turns + 1
        now, replica = self._monotonic(), self.replica
        if now >= self._due and now >= replica.deadline:
            replica.wake(now)
        if replica.owner.inbox and self._handler is not None:
            self.marked = True  # what it asks for goes with this turn
            try:
                self._handler(replica.take_requests())  # so that a reply leaves with the receipt
            finally:
                self.marked = False
        if self.batch.values:
            self._hand_over()
        asked = replica.requests.number
        ready = replica.ready(now)
        self._room(self.first)
        self._carry_out(ready)
        self.news.tell(ready)
        if ready.requests:
            if self._handler is None:
                replica.owner.inbox[:0] = ready.requests
            else:
                self._handler(list(ready.requests))
        requests = replica.requests
        moved = ready.frames or ready.settled or ready.answered
        if replica.cluster.more or requests.number != asked or (requests.unsent and moved):
            self.mark()
        if self._conditions:
            for predicate, future in list(self._conditions):
                if not future.done() and predicate():
                    future.set_result(None)
        self._arm(now)

    def _arm(self, now: float) -> None:
        """Keep one timer, at or before the replica's deadline; early wakes do no harm.

        To find the deadline costs as much as a small turn, so while turns follow each other it is
        looked for when a timer fires, every `TICK_S`.
        """
        if self._timer is not None:
            if self._due <= now + TICK_S:
                return
            self._timer.cancel()
            self._due = now + TICK_S
        else:
            self._due = self.replica.deadline
        self._timer = self.loop.call_later(max(0.0, self._due - now), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.mark()

    def _carry_out(self, ready: Ready) -> None:
        """Do what the replica wants done in the world."""
        transport = self.transport
        if ready.entries and self._keep is not None:
            self._keep.write(ready.entries)
        if ready.frames:
            self._send(ready.frames, transport.send)
        for link_id, reason in ready.closes:
            transport.close(link_id, reason)
        for contact, address in ready.dials:
            timeout_s = self.options.constants.connections.timeout / 1000
            link_id = transport.dial(address.host, address.port, timeout_s)
            self.replica.peering.dialing(contact, link_id)

    def fail(
        self, error: Exception, event: str, *, context: str = "", peer: str | None = None,
        change: Any = None,
    ) -> None:
        """Tell of an error that has no caller to raise to."""
        self.news.fail(error, event, context=context, peer=peer, change=change)

    def __repr__(self) -> str:
        replica = getattr(self, "replica", None)
        return f"<Node {self.service} {replica!r}>"


def _bare(host: str) -> bool:
    return host.count(":") != 1 and not host.startswith("[")


def _named(custom: Callable[[bytes], int] | None) -> str:
    return "mmh3" if custom is None else getattr(custom, "__qualname__", "custom")


