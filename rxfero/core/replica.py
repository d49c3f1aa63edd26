"""The replica: all of one process without its sockets, clock and tasks (STYLE 4).

Everything that happens to a node goes in by a method (a link opened, a frame came, the program
asks, time passed), and everything it wants done comes out of :meth:`Replica.ready`, drained once a
loop turn, in batches: frames to send, addresses to dial, links to close, requests for the handler,
records applied, settled calls, notices. It takes time and randomness as arguments, so a simulator
runs exactly this.

Here are the links, the table of who handles which frame, the membership traffic and the ticks;
the data plane is in :mod:`router`, :mod:`owner` and :mod:`follower`, the control plane in
:mod:`succession`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rxfero.core import frame
from rxfero.core.answers import Answers
from rxfero.core.batch import Batch
from rxfero.core.call import Call
from rxfero.core.cluster import Cluster
from rxfero.core.columns import is_column
from rxfero.core.figures import Figures
from rxfero.core.follower import Follower
from rxfero.core.histories import Histories
from rxfero.core.journal import Entry, Journal, Replay
from rxfero.core.link import Identity, Link
from rxfero.core.members import ALIVE, DEAD, JOINING, LEAVING, Member, Members
from rxfero.core.messages import Inbound, Run
from rxfero.core.owner import Owner
from rxfero.core.peering import CLIENT, Address, Contact, Peering
from rxfero.core.position import Term
from rxfero.core.ready import Ready
from rxfero.core.requests import Requests
from rxfero.core.ring import Ring, shard_of
from rxfero.core.router import Router
from rxfero.core.settings import Settings
from rxfero.core.shard import FOLLOWER, OWNER
from rxfero.core.succession import Succession
from rxfero.errors import ProtocolError

BUSY_S, IDLE_S = 0.05, 0.25  # between ticks while something is unfinished, and otherwise
AGAIN_S = 2.0  # between attempts to reach members that are not linked
LEAVE_S = 10.0  # longest a graceful leave waits for its successors
RELAYED = frame.ADMITTED[frame.SERVER, frame.SERVER] - {frame.RELAY}  # kinds in a RELAY
LAG = 64  # records a joining server may still lack when it enters the ring


class Replica:
    """One node's decisions.

    Args:
        settings: Name, boot, role, constants, randomness; fixed for life.
        identity: What the handshake tells of this node.
        now: Monotonic seconds.
        wall_s: Wall clock in seconds at `now`.
        secret: Shared secret of the cluster, or None.
        restores: Whether founding has to leave time for another's restore.
    """

    def __init__(
        self, settings: Settings, identity: Identity, now: float, wall_s: float, *,
        secret: str | None = None, restores: bool = False,
    ) -> None:
        self.settings, self.identity, self._secret = settings, identity, secret
        constants = settings.constants
        me = None
        if not settings.client:
            me = Member(
                settings.name, settings.boot, identity.host, identity.port, JOINING, 0, now
            )
        beat = constants.heartbeat
        self.members = Members(me, beat.suspect / 1000, beat.dead / 1000)
        self.cluster = Cluster(settings, self.members)
        self.cluster.now, self.cluster.wall_offset = now, wall_s - now
        self.requests = Requests(
            settings.name, settings.rng, constants.requests.timeout / 1000,
            (int(constants.retain.records), int(constants.retain.bytes)), self.cluster.follows,
        )
        self.owner = Owner(self.cluster)
        self.succession = Succession(self.cluster)
        self.follower = Follower(self.cluster, self.succession)
        self.histories = Histories(self.cluster)
        self.router = Router(self.cluster, self.owner, self.requests)
        self.answers = Answers(self.cluster, self.owner, self.requests, self.router.server_of)
        self.peering = Peering(constants, settings.client, settings.rng)
        self.figures = Figures()
        self.links: dict[int, Link] = {}
        self._probes: set[int] = set()
        self._plain = settings.partition is None and settings.hash is None
        self.discovered = False
        self.settle_s = 0.0  # silence after which nobody else is expected; set by the node
        self._met, self._born, self._restores = now, now, restores
        self._woken = self._tick = self._dial_at = self._pinged = self._searched = now
        self._suspicions: dict[str, int] = {}
        self._compared: dict[str, float] = {}
        self._said: tuple[float, list[Any]] = (-1.0, [])
        self._joining = float("inf")  # since when others have been known to be in the ring
        self._in_sync: set[str] = set()
        self._table = (-1, -1)
        self._leaving: float | None = None
        self._closes: list[tuple[int, str]] = []
        self._handlers: dict[int, Callable[[str, Any], None]] = {
            frame.MEMBERS: self._on_members,
            frame.PINGREQ: self._on_pingreq,
            frame.PINGACK: self._on_pingack,
            frame.PREPARE: self.succession.on_prepare,
            frame.PROMISE: self.succession.on_promise,
            frame.FENCED: self.succession.on_fenced,
            frame.FETCH: self.succession.on_fetch,
            frame.FETCHED: self.succession.on_fetched,
            frame.BRANCH: self.succession.on_branch,
            frame.SBRANCH: self.succession.on_dump,
            frame.APPEND: self.follower.on_append,
            frame.APPENDED: self._on_appended,
            frame.FEED: self.follower.on_feed,
            frame.COMMITTED: self.follower.on_committed,
            frame.ROUND: self.follower.on_round,
            frame.ROUNDED: self.owner.reads.on_rounded,
            frame.NACK: self.histories.on_nack,
            frame.SNAP: self.follower.on_snap,
            frame.HEADS: self.histories.on_heads,
            frame.SAFE: self._on_safe,
            frame.REQUEST: lambda source, body: self.router.on_request(source, body, client=True),
            frame.FORWARD: lambda source, body: self.router.on_request(source, body, client=False),
            frame.ACK: lambda source, body: self.router.on_ack(body),
            frame.MESSAGE: self.router.on_messages,
            frame.ANSWER: lambda source, body: self.router.on_answers(body),
            frame.REPLY: lambda source, body: self.router.on_reply(body),
            frame.PARTIAL: lambda source, body: self.answers.on_partial(body),
            frame.CANCEL: lambda source, body: self.answers.on_word(frame.CANCEL, body),
            frame.MORE: lambda source, body: self.answers.on_word(frame.MORE, body),
            frame.GONE: lambda source, body: self.answers.gone(body[0]),
            frame.RELAY: self._on_relay,
        }

    # --- the disk

    def remember(self, entries: Iterable[Entry], *, whole: bool) -> None:
        """Take up what a disk holds of this node, before anything else; from now on keep it.

        Args:
            entries: Of :mod:`rxfero.core.journal`, in order.
            whole: Whether nothing came before the first.

        Raises:
            ProtocolError: they cannot be read, or do not fit together.
        """
        cluster = self.cluster
        replay = Replay(cluster.shards, whole=whole)
        for kind, body in entries:
            replay.take(kind, body)
        replay.done()
        cluster.clock.observe(replay.stamp)
        for shard in cluster.shards:
            if shard.log.end:
                cluster.touched.add(shard.id)
                cluster.expiring.add(shard.id)
            if self.settings.partition is not None:
                cluster.index.update(dict.fromkeys(shard.state.parts, shard.id))
        cluster.journal = Journal(cluster.shards)

    def wrote(self, now: float, *, synced: bool) -> None:
        """The oldest entries that were given to be written are written (and fsynced)."""
        cluster = self.cluster
        cluster.now = now
        journal = cluster.journal
        assert journal is not None, "entries of a node without a journal"
        for shard in cluster.safe_on_disk(journal.wrote(synced=synced)):
            self.owner.levels.safer(shard)

    def unwritten(self) -> None:
        """Entries could not be written; what is kept from now on begins anew later."""
        journal = self.cluster.journal
        assert journal is not None, "entries of a node without a journal"
        journal.failed()

    @property
    def rewriting(self) -> bool:
        """Whether a new beginning of the journal is not whole yet."""
        journal = self.cluster.journal
        return journal is not None and journal.beginning

    def rewrite(self) -> None:
        """Begin the journal anew: it has become large, or it had failed."""
        journal = self.cluster.journal
        assert journal is not None, "entries of a node without a journal"
        self.cluster.flush_log()
        journal.begin()

    # --- links

    def opened(self, link_id: int, dialed: Address | None, now: float) -> None:
        """A connection is there: say hello."""
        self.cluster.now = self._met = now
        beat = self.settings.constants.heartbeat
        self.links[link_id] = link = Link(
            link_id, self.identity, dialed, now,
            ping_ms=beat.ping, dead_ms=beat.suspect + beat.dead,
            timeout_ms=self.settings.constants.connections.timeout,
            secret=self._secret, nonce=self.settings.rng.randbytes(32), accept=self._accept,
            wall_ms=self.cluster.wall_ms, skew_ms=self.settings.constants.clock.skew,
        )
        self._drain(link)

    def dial_failed(self, link_id: int, reason: str, now: float) -> None:
        """A dial came to nothing."""
        self.cluster.now = now
        self._probes.discard(link_id)
        contact = self.peering.links.get(link_id)
        if contact is None:
            return
        if contact.name is not None and "refused" in reason.lower():
            self.members.refused(contact.name)
            self._tick = now
        self.peering.closed(link_id, reason, now)

    def closed(self, link_id: int, reason: str, now: float) -> None:
        """A connection has ended."""
        self.cluster.now = now
        link = self.links.pop(link_id, None)
        if link is None:
            self.dial_failed(link_id, reason, now)
            return
        self._probes.discard(link_id)
        reason = link.reason or reason
        peer = link.peer
        for_good = link.state == "closed" and not self._wanted(link)
        if peer is not None:
            self._unlinked(link_id, peer, now)
        elif link.reason:
            self.cluster.note("refused", (link_id, link.reason))
        self.peering.closed(link_id, reason, now, for_good=for_good)

    def broken(self, link_id: int, reason: str, now: float) -> None:
        """What came on a connection makes no frames: end it, and tell the peer why."""
        self.cluster.now = now
        link = self.links.get(link_id)
        if link is not None and link.state != "closed":
            self._finish(link, reason)

    def _wanted(self, link: Link) -> bool:
        return not link.refused or "in use" in (link.reason or "")

    def _unlinked(self, link_id: int, peer: Identity, now: float) -> None:
        cluster, name = self.cluster, peer.name
        if peer.role == "client":
            if cluster.clients.get(name) == link_id:
                del cluster.clients[name]
                cluster.feeds.pop(name, None)
                self.answers.gone(name)
                cluster.tell_all(frame.GONE, [name])
            return
        if peer.role == frame.WATCHER or cluster.servers.get(name) != link_id:
            return
        del cluster.servers[name]
        self.follower.forget(name)
        self.histories.forget(name)
        self.members.linked(name, False, now)
        self.requests.resend(now, lost=name)
        self._tick = now

    def receive(
        self, link_id: int, kind: int, flags: int, body: bytes | memoryview, now: float
    ) -> None:
        """A frame came.

        Raises:
            ProtocolError: the peer broke the protocol; its connection is to be closed.
        """
        self.cluster.now = now
        link = self.links.get(link_id)
        if link is None:
            return
        was = link.state
        try:
            admitted = link.receive(kind, flags, body, now)
        finally:
            if link.out:
                self._drain(link)
        if was != "open" and link.state == "open":
            self._linked(link_id, link, now)
        if link.state == "closed":
            self._closes.append((link_id, link.reason or "closed by the peer"))
            return
        if (peer := link.peer) is None:
            return
        if peer.role == "server":
            self.members.hears(peer.name, now)
        for payload in link.payloads if peer.role != frame.WATCHER else ():
            self._on_payload(peer.name, payload)
        link.payloads.clear()
        if admitted and kind == frame.MONITOR:
            self.cluster.frames.append((link_id, self.figures.answer(now)))
        elif admitted:
            self._dispatch(peer.name, kind, body)

    def _dispatch(self, source: str, kind: int, body: bytes | memoryview) -> None:
        handler = self._handlers.get(kind)
        if handler is None:
            raise ProtocolError(f"a frame of kind {kind} that nobody handles")
        limits = self.settings.constants.limits
        content = frame.unpack(kind, body, limits)
        try:
            handler(source, content)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            if isinstance(error, ProtocolError):
                raise
            raise ProtocolError(
                f"a frame of kind {kind} from {source} that cannot be read: {error!r}"
            ) from error

    def _drain(self, link: Link) -> None:
        out = link.out
        if out:
            self.cluster.frames.extend((link.id, data) for data in out)
            out.clear()

    def _accept(self, peer: Identity) -> str | None:
        """Give why a peer is refused, beyond what the handshake itself checks."""
        if peer.name == self.settings.name:
            return "this is the node itself" if peer.boot == self.settings.boot else (
                f"the name {peer.name!r} is in use by a live node"
            )
        if peer.role != "server":
            return None
        link = self.links.get(self.cluster.servers.get(peer.name, -1))
        if (
            link is not None
            and link.peer is not None
            and link.peer.boot != peer.boot
            and self.cluster.now - link.last_heard < self.members.suspect_s
        ):
            return f"the name {peer.name!r} is in use by a live node"
        return None

    def _linked(self, link_id: int, link: Link, now: float) -> None:
        """A handshake is done: keep one link a peer, and tell it what it needs."""
        cluster, peer = self.cluster, link.peer
        assert peer is not None, "an open link without a peer"
        self._probes.discard(link_id)
        if peer.role == frame.WATCHER:
            return
        client = peer.role == "client"
        table = cluster.clients if client else cluster.servers
        other = table.get(peer.name)
        if other is not None and other != link_id:
            rival = self.links[other]
            same = rival.peer is not None and rival.peer.boot == peer.boot
            if same and not client and self._prefers(rival, link, now):
                self._finish(link, "crossed dials: the other connection is kept")
                return
            del table[peer.name]
            cluster.feeds.pop(peer.name, None)  # it may be paused, with that link
            self._finish(rival, "crossed dials: the other connection is kept")
        if self.settings.client and len(cluster.servers) >= self.peering.limit:
            self._finish(link, "enough servers are connected")
            return
        address = Address(peer.host, peer.port)
        contact = self.peering.met(
            link_id, address, peer.name, peer.boot, peer.role, peer.group, now
        )
        table[peer.name] = link_id
        if client:
            cluster.note(CLIENT, contact)
            cluster.say(peer.name, frame.MEMBERS, self._members_body())
            return
        known = self.members.table.get(peer.name)
        if known is None or known.boot < peer.boot:
            self.members.merge([(peer.name, peer.boot, peer.host, peer.port, JOINING, 0)], now)
        self.members.linked(peer.name, True, now)
        if not self.settings.client:
            self.histories.cursor(peer.name, False).paused = False
            cluster.say(peer.name, frame.MEMBERS, self._members_body())
            self.succession.ask_again(peer.name)
        self.histories.ask(peer.name)

    def _prefers(self, old: Link, new: Link, now: float) -> bool:
        """Whether to keep the older of two links to one peer; both ends choose alike."""
        silent = now - old.last_heard > self.settings.constants.heartbeat.ping * 3 / 1000
        return not silent and old.order < new.order

    def _finish(self, link: Link, reason: str) -> None:
        link.close(reason, self.cluster.now)
        self._drain(link)
        self._closes.append((link.id, reason))

    def paused(self, link_id: int, paused: bool, now: float) -> None:
        """A connection takes no more bytes for the moment, or takes them again."""
        self.cluster.now = now
        link = self.links.get(link_id)
        if link is None or link.peer is None:
            return
        table = self.cluster.feeds if link.peer.role == "client" else self.cluster.cursors
        cursor = table.get(link.peer.name)
        if cursor is not None:
            self.cluster.flush_log()
            cursor.paused = paused
        self.peering.throttled(link_id, paused)

    # --- membership

    def _members_body(self) -> list[Any]:
        return [self.members.rows(), self.cluster.ring.checksum]

    def _on_members(self, source: str, body: Any) -> None:
        rows, checksum = body
        contact = self.peering.names.get(source)
        if contact is not None:
            contact.checksum = checksum
        me = self.members.me
        take = self.members.adopt if me is None else self.members.merge
        for member in take(rows, self.cluster.now):
            if member is me:
                self.cluster.say(source, frame.MEMBERS, self._members_body())  # refuted
                continue
            if member.state == DEAD:
                self._died(member.name)
            elif member.name not in self.cluster.servers and not self.settings.client:
                where = Address(member.host, member.port)
                self.peering.create(where, self.cluster.now, jitter=True)
            elif self.settings.client:
                self.peering.create(Address(member.host, member.port), self.cluster.now)
        self._tick = self.cluster.now

    def _on_pingreq(self, source: str, body: Any) -> None:
        (target,) = body
        member = self.members.table.get(target)
        if member is not None and member.linked:
            age = int((self.cluster.now - member.heard) * 1000)
            self.cluster.say(source, frame.PINGACK, [target, age])

    def _on_pingack(self, source: str, body: Any) -> None:
        target, age = body
        if type(age) is int and age < self.members.suspect_s * 1000:
            self.members.hears(target, self.cluster.now - max(0, age) / 1000, via=source)
            cursor = self.cluster.cursors.get(target)
            if cursor is not None:
                cursor.paused = False

    def _on_relay(self, source: str, body: Any) -> None:
        target, origin, kind, packed = body
        if kind not in RELAYED or type(packed) is not bytes:
            raise ProtocolError(f"a frame of kind {kind!r:.80} that nobody passes on")
        if target == self.settings.name:
            if origin in self.members.table:
                self.members.hears(origin, self.cluster.now, via=source)
                self._dispatch(origin, kind, packed)
            return
        link = self.cluster.servers.get(target)
        if link is not None:
            self.cluster.say_link(link, frame.RELAY, body)

    def _died(self, name: str) -> None:
        cluster = self.cluster
        cluster.cursors.pop(name, None)
        self.succession.gone(name)
        self.answers.gone(name)
        for shard in cluster.shards:
            if shard.owner == name:
                shard.owner = None
        self.owner.levels.resolve_all()
        self.requests.resend(cluster.now, lost=name)

    def _payload(self) -> list[Any]:
        """What a PING tells: digests of the table and of what this node owns."""
        cluster = self.cluster
        if self._said[0] != cluster.now:
            owned = cluster.digest(cluster.name) if not cluster.client else 0
            body = [self.members.digest, owned, cluster.ring.checksum]
            self._said = (cluster.now, body)
        return self._said[1]

    def _on_payload(self, source: str, payload: Any) -> None:
        if not is_column(payload, 3) or source not in self.cluster.servers:
            return
        members, owned, checksum = payload
        contact = self.peering.names.get(source)
        if contact is not None:
            contact.checksum = checksum
        if self.settings.client:
            return
        if members != self.members.digest:
            self.cluster.say(source, frame.MEMBERS, self._members_body())
        now = self.cluster.now
        if now - self._compared.get(source, 0.0) < self.settings.constants.heartbeat.ping / 1200:
            return  # once a heartbeat is enough
        self._compared[source] = now
        if owned == self.cluster.digest(source):
            self._suspicions.pop(source, None)
            return
        seen = self._suspicions[source] = self._suspicions.get(source, 0) + 1
        if seen >= 3:  # a mismatch that stands for longer than a second: a frame was lost
            del self._suspicions[source]
            self.histories.ask(source)
            self.histories.fence(source)

    # --- the program

    def submit(self, call: Call, now: float) -> None:
        """Take a request of the program; it settles by a later turn."""
        cluster = self.cluster
        cluster.now = now
        path = call.path
        if path and self._plain:
            self.requests.submit(call, shard_of(path[0], cluster.count), now)
        else:
            self.router.submit(call, now)

    def send(self, batch: Batch, now: float) -> None:
        """Take messages without keys, a batch at a time."""
        self.cluster.now = now
        self.requests.send(batch, now)

    def apply(self, inbound: Inbound, now: float) -> Any:
        """Carry out the default verb of a request (the handler's `next()`)."""
        self.cluster.now = now
        return self.owner.apply(inbound)

    def answer(self, inbound: Inbound, status: int, value: bytes | None, now: float) -> None:
        """Take a handler's last answer."""
        self.cluster.now = now
        self.owner.reply(inbound, status, value)

    def answer_all(self, run: Run, answers: list[Any], now: float, *, whole: bool) -> None:
        """Take a handler's answers to a batch of messages; `PENDING` for those that follow."""
        self.cluster.now = now
        self.owner.answer_all(run, answers, whole=whole)

    def probe(self, link_id: int) -> None:
        """Note that an address proposed by discovery is being tried."""
        self._probes.add(link_id)

    @property
    def probing(self) -> bool:
        """Whether some proposed address has not answered or failed yet."""
        return bool(self._probes)

    @property
    def probes(self) -> int:
        """How many proposed addresses have not answered or failed yet."""
        return len(self._probes)

    def leave(self, now: float) -> None:
        """Begin to leave: the ring goes on without this node, which serves until replaced."""
        self.cluster.now = now
        me = self.members.me
        self._leaving = now
        if me is not None and me.state != LEAVING:
            self.members.become(LEAVING, now)
        self._tick = now

    @property
    def left(self) -> bool:
        """Whether nothing depends on this node any more."""
        if self.settings.client or self._leaving is None:
            return self._leaving is not None
        if self.cluster.now - self._leaving > LEAVE_S:
            return True
        states = {m.state for m in self.members.others()}
        if ALIVE not in states:
            return JOINING not in states  # who joins may have to take over yet
        quorum = self.cluster.quorum
        if quorum is not None:
            others = [m.name for m in self.members.others() if m.state == ALIVE]
            if quorum.heard(others) < quorum.need:
                return True  # nobody could take over
        return all(
            s.role == FOLLOWER and s.owner is not None and s.log.last_term == s.promised
            and not (s.branches or s.dumps)
            for s in self.cluster.shards
        )

    def goodbye(self, now: float) -> None:
        """Close every link with the word that this node has left."""
        self.cluster.now = now
        for link in self.links.values():
            link.close("the node has left the cluster", now)
            self._drain(link)

    # --- time

    @property
    def deadline(self) -> float:
        """When :meth:`wake` is due at the latest, in monotonic seconds."""
        if self.cluster.more:
            return self.cluster.now
        dial_at = self.peering.deadline if self.peering.changed else self._dial_at
        every = [link.deadline for link in self.links.values()]
        every += (self._tick, self.requests.deadline, dial_at)
        return min([due for due in every if due is not None])

    def wake(self, now: float) -> None:
        """Do what time makes due."""
        cluster = self.cluster
        stall = now - max(self._woken, self.deadline)
        cluster.now = self._woken = now
        if stall > self.members.suspect_s:
            self._stalled(stall)
        cluster.flush_log()
        for link in list(self.links.values()):
            link.ping_payload = self._payload
            link.wake(now)
            self._drain(link)
            if link.state == "closed":
                self._closes.append((link.id, link.reason or "closed"))
        expired = self.requests.wake(now)
        self.answers.late(expired)
        self.router.expired(expired)
        if now < self._tick:
            return
        if not self.settings.client:
            self._beat(now)
        self._compact()
        self._search(now)
        self._tick = now + (BUSY_S if self._unfinished else IDLE_S)

    def _stalled(self, stall: float) -> None:
        """This process did not run for long: it may have been replaced meanwhile (R15)."""
        self.members.shift(stall)
        if not self.members.others():
            return
        for shard in self.cluster.shards:
            if shard.role != FOLLOWER:
                shard.role, shard.owner = FOLLOWER, None
                self.succession.lost.append(shard)

    @property
    def _unfinished(self) -> bool:
        me = self.members.me
        return bool(
            self.succession.rounds
            or self.router.parked
            or self._leaving
            or (me is not None and me.state == JOINING)
            or any(m.suspected or m.refused for m in self.members.others())
        )

    def _beat(self, now: float) -> None:
        cluster = self.cluster
        verdicts = self.members.wake(now)
        for helper, target in verdicts.ask:
            cluster.say(helper, frame.PINGREQ, [target])
        for name in verdicts.died:
            self._died(name)
        self.members.forget(now, self.settings.constants.forget.after / 1000)
        self._found(now)
        self.owner.levels.late()
        self.owner.expire()
        self.succession.offer()
        self.succession.stale = True
        if now - self._pinged >= self.settings.constants.heartbeat.ping / 1000:
            self._pinged = now
            self._tell_safe()
            for name, cursor in cluster.cursors.items():
                if name not in cluster.servers and cluster.reaches(name):
                    cursor.press(s for s in cluster.shards if s.role == OWNER)

    def _found(self, now: float) -> None:
        """Enter the ring: as the founder, or after catching up with those who are in it (R14)."""
        me = self.members.me
        if me is None or me.state != JOINING:
            return
        others = self.members.others()
        alive = [m for m in others if m.state in (ALIVE, LEAVING)]
        if alive:
            self._joining = min(self._joining, now)
            waits = now - self._joining < self.members.suspect_s  # for those not reached yet
            owing = {m.name for m in alive if m.linked or waits} - self.histories.synced
            if any(m.linked for m in alive) and not owing:
                self.members.become(ALIVE, now)
            return
        wait = self.settings.constants.restore.wait / 1000
        if not self.discovered or (self._restores and now - self._born < wait):
            return
        if now - self._met < self.settle_s:
            return  # others that start now are still coming: one of them all founds
        joining = [m.name for m in others if m.state == JOINING and m.linked]
        if not joining or min(joining) > me.name or now - self._born > 5 * max(wait, 1.0):
            self.members.become(ALIVE, now)

    def _compact(self) -> None:
        """Bound the history of every shard (R13)."""
        keep_ = int(self.settings.constants.partitions.history.max)
        client, touched = self.settings.client, self.cluster.touched
        for number in list(touched):
            shard = self.cluster.shards[number]
            log = shard.log
            excess = len(log.records) - keep_
            if excess <= max(16, keep_ // 8):
                if shard.role != OWNER or shard.safe >= log.end:
                    touched.discard(number)
                continue
            point = log.end - keep_
            alone = client or len(self.members.table) == 1
            if not alone and len(log.records) < 4 * keep_:
                if self.members.dead:
                    continue  # it may only be cut off, and come back with what it wrote
                point = min(point, shard.stable)
            if shard.prefix is not None:
                point = min(point, shard.prefix.number)  # I15: readers have to get there yet
            if point > log.base:
                log.compact(point)

    def _tell_safe(self) -> None:
        """Tell all how far each shard is on every live server."""
        cluster = self.cluster
        names = [m.name for m in self.members.others()]
        whole = not self.members.dead
        by_fence: dict[Term, tuple[list[int], list[int]]] = {}
        for number in list(cluster.touched):
            shard = cluster.shards[number]
            if shard.role != OWNER:
                continue
            cursors = cluster.cursors
            ends = [cursors[n].match.get(number, 0) if n in cursors else 0 for n in names]
            point = min(ends, default=shard.log.end)
            if point > shard.safe or (whole and point > shard.stable):
                shard.safe = point
                if whole:
                    shard.stable = max(shard.stable, point)
                group = by_fence.setdefault(shard.term, ([], []))
                group[0].append(number)
                group[1].append(point)
        for fence, (numbers, points) in by_fence.items():
            cluster.tell_all(frame.SAFE, [fence, numbers, points], clients=True)
            self._safe(fence, list(zip(numbers, points, strict=True)))

    def _on_appended(self, source: str, body: Any) -> None:
        self.owner.levels.acknowledged(source, *self.histories.on_appended(body))

    def _on_safe(self, source: str, body: Any) -> None:
        term, pairs = self.follower.on_safe(source, body)
        for number, _ in pairs:
            self.cluster.touched.add(number)
        self._safe(term, pairs)
        if self.cluster.clients:
            for name in self.cluster.clients:
                self.cluster.say(name, frame.SAFE, body)

    def _safe(self, term: Term, pairs: list[tuple[int, int]]) -> None:
        self.requests.safe(term, dict(pairs), self.cluster.shards)
        self.cluster.note("stable", pairs)

    def _search(self, now: float) -> None:
        """Dial again, every now and then, the members that are not linked."""
        if now - self._searched < AGAIN_S:
            return
        self._searched = now
        for member in list(self.members.table.values()):
            if member is self.members.me or member.name in self.cluster.servers:
                continue
            self.peering.create(Address(member.host, member.port), now)

    # --- draining

    def take_requests(self) -> list[Inbound | Run]:
        """Give the requests for the handler that are here already."""
        inbox, self.owner.inbox = self.owner.inbox, []
        return inbox

    def ready(self, now: float) -> Ready:
        """Give what this turn wants done."""
        cluster = self.cluster
        cluster.now = now
        ready = Ready()
        if self._table[0] != self.members.version:
            self._ring()
        if not self.settings.client:
            self.succession.advance()
            self._handed_over()
        if self.requests.unsent:
            self.router.flush_calls()
        if cluster.fresh or cluster.seen:
            cluster.flush_log()
        if self.owner.reads.asked:
            self.owner.reads.flush()
        if cluster.commits:
            cluster.flush_commits()
        if cluster.acks:
            cluster.flush_acks()
        if cluster.cursors or cluster.feeds:
            self.histories.flush()
        if self.owner.answers or self.owner.unknown:
            self.router.flush_answers()
        if self.succession.readd or self.requests.lost or self.requests.settled:
            self.router.go_on(self.succession.readd, now)
        if cluster.journal is not None and cluster.journal.waiting:
            ready.entries = cluster.journal.take()
        if self.peering.changed or now >= self._dial_at or self.histories.synced != self._in_sync:
            self._peers(ready, now)
        self._drain_into(ready)
        return ready

    def _peers(self, ready: Ready, now: float) -> None:
        peering, changed = self.peering, self.peering.changed
        if changed or now >= self._dial_at:
            peering.changed = False
            ready.dials = [(c, c.address) for c in peering.due(now) if self._may_dial(c)]
            due = peering.deadline
            self._dial_at = float("inf") if due is None else due
        if changed or self.histories.synced != self._in_sync:
            self._in_sync = set(self.histories.synced)
            for name in self._in_sync:
                if (link := self.cluster.servers.get(name)) is not None:
                    self.peering.connected(link)

    def _drain_into(self, ready: Ready) -> None:
        cluster, router, requests = self.cluster, self.router, self.requests
        if cluster.frames:
            ready.frames, cluster.frames = cluster.frames, []
        if self._closes:
            ready.closes, self._closes = self._closes, []
        if cluster.changes:
            ready.changes, cluster.changes = cluster.changes, []
        if router.acked:
            ready.acked, router.acked = router.acked, []
        if self.answers.came:
            ready.partials, self.answers.came = self.answers.came, []
        if router.settled:
            ready.settled, router.settled = router.settled, []
        if requests.whole:
            ready.answered, requests.whole = requests.whole, []
        if self.owner.inbox:
            ready.requests, self.owner.inbox = self.owner.inbox, []
        if self.peering.news:
            ready.news, self.peering.news = self.peering.news, []
        if cluster.notices:
            ready.notices, cluster.notices = cluster.notices, []

    def _may_dial(self, contact: Contact) -> bool:
        if contact.address != (self.identity.host, self.identity.port):
            return True
        contact.next_at = float("inf")  # who was here before us; else it would be due for ever
        return False

    def _ring(self) -> None:
        """Rebuild the ring when the members in it changed, and tell all."""
        cluster = self.cluster
        names = self.members.ring()
        if names != cluster.ring.members:
            constants = self.settings.constants
            cluster.ring = Ring(
                names, vnodes=constants.dht.vnodes, shards=cluster.count, hash=self.settings.hash
            )
            cluster.note("checksum", cluster.ring.checksum)
            self.succession.stale = True
        self._table = (self.members.version, 0)
        if not self.settings.client:
            cluster.tell_all(frame.MEMBERS, self._members_body(), clients=True)
            self.router.unpark()

    def _handed_over(self) -> None:
        """Do what follows from shards won and lost in this turn."""
        if self.succession.lost:
            self.succession.stale = True
            for shard in self.succession.lost:
                self.owner.levels.lost(shard)
            self.cluster.note("owner", [s.id for s in self.succession.lost])
            self.succession.lost.clear()
        if self.succession.became:
            self.cluster.note("owner", [s.id for s in self.succession.became])
            self.succession.became.clear()
        if self.router.parked:
            self.router.unpark()

    def invariants(self) -> None:
        """Check what must hold between any two events (I1-I3, I14, I15 in their local forms)."""
        for shard in self.cluster.shards:
            shard.invariants()

    def __repr__(self) -> str:
        role = "client" if self.settings.client else "server"
        owned = sum(s.role == OWNER for s in self.cluster.shards)
        return f"<Replica {self.settings.name} {role} owns {owned} of {self.cluster.count} shards>"


