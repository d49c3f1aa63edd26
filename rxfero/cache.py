"""The cache: a service's replicated state as a read-only mapping, and its events.

Reads are local and show a prefix of each key's log; what they give is a snapshot that nobody
changes. Events are Observables. The verbs that write are in :mod:`rxfero.writes`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, cast, overload
from weakref import WeakSet

from rxfero.core.call import READ, level_of
from rxfero.core.path import Path
from rxfero.core.position import Offset, Position
from rxfero.core.ring import Ring
from rxfero.errors import KeyMissing, ValueRefused
from rxfero.figures import figures
from rxfero.guarantee import Guarantee
from rxfero.operators.to_async_iter import Pull, to_async_iter
from rxfero.part import under_path
from rxfero.partitions import Partitions
from rxfero.peers import Peers
from rxfero.reader import Reader
from rxfero.shown import Shown
from rxfero.since import changes_since
from rxfero.writes import NIL, UNSET, Key, Writes

if TYPE_CHECKING:
    from reactivex.abc import DisposableBase

    from rxfero.core.change import Change
    from rxfero.events import CountEvent, Failure, Hub, PeerEvent
    from rxfero.node import Node
    from rxfero.peers import Peer
    from rxfero.streams import Stream


class Cache(Writes, Mapping[str | int, Any], Shown):
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
    def group(self) -> str | None:
        """The client's group: ``client="emails"``."""
        return self._node.options.group

    @property
    def follow(self) -> list[str | int] | None:
        """The keys that a client follows; None: all."""
        follow = self._node.options.follow
        return None if follow is None else sorted(set(follow), key=str)

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
        return self._node.replica.cluster.held(key).view.get(key)

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
            NotFollowed: a client's that follows other keys (`follow=`).
        """
        steps = Path.parse(path)
        return self._node.replica.cluster.held(steps[0]).view.at(steps, default)

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

    # --- events

    @overload
    def on(
        self, event: Literal["change", "commit"], callback: None = None, *, since: Any = "now",
        under: Key | None = None,
    ) -> Stream[Change]: ...
    @overload
    def on(self, event: Literal["conflict"]) -> Stream[Change]: ...
    @overload
    def on(self, event: Literal["rollback", "commits", "changes"]) -> Stream[list[Change]]: ...
    @overload
    def on(self, event: PeerEvent) -> Stream[Peer]: ...
    @overload
    def on(self, event: CountEvent) -> Stream[int]: ...
    @overload
    def on(self, event: Literal["reply"]) -> Stream[Guarantee]: ...
    @overload
    def on(self, event: Literal["replies"]) -> Stream[Sequence[Guarantee]]: ...
    @overload
    def on(self, event: Literal["error"]) -> Stream[Failure]: ...
    @overload
    def on(
        self, event: str, callback: None = None, *, since: Any = "now", under: Key | None = None
    ) -> Stream[Any]: ...
    @overload
    def on(
        self, event: str, callback: Callable[[Any], None], *, since: Any = "now",
        under: Key | None = None,
    ) -> DisposableBase: ...
    def on(
        self, event: str, callback: Callable[[Any], None] | None = None, *, since: Any = "now",
        under: Key | None = None,
    ) -> Stream[Any] | DisposableBase:
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
            NotFollowed: of a client that follows other keys (`follow=`).
        """
        if under is None and isinstance(since, str) and since == "now":
            return self._hub.on(event, callback)
        source = changes_since(self._node.replica, self._hub, event, since)
        if under is not None:
            source = under_path(source, under, event, self._node.replica.cluster.held)
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
        comes (:mod:`rxfero.reader`): none is lost, and no more than that are held. After a `reset`
        changes and commits go on with the state of the shard, with any `overflow` and `since`.
        """
        stream: Pull[Any]
        if event in ("change", "commit") and overflow == "block":
            stream = Reader(self._node.replica, self._hub, event, maxsize, since, under)
        else:
            if event in ("change", "commit") and isinstance(since, str) and since == "now":
                since = self.partitions.position()
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
        shards, follows = self._node.replica.cluster.shards, self._node.replica.cluster.follows
        if not 0 <= offset.shard < len(shards) or offset.shard not in (follows or range(1 << 16)):
            raise ValueRefused("offset", f"there is no shard {offset.shard}, or it is not followed")
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

    def view(self, *, every: float = 0.5, rows: int = 20) -> Any:
        """Give a live page for a notebook: figures, changes a second, ring and first keys.

        Args:
            every: Seconds between two drawings.
            rows: Keys shown.

        Raises:
            ConfigurationError: no running loop, an argument is out of range, or, when it is shown,
                anywidget is not installed.
        """
        view: Any = import_module("rxfero.view")
        return view.view(self, every=every, rows=rows)

    def to_frame(self) -> Any:
        """Give the state as a pandas DataFrame: a row a key, the fields of dicts as columns.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        tables: Any = import_module("rxfero.tables")
        return tables.state_frame(self)

    def plot(self, axes: Any = None) -> Any:
        """Plot when how many of the retained changes came; see :meth:`Partitions.plot`."""
        return self.partitions.plot(axes)

    def _ipython_key_completions_(self) -> list[str | int]:
        return list(self)

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
