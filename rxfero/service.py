"""The service: `fero()`, the door to everything, and what belongs beside it.

``await fero("users")`` gives a ready :class:`Cache`; ``async with fero("users") as users`` also
destroys it at the end.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from importlib import import_module
from typing import Any, TypeVar, cast

from rxfero.cache import Cache
from rxfero.core.call import COMMIT
from rxfero.core.cluster import COUNTER
from rxfero.core.owner import BY
from rxfero.core.value import pack
from rxfero.errors import ConfigurationError, Refused
from rxfero.events import Failure, Hub
from rxfero.guarantee import Guarantee
from rxfero.handler import Handling, takes_cache
from rxfero.node import Node
from rxfero.options import Options, read_options

T = TypeVar("T")

RESTORING, RESTORED = "restoring", "restored"
GC_THRESHOLDS = (50_000, 20, 100)


class Service:
    """A service about to start: awaitable, and an async context manager."""

    def __init__(self, name: str, handler: Any, options: Options) -> None:
        self._name, self._handler, self._options = name, handler, options
        self._cache: Cache | None = None
        self._unseen = _board(name)

    def __await__(self) -> Generator[Any, None, Cache]:
        return self._start().__await__()

    async def __aenter__(self) -> Cache:
        self._cache = await self._start()
        return self._cache

    async def __aexit__(self, *_: object) -> None:
        if self._cache is not None:
            await self._cache.destroy()

    async def _start(self) -> Cache:
        hub = Hub(self._name)
        hub.unseen = self._unseen
        node = Node(self._name, self._options, hub, handled=self._handler is not None)
        handling: Handling | None = None
        stopping: asyncio.Future[None] | None = None

        async def stop() -> None:
            nonlocal stopping
            if stopping is not None:
                await asyncio.shield(stopping)
                return
            stopping = node.loop.create_future()
            try:
                if handling is not None:
                    await handling.stop()
                await node.stop()
                hub.emit("destroy", self._name)
            finally:
                hub.close()
                stopping.set_result(None)

        await node.start()
        cache = Cache(node, hub, stop)
        node.news.peer_of, node.peer_named = cache.peers.of, cache.peers.named
        if self._handler is not None:
            handling = Handling(self._handler, node, cache)
            node.handle(handling.run, handling.kind)
        if self._options.restore is not None and not self._options.client:
            try:
                await _restore(node, cache, self._options.restore)
            except BaseException:
                await stop()
                raise
        return cache

    def __repr__(self) -> str:
        return f"<Service {self._name} not awaited yet>"


def _board(name: str) -> Callable[[Failure], None] | None:
    """Give what shows errors under the running cell of a notebook; None where there is none."""
    if "ipykernel" not in sys.modules:
        return None
    notebook: Any = import_module("rxfero.notebook")
    return notebook.attend(name)


async def _restore(node: Node, cache: Cache, restore: Callable[..., Any]) -> None:
    """Run a restore once a cluster: by whoever owns the counter's shard, unless its log says done.

    The log is marked before and after: a server that comes while it runs becomes the owner of the
    shard perhaps, and must not begin again unless the one that began is gone.
    """
    cluster = node.replica.cluster
    shard = cluster.shards[cluster.shard_of(COUNTER)]

    await node.until(lambda: RESTORED in shard.marks or shard.owner is not None, "restore", 30.0)
    if RESTORED in shard.marks or shard.owner != node.replica.identity.name:
        return
    try:
        await _mark(node, f"{RESTORING}{BY}{node.replica.identity.boot}")
    except Refused:
        return
    found: Any = restore()
    if inspect.isawaitable(found):
        found = await found
    writes = _writes(cache, found)
    for write in writes:
        await write
    await _mark(node, RESTORED)


async def _mark(node: Node, what: str) -> None:
    """Write into the counter's log, wherever its owner is, that something is done once."""
    mark = Guarantee(node, "push", (), pack(what), COMMIT)
    node.submit(mark)
    await mark


class Fero:
    """The entry: ``fero(name, handler, **options)``, ``fero.all(...)``, ``fero.connect(...)``."""

    def __call__(
        self, name: str = "*", handler: Callable[..., Any] | None = None, **options: Any
    ) -> Service:
        """Start or join a service.

        Args:
            name: The service's name.
            handler: Function of (request) or (request, cache) for verbs of its own.
            options: See :class:`rxfero.options.Options`.

        Returns:
            An awaitable of a ready :class:`Cache`, that is also an async context manager.
        Raises:
            ConfigurationError: an option does not fit. Told at this call.
            AddressInUse: (when awaited) no port of the range is free.
        """
        if not isinstance(name, str) or not 0 < len(name.encode()) <= 200:
            raise ConfigurationError("name", name, "must be text of 1 to 200 bytes")
        if handler is not None:
            takes_cache(handler)
        return Service(name, handler, read_options(options))

    async def all(
        self, names: Iterable[str], handler: Callable[..., Any] | None = None, **options: Any
    ) -> dict[str, Cache]:
        """Start several services with the same options; gives them by name."""
        wanted = list(names)
        if len(set(wanted)) != len(wanted):
            raise ConfigurationError("names", wanted, "must differ")
        services = [self(name, handler, **options) for name in wanted]
        started = await asyncio.gather(*services, return_exceptions=True)
        failed = [s for s in started if isinstance(s, BaseException)]
        if failed:
            for cache in started:
                if isinstance(cache, Cache):
                    await cache.destroy()
            raise failed[0]
        return dict(zip(wanted, cast("list[Cache]", started), strict=True))

    def connect(self, storage: Any) -> Callable[[Any], Awaitable[Any]]:
        """Connect something that stores to a cache (or a dict of caches).

        Args:
            storage: An object or mapping with any of `restore()`, `add(change)`,
                `update(change)`, `remove(change)`, plain or async. `restore` gives a mapping that
                is committed if the cache is still empty; the others are called on the owner of the
                key for each change of that type, one after the other in the order of the log; what
                they raise goes to `error`.

        Returns:
            An async function of the cache (or of an awaitable of one), which gives it back.
        """

        async def connected(caches: Any) -> Any:
            given = await caches if inspect.isawaitable(caches) else caches
            every: list[Cache] = [given] if isinstance(given, Cache) else list(given.values())
            for cache in every:
                await _connect(storage, cache)
            return given

        return connected

    def __repr__(self) -> str:
        return "<fero: fero(name, handler, **options)>"


fero = Fero()
connect = fero.connect


async def _connect(storage: Any, cache: Cache) -> None:
    stored: Any = storage

    def verb(name: str) -> Any:
        return stored.get(name) if _is_dict(stored) else getattr(stored, name, None)

    restore = verb("restore")
    if restore is not None and not len(cache):
        found = restore()
        found = await found if inspect.isawaitable(found) else found
        for write in _writes(cache, found):
            await write
    waiting: deque[tuple[Any, Any]] = deque()
    worker: asyncio.Task[None] | None = None

    async def work() -> None:
        """Store what waits, one after the other, so in the order of the log."""
        nonlocal worker
        while waiting:
            store, change = waiting.popleft()
            try:
                outcome = store(change)
                if inspect.isawaitable(outcome):
                    await outcome
            except Exception as error:  # noqa: BLE001  (the storage's fault, told on "error")
                cache.fail(error, f"storing {change.key!r}", change)
        worker = None

    def changed(change: Any) -> None:
        nonlocal worker
        store = verb(change.type)
        if store is None or cache.peers.owner(change) is not cache.peers.me:
            return
        waiting.append((store, change))
        if worker is None:
            worker = asyncio.get_running_loop().create_task(work())

    if any(verb(name) is not None for name in ("add", "update", "remove", "patch")):
        cache.on("change", changed)


def _writes(cache: Cache, found: Any) -> list[Guarantee]:
    """Write what a restore gave."""
    given: Mapping[Any, Any] = {} if found is None else found
    if not isinstance(given, Mapping):
        raise ConfigurationError("restore", found, "must give a mapping of keys and values")
    return [cache.update((key,), value) for key, value in given.items()]


def _is_dict(value: Any) -> bool:
    return isinstance(value, Mapping)


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine to its end, on uvloop where it is installed (else asyncio's loop).

    The cyclic garbage collector is made to look less often meanwhile (`GC_THRESHOLDS`): a node
    makes many objects and next to no cycles, and the default costs a fifth of its speed.

    Raises:
        RuntimeError: inside a running loop (in a notebook, await instead).
    """
    if _is_running():
        raise RuntimeError("run() inside a running loop: await the coroutine instead")
    before = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        return _run(main, debug)
    finally:
        gc.set_threshold(*before)


def _is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run(main: Coroutine[Any, Any, T], debug: bool | None) -> T:
    with asyncio.Runner(debug=debug, loop_factory=loop_factory()) as runner:
        return runner.run(main)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give what makes a loop of uvloop; None where it is not installed."""
    if sys.platform == "win32":
        return None
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    return uvloop.new_event_loop
