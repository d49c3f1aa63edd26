"""The cache: a service's replicated state as a read-only mapping, its writes and its events.

Reads are local and show a prefix of each key's log; what they give is a snapshot that nobody
changes. Writes go to the owner of their key, from any node. Events are Observables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast, overload
from weakref import WeakSet

from rxfero.core.call import READ, WRITES, level_of
from rxfero.core.change import Change
from rxfero.core.path import Path
from rxfero.core.position import Offset, Position
from rxfero.core.ring import Ring
from rxfero.core.value import pack
from rxfero.errors import ConfigurationError, KeyMissing, ValueRefused
from rxfero.figures import figures
from rxfero.guarantee import Guarantee, Joint, Level
from rxfero.operators.to_async_iter import Pull, to_async_iter
from rxfero.part import under_path
from rxfero.partitions import Partitions
from rxfero.peers import Peers, check_size
from rxfero.reader import Reader
from rxfero.since import changes_since

if TYPE_CHECKING:
    from reactivex import Observable
    from reactivex.abc import DisposableBase

    from rxfero.events import Hub
    from rxfero.node import Node

Key = str | int | tuple[str | int, ...] | Path
NIL = b"\xc0"


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Any = _Unset()
"""No condition: the default of `expect`."""


class Cache(Mapping[str | int, Any]):
    """One service on this node. Made by :func:`rxfero.fero`.

    ``cache[key]`` is the value of a top-level key, ``cache.at("a.b")`` reads deeper. All writes
    return a :class:`Guarantee` at once; awaiting it waits until the write is committed and, where
    the owner knows another live server, held by that server too.
    """

    def __init__(self, node: Node, hub: Hub, stopping: Callable[[], Awaitable[None]]) -> None:
        self._node, self._hub, self._stopping = node, hub, stopping
        self._ack = level_of(node.options.ack)
        self._streams: WeakSet[Pull[Any]] = WeakSet()
        self.peers = Peers(node)
        self.partitions = Partitions(node, self.peers)

    # --- reading

    @property
    def name(self) -> str:
        """The service's name."""
        return self._node.service

    @property
    def id(self) -> str:
        """This node's name, as peers and requests tell it."""
        return self._node.replica.identity.name

    @property
    def ring(self) -> Ring:
        """The hashring: which server owns which key."""
        return self._node.replica.cluster.ring

    def __getitem__(self, key: Key) -> Any:
        if isinstance(key, tuple):
            if len(key) != 1:
                try:
                    found = self.at(key, UNSET)
                except ValueRefused:
                    raise KeyError(key) from None  # no path, so nothing is there
                if found is UNSET:
                    raise KeyError(key)
                return found
            key = key[0]
        if type(key) is not str and type(key) is not int:
            raise KeyError(key)
        cluster = self._node.replica.cluster
        return cluster.shards[cluster.find(key)].view.get(key)

    def __iter__(self) -> Iterator[str | int]:
        for shard in self._node.replica.cluster.shards:
            if shard.view.parts:
                yield from list(shard.view.parts)

    def __len__(self) -> int:
        return sum(len(s.view.parts) for s in self._node.replica.cluster.shards)

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]  # pyright: ignore[reportArgumentType]
        except KeyError:
            return False
        return True

    def at(self, path: Key, default: Any = None) -> Any:
        """Give the value at a path: "a.b.c" or ("a", "b", 0); `default` when there is none.

        Raises:
            ValueRefused: not a path.
        """
        steps = Path.parse(path)
        cluster = self._node.replica.cluster
        return cluster.shards[cluster.find(steps[0])].view.at(steps, default)

    async def read(
        self, path: Key, default: Any = UNSET, *, timeout: float | None = None
    ) -> Any:
        """Ask the owner of a path what is there.

        In quorum mode the answer includes every write that was acknowledged before the call
        (linearizable, with the writes of that key); in the available mode it is what the owner has.

        Args:
            default: What to give when there is nothing.
            timeout: Seconds; None is `constants.requests.timeout`.

        Raises:
            KeyMissing: there is nothing, and no default.
            NoQuorum: a majority of the voters does not answer.
            RequestTimeout: the owner does not answer.
        """
        guarantee = Guarantee(self._node, READ, Path.parse(path), NIL)
        self._node.submit(guarantee)
        try:
            return await (guarantee if timeout is None else guarantee.timeout(timeout))
        except KeyMissing:
            if default is UNSET:
                raise
            return default

    # --- writing

    def update(
        self, key: Key, value: Any, *, expect: Any = UNSET, ttl: float | None = None,
        ack: Level | None = None,
    ) -> Guarantee:
        """Set the value at a path.

        Args:
            key: Where, as deep as wanted; missing levels are made.
            value: What.
            expect: Only if this is there now: a value, the Offset of the key's last change, or
                None for nothing.
            ttl: Seconds after which the key is removed again.
            ack: What awaiting waits for, if other than the cache's default.

        Raises:
            ValueRefused: the key or value cannot be stored.
            Overloaded, Closed.
        """
        return self._write("update", Path.parse(key), pack(value), expect, ttl, ack)

    def add(self, *args: Any, ttl: float | None = None, ack: Level | None = None) -> Guarantee:
        """Add a value: ``add(key, value)`` at a path, ``add(value)`` under the next free integer.

        The id is the guarantee's reply: ``await cache.add(value).on("reply")``. Ids are consecutive
        integers, never given twice.
        """
        if len(args) == 2:
            return self._write("add", Path.parse(args[0]), pack(args[1]), UNSET, ttl, ack)
        if len(args) != 1:
            raise TypeError(f"add() takes (value) or (key, value), not {len(args)} arguments")
        return self._write("add", None, pack(args[0]), UNSET, ttl, ack)

    def remove(self, key: Key, *, expect: Any = UNSET, ack: Level | None = None) -> Guarantee:
        """Remove what is at a path. Awaiting raises KeyMissing when there is nothing."""
        return self._write("remove", Path.parse(key), NIL, expect, None, ack)

    def push(self, *args: Any, ack: Level | None = None) -> Guarantee:
        """Append to a list: ``push(key, value)``; ``push(value)`` is ``add(value)``.

        The owner resolves the index, so pushes of several writers keep all values.
        """
        if len(args) == 1:
            return self.add(args[0], ack=ack)
        if len(args) != 2:
            raise TypeError(f"push() takes (value) or (key, value), not {len(args)} arguments")
        return self._write("push", Path.parse(args[0]), pack(args[1]), UNSET, None, ack)

    def patch(self, *args: Any, ack: Level | None = None) -> Guarantee | Joint:
        """Set several values at once: ``patch(key, values)`` is one atomic record.

        Args:
            values: A dict of paths below the key and their values. Without a key, of top-level
                keys: those may have several owners, so each is a record of its own, and the result
                is a guarantee of all.
        """
        if len(args) == 2:
            values = args[1]
            self._check_patch(values)
            return self._write("patch", Path.parse(args[0]), pack(values), UNSET, None, ack)
        if len(args) != 1:
            raise TypeError(f"patch() takes (values) or (key, values), not {len(args)} arguments")
        self._check_patch(args[0])
        packed = [(Path.parse(key), pack(value)) for key, value in args[0].items()]
        return Joint([self._write("update", k, v, UNSET, None, ack) for k, v in packed])

    def set(self, change: Change, *, ack: Level | None = None) -> Guarantee:
        """Apply a change record: its type as the verb, its key and value."""
        if not isinstance(change, Change):
            raise ValueRefused("change", f"must be a Change, not {type(change).__name__}")
        if change.type not in WRITES:
            raise ValueRefused("change.type", f"{change.type!r} is none of {sorted(WRITES)}")
        return self._write(change.type, change.key, change.packed, UNSET, None, ack)

    def _check_patch(self, values: Any) -> None:
        if not isinstance(values, Mapping) or not values:
            raise ValueRefused("values", "a patch takes a dict of paths and values, not empty")

    def _write(
        self, verb: str, path: Path | None, packed: bytes, expect: Any, ttl: float | None,
        ack: Level | None,
    ) -> Guarantee:
        node = self._node
        if len(packed) > 4096:
            check_size(node, packed)
        level = self._ack if ack is None else level_of(ack)
        condition = None if expect is UNSET else _condition(expect)
        ttl_ms = 0
        if ttl is not None:
            if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 0 < ttl < 1e9:
                raise ConfigurationError("ttl", ttl, "must be seconds > 0")
            ttl_ms = max(1, int(ttl * 1000))
        guarantee = Guarantee(node, verb, path, packed, level, condition, ttl_ms)
        node.submit(guarantee)
        return guarantee

    # --- events

    @overload
    def on(
        self, event: str, callback: None = None, *, since: Any = "now", under: Key | None = None
    ) -> Observable[Any]: ...
    @overload
    def on(
        self, event: str, callback: Callable[[Any], None], *, since: Any = "now",
        under: Key | None = None,
    ) -> DisposableBase: ...
    def on(
        self, event: str, callback: Callable[[Any], None] | None = None, *, since: Any = "now",
        under: Key | None = None,
    ) -> Observable[Any] | DisposableBase:
        """Give an event as an Observable; with a callback, subscribe it and give the Disposable.

        Args:
            event: One of the names in `rxfero.events.EVENTS`, or "*" for (name, payload) of all.
            callback: Called with each payload.
            since: For "change" and "commit": "now"; "state" for the present state as changes and
                then what follows, without gap or double; or an Offset or Position to go on after.
            under: For "change" and "commit": only what concerns this path. A change above it comes
                as what it does there: an update to what is there now, or a remove.

        Raises:
            UnknownEvent: no such event.
            ConfigurationError: `since` is none of those, or `under` no path, or the event has none.
        """
        if under is None and isinstance(since, str) and since == "now":
            return self._hub.on(event, callback)
        source = changes_since(self._node.replica, self._hub, event, since)
        if under is not None:
            source = under_path(source, under, event)
        return source if callback is None else source.subscribe(callback)

    def history(self, since: Position | None = None, until: Position | None = None) -> list[Change]:
        """Give recorded changes; see :meth:`Partitions.history`."""
        return self.partitions.history(since, until)

    def once(self, event: str) -> Awaitable[Any]:
        """Give an awaitable of an event's next payload."""
        return self._hub.once(event)

    def off(self, event: str | None = None, callback: Callable[[Any], None] | None = None) -> None:
        """End subscriptions: of a callback, of an event, or all."""
        self._hub.off(event, callback)

    def stream(
        self, event: str = "change", *, maxsize: int = 1024, overflow: str = "block",
        since: Any = "now", under: Key | None = None, key: str | Callable[[Any], Any] = "key",
    ) -> Pull[Any]:
        """Give an event as an async iterator; see :meth:`on`, :func:`to_async_iter`.

        With "block", changes and commits beyond `maxsize` are read from the log when their turn
        comes (:mod:`rxfero.reader`): none is lost, and no more than that are held.
        """
        stream: Pull[Any]
        if event in ("change", "commit") and overflow == "block":
            stream = Reader(self._node.replica, self._hub, event, maxsize, since, under)
        else:
            source: Any = self.on(event, since=since, under=under)
            stream = source.pipe(to_async_iter(maxsize, overflow, key))
        self._streams.add(stream)
        return stream

    # --- waiting

    async def connected(self, n: int = 1, timeout: float | None = 30.0) -> None:
        """Wait until at least n servers are connected and in sync.

        Raises:
            RequestTimeout: not within `timeout` seconds.
        """
        await self._node.until(
            lambda: len(self.peers.lists.connected) >= n, f"connected({n})", timeout
        )

    async def stable(self, n: int, timeout: float | None = 30.0) -> None:
        """Wait until n servers agree on the ring and every shard has the owner it says.

        Raises:
            RequestTimeout: not within `timeout` seconds.
        """
        await self._node.until(lambda: self._is_stable(n), f"stable({n})", timeout)

    def _is_stable(self, n: int) -> bool:
        replica = self._node.replica
        ring = replica.cluster.ring
        if len(ring.members) != n:
            return False
        contacts, linked = replica.peering.names, replica.cluster.servers
        # A client hears the ring of those only that it is connected to.
        others = linked if self._node.options.client else {*ring.members} - {replica.identity.name}
        for name in others:
            contact = contacts.get(name)
            if contact is None or contact.checksum != ring.checksum:
                return False
        if self._node.options.client:
            return bool(linked)
        return all(s.owner == o for s, o in zip(replica.cluster.shards, ring.owners, strict=True))

    async def reached(self, offset: Offset, timeout: float | None = 30.0) -> None:
        """Wait until this node's state includes an offset (read your writes, on any node).

        Raises:
            RequestTimeout: not within `timeout` seconds.
        """
        if not isinstance(offset, Offset):
            raise ValueRefused("offset", f"must be an Offset, not {type(offset).__name__}")
        shards = self._node.replica.cluster.shards
        if not 0 <= offset.shard < len(shards):
            raise ValueRefused("offset", f"there is no shard {offset.shard}")
        shard = shards[offset.shard]
        await self._node.until(
            lambda: shard.seen >= offset.number and shard.log.last_term >= offset.term,
            f"reached({offset})", timeout,
        )

    # --- the whole

    def stats(self) -> dict[str, Any]:
        """Give figures of this node: counts, bytes and shares, as plain values.

        `streams` are those of :meth:`stream` that are alive, `streams_waiting` the items that wait
        in them, `streams_skipped` those that their policies took.
        """
        told = [stream.stats() for stream in self._streams]
        sums = {f"streams_{name}": sum(s[name] for s in told) for name in ("waiting", "skipped")}
        return {**figures(self._node), "streams": len(told), **sums}

    def fail(self, error: Exception, context: str, change: Change | None = None) -> None:
        """Tell of an error that has no caller, on `error`: for what is built on a cache."""
        self._node.fail(error, "storage", context=context, change=change)

    async def destroy(self) -> None:
        """Leave the cluster and end: every socket, task and timer. Idempotent."""
        await self._stopping()

    async def __aenter__(self) -> Cache:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.destroy()

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Cache):
            return self is other
        return isinstance(other, Mapping) and dict(self) == dict(cast("Mapping[Any, Any]", other))

    def __repr__(self) -> str:
        role = self._node.replica.identity.role
        state = " destroyed" if self._node.closed else ""
        return f"<Cache {self.name} {role} keys={len(self)} peers={len(self.peers)}{state}>"


def _condition(expect: Any) -> list[Any]:
    if expect is None:
        return ["absent"]
    if isinstance(expect, Offset):
        return ["number", expect.number]
    return ["value", pack(expect)]
