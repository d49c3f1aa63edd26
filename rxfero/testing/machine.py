"""The machine: hypothesis writes, reads, splits and crashes, and looks for a broken promise.

A :class:`~hypothesis.stateful.RuleBasedStateMachine` over a :class:`SimulatedCluster`: real nodes
on virtual time. Hypothesis draws what happens, and when a promise was broken, the shortest story in
which it is. A subclass adds rules of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from rxfero.core.shard import OWNER
from rxfero.errors import KeyMissing, Refused, RxferoError
from rxfero.testing.checkers import Operation, Violation, one_owner
from rxfero.testing.loop import VirtualLoop
from rxfero.testing.member import Member
from rxfero.testing.model import ABSENT, Model, Observer
from rxfero.testing.simulated import SimulatedCluster

T = TypeVar("T")

END_S = 600.0
SOME = st.integers(0, 255)  # which member: modulo how many there are


class ClusterMachine(RuleBasedStateMachine):
    """A cluster, what can happen to it, and a model of what it owes.

    What is checked whenever it has come to rest (the rule `rest`, and at the end): every node
    holds the same; what was acknowledged is there, unless something that was written later, or on
    another side of a split, took its place; nothing is there that nobody wrote; what was pushed to
    a list is there once; every observer has what the cluster has; in quorum mode reads and writes
    of each key could have happened one at a time. At every moment a term of a shard has one owner.

    One server is down at a time, and none goes down while others are cut off: what is beyond is not
    promised without disks.

    Attributes (of the class; a subclass changes them):
        servers: How many there are at first.
        most: How many at most.
        clients: How many clients.
        options: Of :class:`SimulatedCluster`, all but its seed.
        keys: How many keys are written, and as many lists are pushed to.
        cluster: (of the machine) the cluster.
        model: (of the machine) what it owes since it last came to rest.
        observers: (of the machine) who follows its changes.

    ::

        class Users(ClusterMachine):
            clients = 2

            @rule(seconds=st.floats(1, 100))
            def sleep_long(self, seconds):
                self.run(asyncio.sleep(seconds))

        TestUsers = Users.TestCase
        TestUsers.settings = settings(max_examples=50, deadline=None)
    """

    servers: ClassVar[int] = 3
    most: ClassVar[int] = 5
    clients: ClassVar[int] = 1
    options: ClassVar[dict[str, Any]] = {}
    keys: ClassVar[int] = 3

    cluster: SimulatedCluster

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._broken = False
        self._count = 0
        self._running: list[asyncio.Task[Any]] = []
        self._reigns: dict[tuple[int, Any, str], None] = {}
        self.observers: list[Observer] = []
        self._gone: set[str] = set()
        self._apart = False  # whether some are cut off or stand still
        self.model = Model({})

    def run(self, work: Awaitable[T]) -> T:
        """Wait for something on the cluster's loop: its time goes on only here."""

        async def main() -> T:
            return await work

        try:
            return self._runner.run(main())
        except BaseException:
            self._broken = True
            raise

    @property
    def strict(self) -> bool:
        """Whether the cluster is one of voters."""
        return "quorum" in self.options

    # --- the parts of a story

    @initialize(seed=st.integers(0, 2**32 - 1))
    def start(self, seed: int) -> None:
        """Start the cluster."""
        made: dict[str, Any] = {"servers": self.servers, "clients": self.clients, **self.options}
        self.cluster = SimulatedCluster(seed=seed, **made)
        self.run(self.cluster.__aenter__())

    @rule(who=SOME, key=SOME)
    def write(self, who: int, key: int) -> None:
        """Set a key, from any member."""
        name, number = f"k{key % self.keys}", self._number()
        self._do(self._write(self._any(who), name, number))

    @rule(who=SOME, key=SOME)
    def remove(self, who: int, key: int) -> None:
        """Remove a key."""
        self._do(self._write(self._any(who), f"k{key % self.keys}", ABSENT))

    @rule(who=SOME, key=SOME)
    def push(self, who: int, key: int) -> None:
        """Push to a list."""
        self._do(self._push(self._any(who), f"l{key % self.keys}", self._number()))

    @rule(who=SOME, key=SOME)
    def read(self, who: int, key: int) -> None:
        """Read a key: here, and of voters also at its owner."""
        member, name = self._any(who), f"k{key % self.keys}"
        shown = member.cache.get(name)
        if shown is not ABSENT and shown not in self.model.possible(name):
            self._fail("read", f"{member.name} shows {shown!r} at {name!r}, which nobody wrote")
        if self.strict:
            self._do(self._read(member, name))

    @rule(seconds=st.floats(0.0, 8.0))
    def wait(self, seconds: float) -> None:
        """Let time go on."""
        self.run(asyncio.sleep(seconds))

    @precondition(lambda self: len(self.observers) < 3)
    @rule(who=SOME)
    def subscribe(self, who: int) -> None:
        """Follow the changes of a member from its state."""
        observer = Observer()
        observer.watch(self._any(who))
        self.observers.append(observer)

    @precondition(lambda self: bool(self.observers))
    @rule(which=SOME, who=SOME)
    def resume(self, which: int, who: int) -> None:
        """Let an observer go on at another member, from where it stood."""
        observer = self.observers[which % len(self.observers)]
        observer.leave()
        observer.watch(self._any(who))

    # --- what can fail

    @precondition(lambda self: not self._apart)
    @rule(sides=st.lists(st.booleans(), min_size=5, max_size=5))
    def split(self, sides: list[bool]) -> None:
        """Cut the network in two."""
        one = [m for m, side in zip(self.cluster.members, sides, strict=False) if side]
        if one:
            self._fault(apart=True)
            self.cluster.split(one)

    @precondition(lambda self: not self._apart)
    @rule(who=SOME, whom=SOME, both=st.booleans())
    def cut(self, who: int, whom: int, both: bool) -> None:
        """Cut one link, perhaps in one direction only."""
        one, other = self._server(who), self._server(whom)
        if one is not other:
            self._fault(apart=True)
            self.cluster.cut(one, other, both=both)

    @precondition(lambda self: not self._apart)
    @rule(who=SOME)
    def pause(self, who: int) -> None:
        """Let a server stand still."""
        if len(self._up()) > 1:
            self._fault(apart=True)
            self.cluster.pause(self._server(who))

    @precondition(lambda self: self._apart)
    @rule()
    def heal(self) -> None:
        """Mend the network, wake who stands still."""
        self._mend()

    @precondition(lambda self: not self._apart and not self._down() and len(self._up()) > 1)
    @rule(who=SOME)
    def crash(self, who: int) -> None:
        """Kill a server, when what was split has become one again."""
        if not self.model.orderly:
            self._settle()
        self._fault()
        member = self._server(who)
        moving = [observer for observer in self.observers if observer.member is member]
        for observer in moving:
            observer.leave()
        self.cluster.crash(member)
        for observer in moving:
            observer.watch(self._any(who))

    @precondition(lambda self: bool(self._down()))
    @rule()
    def restart(self) -> None:
        """Start the server that is down."""
        self._restart()

    @precondition(lambda self: not self.strict and len(self.cluster.servers) < self.most)
    @rule()
    def join(self) -> None:
        """Start another server."""
        self.model.orderly = self.model.orderly and not self._apart
        self._do(self.cluster.add_server())

    @precondition(lambda self: not self.strict and not self._apart and len(self._up()) > 2)
    @rule(who=SOME)
    def leave(self, who: int) -> None:
        """Let a server go in good order."""
        member = self._server(who)
        if self._down() or any(o.member is member for o in self.observers):
            return
        self._gone.add(member.name)
        self.run(member.stop())

    # --- what is owed

    @invariant()
    def one_owner(self) -> None:
        """A term of a shard has one owner."""
        if not hasattr(self, "cluster"):
            return
        for member in self.cluster.servers:
            if not member.running:
                continue
            for shard in member.node.replica.cluster.shards:
                if shard.role == OWNER:
                    self._reigns[shard.id, shard.term, f"{member.name}/{member.lives}"] = None
        one_owner(self._reigns)

    @rule()
    def rest(self) -> None:
        """Let the cluster come to rest, and look at all it holds."""
        self._settle()

    def teardown(self) -> None:
        """Look a last time, and end."""
        try:
            if hasattr(self, "cluster") and not self._broken:
                self._settle()
        finally:
            if hasattr(self, "cluster"):
                self.cluster.close()
            with suppress(RuntimeError):
                self._runner.close()

    def _settle(self) -> None:
        self._mend()
        if self._down():
            self._restart()
        self.run(self._at_rest())
        shown = dict(self.run(self.cluster.same(timeout_s=END_S)))
        self._judge(shown)
        self.model = Model(shown)

    async def _at_rest(self) -> None:
        done, late = await asyncio.wait(self._running, timeout=END_S) if self._running else ((), ())
        if late:
            self._fail("rest", f"{late} did not end within {END_S:g} s")
        for task in done:
            task.result()
        self._running.clear()
        await self.cluster.whole(timeout_s=END_S)
        # A write whose await has timed out may still be under way: it is part of its session.
        await self.cluster.until(
            lambda: not any(m.node.replica.requests.count for m in self.cluster.running),
            timeout_s=END_S,
        )

    def _judge(self, shown: dict[Any, Any]) -> None:
        sound = self.model.orderly or self.strict
        self._broken = True  # unless all holds
        self.model.judge(shown, self._runner.get_loop().time() if sound else None)
        for observer in self.observers:
            observer.judge()
        self._broken = False

    # --- how it is done

    async def _write(self, member: Member, key: str, value: int | None) -> None:
        model, cache, loop = self.model, member.cache, asyncio.get_running_loop()
        index = model.begin(key, value, loop.time())
        try:
            await (cache.remove(key) if value is ABSENT else cache.update(key, value))
        except KeyMissing:
            model.end(index, loop.time(), found_nothing=True)
        except Refused:
            raise
        except RxferoError:
            return
        else:
            model.end(index, loop.time())

    async def _push(self, member: Member, key: str, number: int) -> None:
        pushed = self.model.pushed
        pushed[key, number] = False
        with suppress(RxferoError):
            await member.cache.push(key, number)
            pushed[key, number] = True

    async def _read(self, member: Member, key: str) -> None:
        model, loop = self.model, asyncio.get_running_loop()
        begun = loop.time()
        with suppress(RxferoError):
            value = await member.cache.read(key, ABSENT)
            model.history.append(Operation(key, "read", value, begun, loop.time()))

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin something that goes on while other things happen."""

        async def begin() -> None:
            task = asyncio.get_running_loop().create_task(work)
            self._running.append(task)
            await asyncio.sleep(0)

        self.run(begin())

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _fault(self, *, apart: bool = False) -> None:
        self.model.orderly, self._apart = False, self._apart or apart

    def _mend(self) -> None:
        self.cluster.heal()
        for member in self.cluster.members:
            self.cluster.resume(member)
        self._apart = False

    def _up(self) -> list[Member]:
        return [m for m in self.cluster.servers if m.running]

    def _down(self) -> list[Member]:
        return [m for m in self.cluster.servers if m.down and m.name not in self._gone]

    def _restart(self) -> None:
        for member in self._down():
            self._do(self.cluster.restart(member))

    def _server(self, who: int) -> Member:
        up = self._up()
        return up[who % len(up)]

    def _any(self, who: int) -> Member:
        up = [m for m in self.cluster.members if m.running]
        return up[who % len(up)]

    def _fail(self, promise: str, message: str) -> None:
        self._broken = True
        raise Violation(promise, f"{message} ({self.cluster!r})")
