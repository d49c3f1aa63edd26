"""The ports: what users bring, and what operators need, as protocols to be met by shape alone.

Nothing here is a base class and nothing has to be imported by who meets it: any object with these
methods will do. Users bring a :class:`Handler`, a :class:`Storage` or a :class:`Finder`; operators
write to a :class:`CacheLike`, so that they work on a cache, a fake one, or something of the user's.

The module knows no node, no cache and no core.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from reactivex import Observable

Key = str | int | tuple[str | int, ...]
"""Where something is: dotted text, an integer, or a tuple of elements."""

Level = int | Literal["auto", "commit", "majority", "all"]
"""How many other servers must hold a write before awaiting it is over."""


# --- what users bring


@runtime_checkable
class RequestLike(Protocol):
    """One request, as a handler gets it."""

    @property
    def type(self) -> str:
        """The verb."""
        ...

    @property
    def key(self) -> Any:
        """The path the request is for, or None."""
        ...

    @property
    def value(self) -> Any:
        """What was sent; containers are read-only."""
        ...

    @property
    def peer(self) -> str:
        """The name of the node that sent it."""
        ...

    def reply(self, value: Any = None) -> None:
        """Answer now; what the handler returns later is ignored."""
        ...

    def next(self) -> Any:
        """Apply the default verb; gives its offset."""
        ...


class RequestHandler(Protocol):
    """A handler that needs only the request."""

    def __call__(self, request: Any, /) -> Any:
        """Give a value, an awaitable, an Observable or an async generator; or raise."""
        ...


class CacheHandler(Protocol):
    """A handler that also needs the cache."""

    def __call__(self, request: Any, cache: Any, /) -> Any:
        """Give a value, an awaitable, an Observable or an async generator; or raise."""
        ...


Handler = RequestHandler | CacheHandler
"""The function of a service's own verbs: of (request) or of (request, cache)."""


@runtime_checkable
class Storage(Protocol):
    """Keeps a service's state elsewhere; see :func:`rxfero.connect`.

    Each method may be plain or async. An object that lacks some of them will do too: what it lacks
    is not called.
    """

    def restore(self) -> Mapping[Any, Any] | Awaitable[Mapping[Any, Any] | None] | None:
        """Give the keys and values to start from; asked only while the cache is empty."""
        ...

    def add(self, change: Any) -> object:
        """Store an added value. Called on the owner of its key, after the commit."""
        ...

    def update(self, change: Any) -> object:
        """Store an updated value. Called on the owner of its key, after the commit."""
        ...

    def remove(self, change: Any) -> object:
        """Forget a value. Called on the owner of its key, after the commit."""
        ...


@runtime_checkable
class Seeker(Protocol):
    """The node that looks for others, as a finder gets it."""

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        ...

    @property
    def service(self) -> str:
        """The service's name."""
        ...

    @property
    def name(self) -> str:
        """The node's name."""
        ...

    @property
    def host(self) -> str:
        """Where it listens, a numeric address; "" for clients."""
        ...

    @property
    def port(self) -> int:
        """Where it listens; 0 for clients."""
        ...

    @property
    def secret(self) -> str | None:
        """The cluster's secret."""
        ...

    def alone(self) -> bool:
        """Whether it is connected to no server, so that it is worth looking harder."""
        ...


@runtime_checkable
class Finder(Protocol):
    """Finds addresses at which servers may listen; it connects to none of them."""

    async def find(self, here: Seeker, found: Callable[[str, int], None]) -> None:
        """Look, and call ``found(host, port)`` for each address; runs until it is cancelled.

        Finding an address again, or our own, does no harm. One that returns has found all it ever
        will. One that raises is told on the event `error` and begun anew after a while.
        """
        ...


# --- what operators need


@runtime_checkable
class GuaranteeLike(Protocol):
    """The promise of one write or message; awaiting it gives its outcome or raises."""

    def __await__(self) -> Generator[Any, None, Any]: ...

    def on(self, stage: str, /) -> Observable[Any]:
        """Give a stage: "ack", "commit" or "reply"."""
        ...

    def replicated(self, servers: int | Literal["majority", "all"], /) -> Observable[Any]:
        """Give the stage at which so many other servers hold the write too."""
        ...

    def acknowledged(self, where: Callable[[Any], bool], /) -> Observable[int]:
        """Give the stage at which a server that `where` accepts, a function of a peer, has it."""
        ...

    def timeout(self, seconds: float, /) -> GuaranteeLike:
        """End it with RequestTimeout when no answer came within `seconds`."""
        ...


@runtime_checkable
class PeerLike(Protocol):
    """One node of a service."""

    @property
    def id(self) -> str:
        """The node's name."""
        ...

    def send(self, message: Any, /) -> GuaranteeLike:
        """Send a message to this very node."""
        ...


@runtime_checkable
class PeersLike(Protocol):
    """The nodes of a service, as one of them sees them."""

    @property
    def me(self) -> PeerLike | Literal[False]:
        """This server; False on a client."""
        ...

    def send(self, message: Any, /) -> GuaranteeLike:
        """Send a message: with a key to its owner, without to any server."""
        ...

    def owner(self, key: Any, /) -> PeerLike | None:
        """Give the server that owns a key (or a change's key); None while there is none.

        ``cache.peers.owner(change) is cache.peers.me`` holds on one server only: the owner.
        """
        ...


@runtime_checkable
class CacheLike(Protocol):
    """What an operator may ask of a cache: its name, its events, its peers, a value, the writes."""

    @property
    def name(self) -> str:
        """The service's name."""
        ...

    @property
    def peers(self) -> PeersLike:
        """The nodes of the service."""
        ...

    def on(self, event: str, callback: Any = None, *, since: Any = "now") -> Any:
        """Give an event as an Observable; with a callback, subscribe it and give the Disposable."""
        ...

    def get(self, key: Any, /) -> Any:
        """Give the value of a top-level key; None when there is none."""
        ...

    def update(
        self,
        key: Key,
        value: Any,
        *,
        expect: Any = ...,
        ttl: float | None = None,
        ack: Level | None = None,
    ) -> GuaranteeLike:
        """Set the value at a path; with `expect`, only if that is there now."""
        ...

    def remove(self, key: Key, *, expect: Any = ..., ack: Level | None = None) -> GuaranteeLike:
        """Remove what is at a path."""
        ...

    def add(self, *args: Any, ttl: float | None = None, ack: Level | None = None) -> GuaranteeLike:
        """Add a value: ``add(value)`` under the next free integer, or ``add(key, value)``."""
        ...

    def push(self, *args: Any, ack: Level | None = None) -> GuaranteeLike:
        """Append to a list: ``push(key, value)``; ``push(value)`` is ``add(value)``."""
        ...

    def patch(self, *args: Any, ack: Level | None = None) -> GuaranteeLike:
        """Set several values at once: ``patch(key, values)`` is one atomic record."""
        ...


@runtime_checkable
class Reporter(Protocol):
    """A scheduler that can also tell of an error, for operators that go on after one."""

    def report(self, error: Exception, context: str, item: Any, /) -> None:
        """Tell of an error that has no caller, where it came up and what item it is about."""
        ...
