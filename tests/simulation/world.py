"""The world: replicas on virtual time, in a network that a seed makes as bad as it likes.

It does for every :class:`~rxfero.core.replica.Replica` what the node does in a real process:
after what happened in one instant it drains `ready` and carries it out, and it calls `wake` at the
deadline. Time is a heap of events, chance is one seeded generator, so a seed is a run: the same
seed gives the same trace.

Connections are TCP's promise and no more: bytes arrive in order or the connection ends. A cut
stalls what is under way; it arrives after the heal, unless one side gave the connection up.
"""

from __future__ import annotations

import heapq
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from operator import attrgetter
from random import Random
from typing import Any, NamedTuple

from rxfero.constants import Constants
from rxfero.core import catchup, frame, succession
from rxfero.core.branches import newer, numbered
from rxfero.core.call import DURABLE, MISSING, OK, READ, Call
from rxfero.core.change import COUNT, DATA, LOST, VOID, Record
from rxfero.core.journal import BEGIN, WHOLE, Entry, Replay
from rxfero.core.link import Identity
from rxfero.core.members import ALIVE
from rxfero.core.owner import Inbound
from rxfero.core.path import overlaps
from rxfero.core.peering import Address
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.quorum import Prefix, Quorum
from rxfero.core.replica import Replica
from rxfero.core.sessions import Sessions
from rxfero.core.settings import Settings
from rxfero.core.shard import OWNER, Shard
from rxfero.core.state import State
from rxfero.core.value import pack, unpack
from rxfero.errors import ProtocolError, RxferoError
from rxfero.testing.checkers import UNKNOWN, Operation, Violation, linearizable

PORT = 7000
EPOCH_S = 1_700_000_000.0
SCAN_S = 2.0
REGISTER = "register"  # the keys whose reads and writes are judged together (I9)

CONSTANTS: dict[str, Any] = {
    "shards": 16,
    "dht.vnodes": 8,
    "restore.wait": 50,
    "retries.cap": 2_000,
    "retries.max": 1_000,
}


class Write(Call):
    """A call of the simulated program, and what the world has to know to judge it."""

    __slots__ = ("born", "crashes", "ended", "epoch", "sid", "told", "writer")

    def __init__(self, verb: str, path: Any, value: bytes, level: int, **rest: Any) -> None:
        super().__init__(verb, path, value, level, **rest)
        self.writer = self.sid = ""
        self.crashes = 0
        self.epoch = 0  # of the process that asked
        self.born = 0.0
        self.ended = UNKNOWN
        self.told = 0  # how often it settled


class Wire:
    """One connection: two directions that keep their order."""

    __slots__ = ("alive", "bytes", "ends", "flight", "id", "last", "paused", "pumping")

    def __init__(self, number: int, dialer: Host, link: int, listener: Host) -> None:
        self.id = number
        self.ends: list[tuple[Host, int, int]] = [
            (dialer, dialer.epoch, link), (listener, listener.epoch, -1)
        ]
        self.alive = [True, True]
        self.flight: list[deque[tuple[float, str, Any]]] = [deque(), deque()]
        self.last = [0.0, 0.0]
        self.bytes = [0, 0]
        self.paused = [False, False]
        self.pumping = [False, False]


class Disk:
    """What a host finds again after a crash: entries that were fsynced, and some that were not."""

    def __init__(self) -> None:
        self.safe: list[Entry] = []
        self.under_way: list[list[Entry]] = []
        self.whole = True  # whether `safe` begins with nothing before it

    def synced(self) -> None:
        """The oldest write under way is safe."""
        self._put(self.under_way.pop(0))

    def _put(self, entries: list[Entry]) -> None:
        self.safe += entries
        kinds = [kind for kind, _ in self.safe]
        if WHOLE in kinds:
            begun = len(kinds) - 1 - kinds[::-1].index(BEGIN)
            if WHOLE in kinds[begun:]:
                del self.safe[: begun + 1]
                self.safe.remove((WHOLE, b""))
                self.whole = False

    def crash(self, rng: Random) -> None:
        """Keep some of what was not fsynced, in order, the last write torn."""
        for batch in self.under_way[: rng.randint(0, len(self.under_way))]:
            torn = rng.random() < 0.3
            if torn and (BEGIN, b"") in batch:
                break
            self._put(batch[: rng.randint(0, len(batch))] if torn else batch)
            if torn:
                break
        self.under_way.clear()

    def shards(self, count: int) -> list[Shard]:
        """Give what a node would find."""
        shards = [Shard(i, quorum=World.current.quorum is not None) for i in range(count)]
        replay = Replay(shards, whole=self.whole)
        for kind, body in self.safe:
            replay.take(kind, body)
        replay.done()
        return shards


class Host:
    """One process: a replica, its links and its timer. It may be down, or stopped for a while."""

    def __init__(self, world: World, name: str, address: Address, client: bool) -> None:
        self.world, self.name, self.address, self.client = world, name, address, client
        self.epoch = 0
        self.up = False
        self.stopped = False
        self.skew = 0.0
        self.group: str | None = None
        self.follow: tuple[str, ...] | None = None  # of a client: the keys that it holds
        self.replica: Replica
        self.wires: dict[int, tuple[Wire, int]] = {}
        self.backlog: list[Callable[[], None]] = []
        self.left = False
        self.leaving = False
        self.disk: Disk | None = None
        self.kept: list[Shard] = []  # what is on its disk while it is down
        self._links = 0
        self._marked = False
        self._timer = float("inf")
        self._spins = (0.0, 0)
        self._wait = 0.25
        self._scanning = False

    # --- life

    def start(self) -> None:
        """Begin anew: a new boot, an empty memory, the same name and address."""
        world, rng = self.world, self.world.rng
        self.epoch += 1
        self.up, self.stopped, self.left, self.leaving = True, False, False, False
        self.wires, self.backlog, self._marked = {}, [], False
        self._timer, self._wait, self._scanning = float("inf"), 0.25, False
        wall = EPOCH_S + world.now + self.skew
        boot = (int(wall * 1000) << 22) | rng.getrandbits(22)
        role = "client" if self.client else "server"
        host, port = ("", 0) if self.client else self.address
        identity = Identity("rxfero", "sim", self.name, boot, role, self.group, host, port, "d")
        seed = rng.getrandbits(64)
        settings = Settings(
            self.name, boot, self.client, world.constants, Random(seed), None, None, world.handled,
            None if self.client else world.quorum, self.follow,
        )
        self.replica = Replica(settings, identity, world.now, wall)
        self.kept = []
        if self.disk is not None:
            self.replica.remember(self.disk.safe, whole=self.disk.whole)
            for shard in self.replica.cluster.shards:
                self.world.remembered(self, shard)
        compact = self.replica._compact
        self.replica._compact = lambda: world.compacted(self, compact)
        self.mark()
        world.after(0.0, self._find, self.epoch)

    def crash(self) -> None:
        """End as by kill -9: memory and what was not sent are gone."""
        world = self.world
        if self.disk is not None:
            self.disk.crash(world.rng)
            self.kept = self.disk.shards(world.constants.shards)
        world.died(self)
        self.up = False
        for wire, end in list(self.wires.values()):
            wire.alive[end] = False
            if world.rng.random() < 0.5 and wire.flight[end]:
                keep = world.rng.randrange(len(wire.flight[end]))
                while len(wire.flight[end]) > max(1, keep):
                    wire.flight[end].pop()
            world.send(wire, end, "fin", "connection reset")
        self.wires.clear()

    def stop_for(self, seconds: float) -> None:
        """Stand still as by SIGSTOP."""
        if self.up and not self.stopped:
            self.stopped = True
            self.world.after(seconds, self._resume, self.epoch)

    def _resume(self, epoch: int) -> None:
        if epoch != self.epoch or not self.up:
            return
        self.stopped = False
        backlog, self.backlog = self.backlog, []
        self.world.unstall(self)
        for event in backlog:
            event()

    def leave(self) -> None:
        """Begin to leave gracefully."""
        if self.up and not self.leaving:
            self.leaving = True
            self.do(lambda: self.replica.leave(self.world.now))

    def _goodbye(self) -> None:
        self.left = True
        self.replica.goodbye(self.world.now)
        self._carry_out()
        if self.disk is not None:
            while self.disk.under_way:
                self.disk.synced()
            self.kept = self.disk.shards(self.world.constants.shards)
        self.world.gone(self)
        self.up = False
        for call in self.replica.requests.close():
            self.world.settled(call)
        for wire, end in list(self.wires.values()):
            self.world.close(wire, end, "the node has closed", tell=False)
        self.wires.clear()

    # --- what happens to it

    def do(self, event: Callable[[], None]) -> None:
        """Let something happen to this process, now or when it runs again."""
        if not self.up:
            return
        if self.stopped:
            epoch = self.epoch
            self.backlog.append(lambda: self.do(event) if epoch == self.epoch else None)
            return
        event()
        self.mark()

    def mark(self) -> None:
        """Ask for a turn."""
        if not self._marked:
            self._marked = True
            self.world.after(0.0, self._turn, self.epoch)

    def _turn(self, epoch: int) -> None:
        if epoch != self.epoch or not self.up:
            return
        self._marked = False
        if self.stopped:
            self.backlog.append(self.mark)
            return
        world, replica = self.world, self.replica
        now = world.now
        at, count = self._spins
        self._spins = (now, count + 1 if at == now else 0)
        assert self._spins[1] < 200, f"{self.name} spins at {now}"
        if now >= replica.deadline:
            replica.wake(now)
        self._carry_out()
        world.judge(self)
        if self._scanning and not replica.probing:
            self._done()
            self.mark()
        if self.leaving and replica.left:
            self._goodbye()
            return
        self._arm()

    def _arm(self) -> None:
        deadline = max(self.replica.deadline, self.world.now)
        if deadline < self._timer:
            self._timer = deadline
            self.world.at(deadline, self._on_time, (self.epoch, deadline))

    def _on_time(self, what: tuple[int, float]) -> None:
        epoch, deadline = what
        if epoch != self.epoch or not self.up or deadline != self._timer:
            return
        self._timer = float("inf")
        self.do(lambda: None)

    def _carry_out(self) -> None:
        world, replica = self.world, self.replica
        ready = replica.ready(world.now)
        for link, data in ready.frames:
            found = self.wires.get(link)
            if found is not None:
                world.send(found[0], found[1], "data", data)
        for link, reason in ready.closes:
            found = self.wires.get(link)
            if found is not None:
                world.close(found[0], found[1], reason)
        for contact, address in ready.dials:
            replica.peering.dialing(contact, self.dial(address))
        if ready.entries:
            assert self.disk is not None, "a node without a disk writes to it"
            self.disk.under_way.append(ready.entries)
            world.after(world.rng.random() * world.fsync, self._synced, self.epoch)
        world.observe(self, ready)
        if ready.requests or (replica.requests.queue and (ready.frames or ready.settled)):
            self.mark()  # when the node itself asks for another turn
        for inbound in ready.requests:
            delay = world.rng.random() * 0.02
            world.after(delay, self._handle, (self.epoch, inbound))

    def _synced(self, epoch: int) -> None:
        """An fsync has ended (on another thread: also while the process stands still)."""
        if epoch != self.epoch or not self.up or self.disk is None:
            return
        self.disk.synced()
        self.do(lambda: self.replica.wrote(self.world.now, synced=True))
        if self.world.rng.random() < 0.005 and not self.replica.rewriting:
            self.do(self.replica.rewrite)

    def _handle(self, what: tuple[int, Inbound]) -> None:
        epoch, inbound = what
        if epoch == self.epoch:
            self.do(lambda: self._handle_now(inbound))

    def _handle_now(self, inbound: Inbound) -> None:
        now = self.world.now
        try:
            self.replica.apply(inbound, now)
        except RxferoError:
            self.replica.answer(inbound, 7, pack(["x", "y"]), now)
        else:
            self.replica.answer(inbound, OK, None, now)

    # --- links

    def dial(self, address: Address) -> int:
        """Begin to connect."""
        link = self.new_link()
        what = (self, self.epoch, link, address)
        self.world.after(self.world.latency(), self.world.connect, what)
        return link

    def new_link(self) -> int:
        """Give a number for a link."""
        self._links += 1
        return self._links

    def _find(self, epoch: int) -> None:
        if epoch != self.epoch or not self.up or self.leaving:
            return
        self._scanning = True
        self.do(self._scan)
        self.world.after(SCAN_S, self._discovered, epoch)

    def _scan(self) -> None:
        replica = self.replica
        if self.client and replica.cluster.servers:
            return
        known = {c.address for c in replica.peering.servers.values()}
        for address in self.world.seeds():
            if address != self.address and address not in known:
                replica.probe(self.dial(address))

    def _discovered(self, epoch: int) -> None:
        if epoch != self.epoch or not self.up:
            return

        if self._scanning:
            self.do(self._done)

    def _done(self) -> None:
        self._scanning = False
        self.replica.discovered = True
        self._wait = min(2.0, self._wait * 2)
        self.world.after(self._wait, self._find, self.epoch)

    # --- the program

    def submit(self, call: Write) -> None:
        """Ask for something, if the process runs."""
        if not self.up or self.stopped or self.leaving:
            return
        world = self.world
        call.writer, call.crashes, call.born = self.name, world.crashes, world.now
        call.sid, call.epoch = self.replica.requests.sid, self.epoch
        self.replica.submit(call, world.now)
        world.calls.append((self, self.epoch, call))
        self.mark()

    @property
    def ready(self) -> bool:
        """Whether it serves (a server in the ring, a client with a server)."""
        if not self.up:
            return False
        if self.client:
            return bool(self.replica.histories.synced)
        me = self.replica.members.me
        return me is not None and me.state == 1

    def __repr__(self) -> str:
        return f"<Host {self.name} {'up' if self.up else 'down'} {getattr(self, 'replica', '')}>"


class Judged(NamedTuple):
    """What was seen of a shard when it was judged last."""

    promised: Term
    end: int
    role: int
    term: Term
    base: int
    committed: tuple[int, int]


NOTHING = (0, 0)
UNJUDGED = Judged(ZERO_TERM, 0, -1, ZERO_TERM, 0, NOTHING)
# After every event, of every shard: one call in C.
LOOK = attrgetter("promised", "log.end", "role", "term", "log.base")
LOOK_COMMITTED = attrgetter(
    "promised", "log.end", "role", "term", "log.base", "prefix.number", "prefix.commit"
)


class World:
    """Everything outside the replicas, and the judge of what they do."""

    current: World

    def __init__(
        self, seed: int, constants: dict[str, Any] | None = None, *, handled: bool = False,
        voters: tuple[str, ...] = (),
    ) -> None:
        self.quorum = Quorum(voters) if voters else None
        self.committed: dict[tuple[int, int], Record] = {}
        self._looks: dict[str, tuple[int, list[Any]]] = {}
        self._judged: dict[tuple[str, int], list[Judged]] = {}
        self._changed: dict[tuple[str, int], Shard] = {}  # whose invariants are to be looked at
        self._matched: dict[int, list[Any]] = {}
        self.seed, self.rng = seed, Random(seed)
        self.constants = Constants.of({**CONSTANTS, **(constants or {})})
        self.handled = handled
        self.now = 0.0
        self.trace = 0
        self.events = 0
        self.crashes = 0
        self.hosts: dict[str, Host] = {}
        self.cuts: set[tuple[str, str]] = set()
        self.wires: dict[int, Wire] = {}
        self.calls: list[tuple[Host, int, Write]] = []
        self.notices: list[tuple[str, str, Any]] = []
        self.errors: list[str] = []
        self.log: list[str] = []
        self.terms: dict[tuple[int, Term], str] = {}
        self.hostile = 0.0  # part of the frames that is lost; as many come late, or twice
        self.refused: list[str] = []  # what a hostile line brought that could not be taken
        self.excused: dict[tuple[str, int, int], int] = {}
        self.sworn: dict[tuple[str, int], Term] = {}  # promises of voters that have arrived
        self._applied: dict[tuple[str, int, int], int] = {}
        self._undone: set[int] = set()  # shards whose going back this turn has announced
        self.hops = 0  # most hops a request has made
        self.kinds: Counter[int] = Counter()  # frames delivered, by kind
        self._heap: list[tuple[float, int, Callable[..., None], Any]] = []
        self._count = 0
        World.current = self
        self.slowness = 1.0
        self.lost = 0
        self.reads = 0  # judged
        self.fsync = 0.01  # most seconds of one
        self.patience = 8.0  # seconds after which a side may give up a stalled connection

    # --- time

    def at(self, when: float, event: Callable[..., None], *args: Any) -> None:
        """Let something happen at a time."""
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, event, args))

    def after(self, delay: float, event: Callable[..., None], *args: Any) -> None:
        """Let something happen after a delay."""
        self.at(self.now + delay, event, *args)

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass; give whether `until` came true (looked at every 5 ms)."""
        end = self.now + seconds
        look = self.now
        while self._heap and self._heap[0][0] <= end:
            when, _, event, args = heapq.heappop(self._heap)
            if until is not None and when >= look:
                if until():
                    heapq.heappush(self._heap, (when, _, event, args))
                    return True
                look = when + 0.005
            self.now = when
            self.events += 1
            event(*args)
        self.now = end
        return until() if until is not None else True

    # --- hosts

    def host(self, name: str, *, client: bool = False, start: bool = True) -> Host:
        """Add a process."""
        found = Host(self, name, Address(f"10.0.0.{len(self.hosts) + 1}", PORT), client)
        self.hosts[name] = found
        if start:
            found.start()
        return found

    def servers(self) -> list[Host]:
        """Give the servers that are up."""
        return [h for h in self.hosts.values() if h.up and not h.client]

    def seeds(self) -> list[Address]:
        """Give the addresses that discovery proposes."""
        return [h.address for h in self.hosts.values() if not h.client]

    # --- network

    def latency(self) -> float:
        """Give the time a packet takes."""
        return (0.001 + self.rng.random() * 0.004) * self.slowness

    def cut(self, source: str, target: str) -> None:
        """Let nothing pass from one host to another."""
        self.cuts.add((source, target))
        for wire in list(self.wires.values()):
            names = (wire.ends[0][0].name, wire.ends[1][0].name)
            if names in ((source, target), (target, source)):
                for end in (0, 1):
                    self.after(
                        self.patience * (0.05 + self.rng.random()), self._give_up, wire, end
                    )

    def split(self, *groups: list[str]) -> None:
        """Cut all links between the groups."""
        for one in groups:
            for other in groups:
                if one is not other:
                    for a in one:
                        for b in other:
                            self.cut(a, b)

    def heal(self) -> None:
        """End all cuts."""
        self.cuts.clear()
        for wire in list(self.wires.values()):
            self._pump_soon(wire)

    def unstall(self, host: Host) -> None:
        """Deliver what waited for a process that runs again."""
        for wire, _ in list(host.wires.values()):
            self._pump_soon(wire)
        for wire in list(self.wires.values()):
            if wire.ends[1][0] is host and wire.ends[1][2] < 0:
                self._pump_soon(wire)

    def connect(self, what: tuple[Host, int, int, Address]) -> None:
        """A SYN arrives."""
        dialer, epoch, link, address = what
        if dialer.epoch != epoch or not dialer.up:
            return
        target = next((h for h in self.hosts.values() if h.address == address), None)
        timeout = self.constants.connections.timeout / 1000
        if target is not None and self._blocked(dialer, target, both=True):
            self.after(timeout, self._failed, dialer, epoch, link, "timed out")
        elif target is None or not target.up:
            self.after(self.latency(), self._failed, dialer, epoch, link, "Connection refused")
        else:
            self._count += 1
            wire = self.wires[self._count] = Wire(self._count, dialer, link, target)
            dialer.wires[link] = (wire, 0)
            self.send(wire, 0, "open", None)
            self.send(wire, 1, "open", address)

    def _failed(self, dialer: Host, epoch: int, link: int, reason: str) -> None:
        if dialer.epoch == epoch:
            dialer.do(lambda: dialer.replica.dial_failed(link, reason, self.now))

    def _blocked(self, source: Host, target: Host, *, both: bool = False) -> bool:
        if (source.name, target.name) in self.cuts:
            return True
        return both and (target.name, source.name) in self.cuts

    def send(self, wire: Wire, end: int, what: str, data: Any) -> None:
        """Put something on its way from one end of a wire."""
        when = max(self.now + self.latency(), wire.last[end])
        wire.last[end] = when
        wire.flight[end].append((when, what, data))
        if what == "data":
            wire.bytes[end] += len(data)
            if wire.bytes[end] > self.constants.credit.log and not wire.paused[end]:
                wire.paused[end] = True
                self._tell_paused(wire, end)
        if not wire.pumping[end]:
            wire.pumping[end] = True
            self.at(when, self._pump, wire, end)

    def _tell_paused(self, wire: Wire, end: int) -> None:
        host, epoch, link = wire.ends[end]
        paused = wire.paused[end]
        if host.epoch == epoch and wire.alive[end]:
            self.after(
                0.0, lambda: host.do(lambda: host.replica.paused(link, paused, self.now))
                if host.epoch == epoch else None,
            )

    def _pump_soon(self, wire: Wire) -> None:
        for end in (0, 1):
            if wire.flight[end] and not wire.pumping[end]:
                wire.pumping[end] = True
                self.after(self.latency(), self._pump, wire, end)

    def _pump(self, wire: Wire, end: int) -> None:
        wire.pumping[end] = False
        flight = wire.flight[end]
        source, _, _ = wire.ends[end]
        target, epoch, _ = wire.ends[1 - end]
        while flight and flight[0][0] <= self.now:
            if target.epoch != epoch or not target.up or not wire.alive[1 - end]:
                flight.clear()
                self._bury(wire)
                return
            if self._blocked(source, target) or target.stopped:
                if not target.stopped:
                    self.after(self.patience * (0.2 + self.rng.random()), self._give_up, wire, end)
                return
            _, what, data = flight.popleft()
            self._deliver(wire, end, what, data)
        if wire.paused[end] and wire.bytes[end] < self.constants.credit.log // 2:
            wire.paused[end] = False
            self._tell_paused(wire, end)
        if flight and not wire.pumping[end]:
            wire.pumping[end] = True
            self.at(flight[0][0], self._pump, wire, end)

    def _deliver(self, wire: Wire, end: int, what: str, data: Any) -> None:
        target, _, link = wire.ends[1 - end]
        if what == "open":
            if link < 0:
                link = target.new_link()
                wire.ends[1 - end] = (target, target.epoch, link)
                target.wires[link] = (wire, 1)
            target.do(lambda: target.replica.opened(link, data, self.now))
            return
        if what == "fin":
            self.close(wire, 1 - end, data, back=False)
            return
        wire.bytes[end] -= len(data)
        _, kind, _ = frame.HEADER.unpack_from(data)
        if self.hostile and kind not in frame.HANDSHAKE:
            chance = self.rng.random() / self.hostile
            if chance < 1:
                return
            if chance < 3:
                self.after(self.rng.random(), self._late, wire, end, data)
                if chance < 2:
                    return
        self._take(wire, end, data)

    def _late(self, wire: Wire, end: int, data: bytes) -> None:
        target, epoch, _ = wire.ends[1 - end]
        if target.epoch == epoch and target.up and not target.stopped and wire.alive[1 - end]:
            self._take(wire, end, data)

    def _take(self, wire: Wire, end: int, data: bytes) -> None:
        target, _, link = wire.ends[1 - end]
        _, kind, flags = frame.HEADER.unpack_from(data)
        body = data[frame.HEADER.size:]
        self.trace = zlib.crc32(
            f"{self.now:.6f} {wire.ends[end][0].name} {target.name} {kind}".encode() + body,
            self.trace,
        )
        self.kinds[kind] += 1
        if kind == frame.FORWARD:
            self._count_hops(body)
        if kind == frame.PROMISE and self.quorum is not None:
            self._sworn(wire.ends[end][0].name, body)
        try:
            target.do(lambda: target.replica.receive(link, kind, flags, body, self.now))
        except ProtocolError as error:
            who = wire.ends[end][0].name
            told = self.refused if self.hostile else self.errors
            told.append(f"{self.now:.3f} {who} -> {target.name}: {error}")
            self.close(wire, 1 - end, str(error))

    def _sworn(self, name: str, body: bytes) -> None:
        """Note a promise that has arrived: its host may not forget it, whatever happens (I3)."""
        term, (numbers, *_), _ = frame.unpack(frame.PROMISE, body, self.constants.limits)
        for number in numbers:
            before = self.sworn.get((name, number), ZERO_TERM)
            self.sworn[name, number] = max(before, Term(*term))

    def _count_hops(self, body: bytes) -> None:
        """Check how often a request is passed on (I18): a client's way to a server is a hop too."""
        hops = 1 + frame.unpack(frame.FORWARD, body, self.constants.limits)[1]
        assert hops <= 1 + self.constants.requests.hops + 1, f"I18: {hops} hops"
        self.hops = max(self.hops, hops)

    def close(
        self, wire: Wire, end: int, reason: str, *, back: bool = True, tell: bool = True
    ) -> None:
        """One side closes a connection; the other learns it after all that was sent."""
        host, epoch, link = wire.ends[end]
        if not wire.alive[end]:
            return
        wire.alive[end] = False
        host.wires.pop(link, None)
        if back:
            self.send(wire, end, "fin", "the peer closed the connection")
        if tell and host.epoch == epoch and link >= 0:
            self.after(
                0.0, lambda: host.do(lambda: host.replica.closed(link, reason, self.now))
                if host.epoch == epoch else None,
            )

    def _give_up(self, wire: Wire, end: int) -> None:
        """A kernel's patience with a stalled connection ends."""
        if not wire.alive[end] or not wire.flight[end]:
            return
        source, target = wire.ends[end][0], wire.ends[1 - end][0]
        if self._blocked(source, target) and wire.flight[end][0][0] < self.now:
            wire.flight[end].clear()
            self.close(wire, end, "timed out")

    def _bury(self, wire: Wire) -> None:
        if not any(wire.flight):
            self.wires.pop(wire.id, None)

    # --- judging, after every turn

    def observe(self, host: Host, ready: Any) -> None:
        """Look at what a replica tells its program."""
        announced = {p for e, p in ready.notices if e == "reset"}
        announced |= {p[0] for e, p in ready.notices if e == "rollback"}
        self._undone = announced
        for number, record in (p for batch in ready.changes for p in zip(*batch, strict=True)):
            key = (host.name, host.epoch, number)
            before = self._applied.get(key, 0)
            assert record.number == before + 1 or not before or number in announced, (
                f"I16: {host.name} shard {number}: {record.number} after {before}"
            )
            self._applied[key] = record.number
        for event, payload in ready.notices:
            if event in ("reset", "rollback"):
                number = payload if event == "reset" else payload[0]
                shard = host.replica.cluster.shards[number]
                self._applied[host.name, host.epoch, number] = shard.seen
            if event not in ("stable", "tack", "ack"):
                self.notices.append((host.name, event, payload))
        for call in ready.settled:
            self.settled(call)

    def settled(self, call: Call) -> None:
        """A call's outcome was told."""
        assert call.done, "a call that settled is done"
        if isinstance(call, Write):
            call.told += 1
            call.ended = self.now
            assert call.told == 1, f"{call} settled twice"

    def judge(self, host: Host) -> None:
        """Check the invariants that one node can break by itself (I1, I3, local forms).

        Of the shards that are not what they were when they were looked at last.
        """
        shards = host.replica.cluster.shards
        look = LOOK if shards[0].prefix is None else LOOK_COMMITTED
        looks = list(map(look, shards))
        epoch, last = self._looks.get(host.name, (-1, []))
        if last == looks and epoch == host.epoch:
            return
        self._looks[host.name] = host.epoch, looks
        judged = self._judged.get((host.name, host.epoch))
        if judged is None:
            judged = [UNJUDGED] * self.constants.shards
            self._judged[host.name, host.epoch] = judged
            last = [()] * self.constants.shards
        for shard, was, seen in zip(shards, last, looks, strict=True):
            if was == seen:
                continue
            prefix, before = shard.prefix, judged[shard.id]
            committed = NOTHING if prefix is None else (prefix.number, prefix.commit)
            now = judged[shard.id] = Judged(*seen[:5], committed)
            self._changed[host.name, shard.id] = shard
            assert before.promised <= now.promised, f"I3: {host.name} {shard}"
            assert now.end >= before.end or shard.id in self._undone or prefix, (
                f"I13: {host.name} goes back in silence, from {before.end} to {shard}"
            )
            if prefix is not None:
                self._committed(host, shard, prefix, before.committed)
            if shard.role == 2:
                owner = self.terms.setdefault((shard.id, shard.term), host.name)
                assert owner == host.name, f"I1: {shard.term} of {owner} and {host.name}"
        if self.events % 16 == 0:
            for shard in self._changed.values():
                shard.invariants()
            self._changed.clear()

    def _committed(
        self, host: Host, shard: Shard, prefix: Prefix, before: tuple[int, int]
    ) -> None:
        """What is committed stays, the same on every node (I8), and nobody goes back (I13)."""
        number, commit = before
        assert prefix.number >= number, f"I13: {host.name} {prefix} after {number}"
        assert prefix.commit >= commit, f"I8: {host.name} {prefix} after {commit}"
        assert shard.log.end >= prefix.commit or prefix.number < shard.log.base, (
            f"I8: {host.name} {shard} has less than {prefix}"
        )
        log = shard.log
        for at in range(max(commit, log.base) + 1, min(prefix.commit, log.end) + 1):
            record = self.committed.setdefault((shard.id, at), log[at])
            assert record == log[at], f"I8: {host.name} {shard} at {at}: {log[at]} not {record}"

    def remembered(self, host: Host, shard: Shard) -> None:
        """A restarted process goes on from its disk: what it promised there, it keeps."""
        shard.invariants()
        sworn = self.sworn.get((host.name, shard.id), ZERO_TERM)
        assert shard.promised >= sworn, f"I3: {host.name} {shard} has forgotten {sworn}"

    def compacted(self, host: Host, compact: Callable[[], None]) -> None:
        """Check that only is forgotten what every member has, or what is far too much (I15)."""
        cluster = host.replica.cluster
        shards = [cluster.shards[number] for number in cluster.touched]
        held = [(shard, shard.log.base, len(shard.log.records)) for shard in shards]
        compact()
        alone = host.client or len(host.replica.members.table) == 1
        limit = 4 * self.constants.partitions.history.max
        for shard, base, records in held:
            kept = alone or shard.log.base <= max(base, shard.stable) or records >= limit
            assert kept, f"I15: {host.name} has forgotten {base}..{shard.log.base} of {shard}"

    def matching(self) -> None:
        """Check that logs with a common term at a number are equal up to it (I2, I5)."""
        hosts = [h for h in self.hosts.values() if h.up]
        for number in range(self.constants.shards):
            logs = [(h.name, h.replica.cluster.shards[number].log) for h in hosts]
            looked = [(name, log.end, log.base, log.records[-1:]) for name, log in logs]
            if self._matched.get(number) == looked:
                continue
            self._matched[number] = looked
            for i, (name, log) in enumerate(logs):
                seen: set[tuple[str, int]] = set()
                for record in log.records:
                    if record.seq:
                        who = (record.sid, record.seq)
                        assert who not in seen, f"I5: {name} shard {number}: {who} twice"
                        seen.add(who)
                for other_name, other in logs[i + 1 :]:
                    self._match(number, name, log, other_name, other)

    def _match(self, number: int, name: str, log: Any, other_name: str, other: Any) -> None:
        top = min(log.end, other.end)
        floor = max(log.base, other.base)
        while top > floor and log[top].term != other[top].term:
            top -= 1
        for at in range(max(floor, top - 20) + 1, top + 1):
            assert log[at] == other[at], (
                f"I2: shard {number} at {at}: {name} {log[at]} {other_name} {other[at]}"
            )

    # --- losses that are accounted for

    def dumped(self, number: int, dump: list[Any]) -> None:
        """A log was folded and then undone: what it overwrote itself is gone for good."""
        kept = {(row[4], row[5]) for row in dump[0][0]}
        for _, _, call in self.calls:
            who = (call.sid, call.seq)
            if call.shard == number and who not in kept and _in_dump(dump, *who):
                self.excused[call.sid, number, call.seq] = 1 << 30

    def copies(self, but: Host | None = None) -> Iterator[Any]:
        """Give every shard in the memory of a server that is up."""
        for host in self.hosts.values():
            if host.client or (host is but and not host.kept):
                continue
            if host.kept:
                yield host.kept
            elif host.up:
                yield host.replica.cluster.shards

    def died(self, host: Host) -> None:
        """A process lost its memory: note which writes had their last copy in it."""
        self.crashes += 1
        self._account(host)

    def gone(self, host: Host) -> None:
        """A process left: it may only take what others have."""
        self.crashes += 1
        waited = self.now - (host.replica._leaving or 0) > 9.9
        alone = not any(m.state == ALIVE for m in host.replica.members.others())
        self._account(host, sound=not (waited or alone))

    def _served(self, host: Host, shard: Shard) -> bool:
        if shard.owner in (None, host.name):
            return True
        owner = self.hosts[shard.owner]
        theirs = owner.replica.cluster.shards[shard.id]
        return owner.up and theirs.role == OWNER and theirs.term == shard.promised

    def _account(self, host: Host, *, sound: bool = False) -> None:
        if host.client:
            return
        others = list(self.copies(but=host))
        for _, _, call in self.calls:
            key = (call.sid, call.shard, call.seq)
            if call.shard < 0 or not call.seq or self.excused.get(key) == 1 << 30:
                continue
            own = host.replica.cluster.shards[call.shard]
            if sound and self._served(host, own):
                continue  # who takes over has it, or else it is lost without a trace
            if any(holds(shards[call.shard], call.sid, call.seq) for shards in others):
                continue
            if holds(own, call.sid, call.seq):
                self.excused[key] = self.crashes - call.crashes

    # --- the end

    def settle_down(self, seconds: float = 30.0) -> None:
        """End all faults, start everybody, and let the cluster come to rest."""
        self.heal()
        self.slowness = 1.0
        if self.hostile:  # what is lost on a connection is told anew on the next
            self.hostile = 0.0
            for wire in list(self.wires.values()):
                for end in (0, 1):
                    self.close(wire, end, "the line was bad")
        if any(h.up and h.leaving for h in self.hosts.values()):
            self.run(11.0)
        for host in self.hosts.values():
            if not host.up:
                host.start()
            if host.stopped:
                host._resume(host.epoch)
        self.run(seconds)

    def quiet(self) -> None:
        """Check what must hold when nothing happens any more (I4-I7, I10, I11)."""
        self.matching()
        hosts = [h for h in self.hosts.values() if h.up]
        for host in hosts:
            host.replica.invariants()
        servers = [h for h in hosts if not h.client]
        assert not self.errors, self.errors[:5]
        rings = {h.replica.cluster.ring.members for h in servers}
        assert len(rings) == 1, f"I10: {[(h.name, h.replica.members) for h in servers]}"
        assert rings == {tuple(sorted(h.name for h in servers))}, f"I10: ring {rings}"
        for number in range(self.constants.shards):
            for host in servers:
                prefix = host.replica.cluster.shards[number].prefix
                assert prefix is None or prefix.number == prefix.commit, f"I10: {host} {prefix}"
            self._quiet_shard(number, hosts, servers)
        for host in hosts:
            assert host.ready, f"I10: {host} is not of use"
            pending = [c for c in host.replica.requests.pending.values() if not c.done]
            assert not pending, f"I10: {host.name} waits for {pending[:3]}"
        for host, epoch, call in self.calls:
            if host.epoch == epoch:
                assert call.told == 1, f"I10: {call} of {host.name} never settled"
        self._kept(servers[0])
        if self.quorum is not None:
            self._linear()

    def _quiet_shard(self, number: int, hosts: list[Host], servers: list[Host]) -> None:
        views = [(h, h.replica.cluster.shards[number]) for h in servers]
        owners = [h.name for h, s in views if s.role == 2]
        ring = servers[0].replica.cluster.ring.owners[number]
        assert owners == [ring], f"I10: shard {number} owned by {owners}, the ring says {ring}"
        first_host, first = views[0]
        for host in hosts:
            shard = host.replica.cluster.shards[number]
            follows = host.replica.cluster.follows
            if follows is not None and number not in follows:
                assert not shard.log.end, f"{host.name} was sent {shard}"
                continue
            where = f"shard {number}: {first_host.name} and {host.name}"
            assert shard.log.end == first.log.end, (
                f"I6: ends of {where}: {first.log.end} {shard.log.end} {first} {shard}"
            )
            assert not host.client or not (shard.branches or shard.dumps)
            keep = self.constants.partitions.history.max
            assert len(shard.log) <= 4 * keep, f"I14: {host.name} keeps {len(shard.log)} records"
            if not shard.log.base:
                self._folds(host, shard)
            floor = max(shard.log.base, first.log.base)
            assert (
                shard.log.records[floor - shard.log.base :]
                == first.log.records[floor - first.log.base :]
            ), f"I6: logs of {where}"
            mine, theirs = _rows(shard), _rows(first)
            assert mine == theirs, f"I6: states of {where}: {_diff(mine, theirs)}"
            assert shard.sessions == first.sessions, f"I6: sessions of {where}"
            if not host.client:
                assert shard.covers == first.covers, f"I6: covers of {where}"
                left = [*shard.branches, *shard.dumps]
                assert not left, f"I6: branches on {host.name}"
        self._in_order(number, first.log.records)
        if not first.log.base:
            self._reasons(number, first.log.records)

    def _reasons(self, number: int, records: list[Record]) -> None:
        """Whatever a merge gave up has a newer write in its way (R9)."""
        written = [r for r in records if r.kind == DATA]
        for lost in records:
            if lost.kind != LOST or numbered(lost) or lost.verb == "push":
                continue
            assert any(overlaps(r.path, lost.path) and newer(r, lost) for r in written), (
                f"I4: shard {number}: lost for no reason: {lost}"
            )

    def _folds(self, host: Host, shard: Shard) -> None:
        """The state is the fold of the log (I12)."""
        state, sessions = State(), Sessions()
        state.rebuild([], shard.log.records)
        for record in shard.log.records:
            if record.kind in (DATA, LOST, VOID, COUNT) and record.sid:
                sessions.note(record.sid, record.seq, record.number, record.hlc)
        rows = sorted(state.dump(), key=repr)
        assert rows == _rows(shard), f"I12: {host.name} {shard}: {_diff(rows, _rows(shard))}"
        assert sessions == shard.sessions, f"I12: sessions of {host.name} {shard}"

    def _in_order(self, number: int, records: list[Record]) -> None:
        latest: dict[str, int] = {}
        by_path: dict[tuple[str, Any], int] = {}
        for record in records:
            if record.kind != DATA or not record.seq:
                continue
            sid, seq = record.sid, record.seq
            if record.origin is None:
                before = latest.get(sid, 0)
                assert seq > before, f"I7: shard {number} {sid}: {seq} after {before}"
                latest[sid] = seq
            before = by_path.get((sid, record.path), 0)
            assert seq > before, f"I7: shard {number} {sid} {record.path}: {seq} after {before}"
            by_path[sid, record.path] = seq

    def _kept(self, host: Host) -> None:
        """No acknowledged write is lost but by counted crashes (I4, I11)."""
        shards = host.replica.cluster.shards
        for writer, epoch, call in self.calls:
            if call.told and call.status == OK and call.seq:
                key = (call.sid, call.shard, call.seq)
                if shards[call.shard].sessions.has(call.sid, call.seq):
                    continue
                lost = self.excused.get(key)
                assert self.quorum is None, f"I8: acknowledged and lost: {key} {call}"
                assert lost is not None, f"I4: lost without a trace: {key} {call} {call.offset}"
                self.lost += 1
                if lost == 1 << 30:
                    continue
                requests = writer.replica.requests
                alive = writer.epoch == epoch and call.sid == requests.sid
                assert not (alive and call.number in requests._kept), f"R12: {key} {call}"
                assert call.level >= DURABLE, f"I11: {key} {call} was on a disk"
                if call.level > 0:
                    assert lost > call.level, f"I11: {key} {call} by {lost} crashes"

    def _linear(self) -> None:
        """Reads at the owner and whole writes of a key could have happened one at a time (I9)."""
        history: list[Operation] = []
        for _, _, call in self.calls:
            key = call.path and call.path[0]
            if not str(key).startswith(REGISTER):
                continue
            value: Any = unpack(call.value)
            if call.verb == READ:
                if call.told and call.status in (OK, MISSING):
                    found = unpack(call.result) if call.status == OK else None
                    history.append(Operation(key, "read", found, call.born, call.ended))
            else:
                ended = call.ended if call.told and call.status == OK else UNKNOWN
                history.append(Operation(key, "write", value, call.born, ended))
        try:
            linearizable(history)
        except Violation as error:
            raise AssertionError(f"I9: {error}") from error
        self.reads = sum(o.kind == "read" for o in history)

    def acked(self) -> int:
        """Count the acknowledged writes."""
        return sum(1 for _, _, c in self.calls if c.told and c.status == OK)


def _watched(shard: Shard, image: catchup.Image) -> list[Record]:
    """Install a snapshot, and look at the dump that it may leave behind."""
    known = len(shard.dumps)
    undone = catchup.install(shard, image)
    for dump in shard.dumps[known:]:
        World.current.dumped(shard.id, dump)
    return undone


succession.install = _watched


def holds(shard: Any, sid: str, seq: int) -> bool:
    """Whether a server's memory of a shard has a write in any form."""
    if shard.sessions.has(sid, seq):
        return True
    if any(r.seq == seq and r.sid == sid for branch in shard.branches for r in branch):
        return True
    return any(_in_dump(dump, sid, seq) for dump in shard.dumps)


def _in_dump(dump: list[Any], sid: str, seq: int) -> bool:
    return any(row[0] == sid and (seq <= row[1] or seq in row[5]) for row in dump[0][1][1])


def _rows(shard: Any) -> list[Any]:
    return sorted(shard.state.dump(), key=repr)


def _diff(mine: list[Any], theirs: list[Any]) -> Any:
    return [r for r in mine if r not in theirs][:3], [r for r in theirs if r not in mine][:3]


def lost_records(host: Host) -> list[Record]:
    """Give all LOST records in a host's logs."""
    return [
        r for s in host.replica.cluster.shards for r in s.log.records if r.kind == LOST
    ]
