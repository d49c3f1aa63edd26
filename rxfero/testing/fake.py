"""The fake cache: a real cache of one server without a network, for unit tests of pipelines.

The core, the events and the guarantees are the production's. There is no loop to wait for: every
call is carried out before it returns, and time stands still until a test lets it go on. So it works
in plain functions, in async tests on any loop, and beside reactivex's TestScheduler.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rxfero.cache import Cache
from rxfero.core.batch import Batch
from rxfero.core.call import Call
from rxfero.core.change import Change
from rxfero.core.link import Identity
from rxfero.core.replica import Replica
from rxfero.core.settings import Settings
from rxfero.events import Hub
from rxfero.handler import Handling
from rxfero.node import Node
from rxfero.options import Options, read_options
from rxfero.testing.loop import VirtualLoop

NAME = "s1"
SHARDS = 16
BEGIN_S = 60.0  # longest until the one server has founded its cluster


class FakeCache(Cache):
    """A cache in one process, with every key owned here.

    Args:
        values: What is in it at first, by top-level key.
        name: The service's name.
        handler: As of :func:`rxfero.fero`.
        **options: Options of :func:`rxfero.fero`; those of hosts, ports and disks have no effect.

    Attributes:
        changes: What was written since it was made, in the order of the log; `values` are not.
        failure: While set, every write and message raises it: the way to test what a pipeline does
            about Overloaded or Closed. None at first.

    ::

        users = FakeCache({"ann": 1})
        seen = []
        users.on("change").pipe(ops.map(lambda change: change.key)).subscribe(seen.append)
        users.update("bob", 2)
        assert seen == ["bob"]
    """

    def __init__(
        self, values: Mapping[Any, Any] | None = None, *, name: str = "fake",
        handler: Callable[..., Any] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        read = read_options({"constants": {"shards": SHARDS}, **options})
        self._loop = _Loop()
        with self._loop.inside():
            hub = Hub(name)
            node = _Lonely(self._loop, name, read, hub, handled=handler is not None)
        super().__init__(node, hub, self._stop)
        node.news.peer_of, node.peer_named = self.peers.of, self.peers.named
        self._loop.go_on_until(lambda: node.is_founded, BEGIN_S)
        if handler is not None:
            self._handle(_write)
        for key, value in (values or {}).items():
            self.update((key,), value)
        if handler is not None:
            self._handle(handler)
        self.changes: list[Change] = []
        self.on("commit", self.changes.append)

    def _handle(self, handler: Callable[..., Any]) -> None:
        handling = Handling(handler, self._node, self)
        self._node.handle(handling.run, handling.kind)

    @property
    def failure(self) -> Exception | None:
        """What every write and message raises at present."""
        return self._lonely.failure

    @failure.setter
    def failure(self, error: Exception | None) -> None:
        self._lonely.failure = error

    @property
    def _lonely(self) -> _Lonely:
        assert isinstance(self._node, _Lonely), "it was made here"
        return self._node

    @property
    def now(self) -> float:
        """The virtual seconds."""
        return self._loop.time()

    def advance(self, seconds: float) -> None:
        """Let time go on: keys with a `ttl` go, operators of time on its streams act."""
        end = self._loop.time() + seconds
        self._loop.call_at(end, int)
        self._loop.go_on_until(lambda: self._loop.time() >= end, seconds)
        self._loop.settle()

    def emit(self, event: str, payload: Any) -> None:
        """Tell an event as if it had happened, to what is subscribed to it.

        Raises:
            UnknownEvent: no such event.
        """
        self._hub.on(event)
        with self._loop.inside():
            self._hub.emit(event, payload)
        self._loop.settle()

    async def _stop(self) -> None:
        if not self._node.closed:
            self._node.end()
            self._hub.emit("destroy", self.name)
            self._hub.close()


def _write(request: Any) -> Any:
    """Do what a node without a handler does."""
    return request.next()


class _Lonely(Node):
    """A node that listens nowhere and is carried out at once."""

    def __init__(
        self, loop: _Loop, service: str, options: Options, hub: Hub, *, handled: bool
    ) -> None:
        super().__init__(service, options, hub, handled=handled)
        self.failure: Exception | None = None
        self._pumped = loop
        constants = options.constants
        digest = f"{constants.shards}/{constants.dht.vnodes}/fake"
        identity = Identity(options.cluster, service, NAME, 1, "server", None, "", 0, digest)
        settings = Settings(
            NAME, 1, False, constants, self.rng, options.hash, options.partition, handled
        )
        self.replica = Replica(settings, identity, self.now, self._wall())
        self.replica.discovered = self._born = True
        self._arm(self.now)

    @property
    def is_founded(self) -> bool:
        """Whether it owns every shard."""
        return self._of_use and all(shard.owner == NAME for shard in self.replica.cluster.shards)

    def submit(self, call: Call) -> None:
        """Take a request, and carry it out."""
        self._refuse()
        super().submit(call)
        self._pumped.settle()

    def submit_all(self, calls: Sequence[Call]) -> None:
        """Take writes, and carry them out."""
        self._refuse()
        super().submit_all(calls)
        self._pumped.settle()

    def post_all(self, verb: str, values: list[str]) -> tuple[Batch, int] | None:
        """Take messages, and carry them out."""
        self._refuse()
        posted = super().post_all(verb, values)
        self._pumped.settle()
        return posted

    def post(self, verb: str, value: str | bytes, *, packed: bool) -> tuple[Batch, int]:
        """Take a message, and carry it out."""
        self._refuse()
        posted = super().post(verb, value, packed=packed)
        self._pumped.settle()
        return posted

    def _refuse(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def holds(self, predicate: Callable[[], bool], timeout_s: float | None) -> bool:
        """Tell whether something holds; nothing comes from elsewhere that would be waited for."""
        del timeout_s
        return predicate()


class _Loop(VirtualLoop):
    """A loop that nobody runs: it is pumped."""

    def __init__(self) -> None:
        super().__init__()
        self._pumping = False

    @contextmanager
    def inside(self) -> Generator[None]:
        """Let this be the running loop meanwhile."""
        before = asyncio._get_running_loop()  # noqa: SLF001  (documented, for loops)
        asyncio._set_running_loop(self)  # noqa: SLF001
        try:
            yield
        finally:
            asyncio._set_running_loop(before)  # noqa: SLF001

    def create_future(self) -> asyncio.Future[Any]:
        """As of a loop; one that is asked for from another loop is of that one."""
        running = asyncio._get_running_loop()  # noqa: SLF001
        return super().create_future() if running in (None, self) else running.create_future()

    def settle(self) -> None:
        """Do all that is due now, unless that is being done already."""
        self.go_on_until(lambda: not self.busy, 0.0)

    @property
    def busy(self) -> bool:
        """Whether something is due at this moment."""
        return bool(self._ready)

    def go_on_until(self, predicate: Callable[[], bool], seconds: float) -> None:
        """Do what is due, and let time go on, until something holds."""
        if self._pumping:
            return
        self._pumping = True
        end = self.time() + seconds
        try:
            with self.inside():
                while not predicate() and self.time() <= end:
                    self._run_once()
        finally:
            self._pumping = False

    def __del__(self, *_: Any) -> None:
        """Close, without a word: nobody had to run it."""
        if not self.is_closed() and not self._pumping:
            self.close()
