"""The constants: every knob with its default, frozen, checked, merged from five sources.

Names and defaults are the original's where it has them; all times are milliseconds. Sources, later
wins: the defaults, a TOML file, the environment (``RXFERO_CONSTANTS__OUTBOX__MAX=0``), arguments of
a command line handed in (``--constants.outbox.max=0``), and code (a nested dict, dotted keys, or a
:class:`Constants`). Nothing is read that was not handed in. Every knob is read by some module; one
that nobody reads is a promise nobody keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

from rxfero.errors import ConfigurationError
from rxfero.sources import (
    INF,
    Group,
    as_dict,
    build,
    knob,
    merge,
    read_arguments,
    read_environment,
    read_toml,
)


@dataclass(frozen=True, slots=True)
class Dht(Group):
    """The hashring."""

    where = "constants.dht"

    vnodes: int = knob(200, 1, 10_000, "virtual nodes a server has on the ring (4 points each)")


@dataclass(frozen=True, slots=True)
class Retries(Group):
    """Dialing again: min(cap, base * 2**attempt) * (1 - jitter * random)."""

    where = "constants.retries"

    base: int = knob(100, 1, 3_600_000, "ms before the first attempt to dial again")
    cap: int = knob(60_000, 1, 3_600_000, "most ms between attempts")
    max: int = knob(5, 0, 1_000_000, "attempts before a peer is removed")
    jitter: float = knob(0.5, 0, 1, "share of a wait that is random")


@dataclass(frozen=True, slots=True)
class Most(Group):
    """Most connections to servers."""

    where = "constants.connections.max"

    server: float = knob(INF, 1, INF, "most servers a server connects to")
    client: int = knob(1, 1, 10_000, "most servers a client connects to")


@dataclass(frozen=True, slots=True)
class Connections(Group):
    """Connections to other nodes."""

    where = "constants.connections"

    timeout: int = knob(10_000, 1, 3_600_000, "ms for a connection and its handshake")
    jitter: int = knob(200, 0, 60_000, "most ms of random delay before dialing a new member")
    max: Most = field(default_factory=Most)


@dataclass(frozen=True, slots=True)
class Multicast(Group):
    """Discovery by UDP multicast."""

    where = "constants.multicast"

    ip: str = knob("224.0.0.251", doc="the group")
    host: str = knob("127.0.0.1", doc="address of the interface")
    port: int = knob(3130, 1, 65_535, "the port")
    ttl: int = knob(128, 0, 255, "hops a datagram may take")
    jitter: int = knob(2_000, 0, 60_000, "most ms of random delay between announcements")
    retry: bool = knob(False, doc="whether a server goes on announcing itself")
    monitor: bool = knob(True, doc="whether monitors are answered")


@dataclass(frozen=True, slots=True)
class History(Group):
    """The retained log."""

    where = "constants.partitions.history"

    max: int = knob(1_024, 16, 1 << 30, "records a shard keeps at least; bounded by four times it")


@dataclass(frozen=True, slots=True)
class PartitionsKnobs(Group):
    """Partitions and their logs."""

    where = "constants.partitions"

    history: History = field(default_factory=History)


@dataclass(frozen=True, slots=True)
class Outbox(Group):
    """What leaves in one turn."""

    where = "constants.outbox"

    max: int = knob(
        1 << 16, 0, 1 << 30,
        "bytes that force a flush in a turn, then twice as many; 0: no batching",
    )  # fmt: skip
    frag: int = knob(1 << 20, 1 << 13, 1 << 30, "bytes of the largest frame, so of a value")


@dataclass(frozen=True, slots=True)
class Restore(Group):
    """Restoring the state."""

    where = "constants.restore"

    wait: int = knob(1_000, 0, 3_600_000, "ms to look for a cluster before restoring as the first")


@dataclass(frozen=True, slots=True)
class RequestsKnobs(Group):
    """Requests and their answers."""

    where = "constants.requests"

    timeout: int = knob(30_000, 1, 86_400_000, "ms until an unanswered request fails")
    hops: int = knob(2, 1, 3, "most times a request is passed on")
    pending: int = knob(1 << 28, 1 << 12, 1 << 40, "bytes of unanswered requests; more: Overloaded")


@dataclass(frozen=True, slots=True)
class Retain(Group):
    """Acknowledged writes a writer keeps until they are on every live server."""

    where = "constants.retain"

    records: int = knob(1_024, 0, 1 << 30, "records")
    bytes: int = knob(4 << 20, 0, 1 << 40, "bytes")


@dataclass(frozen=True, slots=True)
class Heartbeat(Group):
    """The failure detector."""

    where = "constants.heartbeat"

    ping: int = knob(500, 10, 1_800_000, "ms of silence after which a peer is pinged")
    suspect: int = knob(2_000, 20, 3_600_000, "ms of silence after which a server is suspected")
    dead: int = knob(3_000, 20, 3_600_000, "ms more after which it is declared dead")

    def __post_init__(self) -> None:
        Group.__post_init__(self)
        if self.suspect <= self.ping:
            raise ConfigurationError(
                f"{self.where}.suspect",
                self.suspect,
                f"must be more than {self.where}.ping={self.ping}, or all are suspected at once",
            )


@dataclass(frozen=True, slots=True)
class TakeoverKnobs(Group):
    """Becoming the owner of shards."""

    where = "constants.takeover"

    timeout: int = knob(2_000, 10, 3_600_000, "ms to wait for promises before going on without")


@dataclass(frozen=True, slots=True)
class Clock(Group):
    """Clocks."""

    where = "constants.clock"

    skew: int = knob(60_000, 0, 86_400_000, "ms another's clock may be ahead")


@dataclass(frozen=True, slots=True)
class Limits(Group):
    """Limits checked before anything is decoded."""

    where = "constants.limits"

    records: int = knob(65_536, 1, 1 << 30, "records in a frame")
    containers: int = knob(1 << 18, 1 << 10, 1 << 30, "arrays and maps in a frame")


@dataclass(frozen=True, slots=True)
class Credit(Group):
    """Flow control."""

    where = "constants.credit"

    log: int = knob(256 << 10, 1 << 12, 1 << 40, "bytes in a socket's buffer that pause a follower")


@dataclass(frozen=True, slots=True)
class Forget(Group):
    """Dead members."""

    where = "constants.forget"

    after: int = knob(86_400_000, 1_000, 1 << 50, "ms until a dead member is forgotten")


@dataclass(frozen=True, slots=True)
class Constants(Group):
    """All knobs of a node; times in milliseconds.

    Raises:
        ConfigurationError: an unknown name, a wrong type, a value out of range.
    """

    dht: Dht = field(default_factory=Dht)
    retries: Retries = field(default_factory=Retries)
    connections: Connections = field(default_factory=Connections)
    multicast: Multicast = field(default_factory=Multicast)
    partitions: PartitionsKnobs = field(default_factory=PartitionsKnobs)
    outbox: Outbox = field(default_factory=Outbox)
    restore: Restore = field(default_factory=Restore)
    requests: RequestsKnobs = field(default_factory=RequestsKnobs)
    retain: Retain = field(default_factory=Retain)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    takeover: TakeoverKnobs = field(default_factory=TakeoverKnobs)
    clock: Clock = field(default_factory=Clock)
    limits: Limits = field(default_factory=Limits)
    credit: Credit = field(default_factory=Credit)
    forget: Forget = field(default_factory=Forget)
    shards: int = knob(2_048, 1, 1 << 16, "shards of the key space; the same on every node")

    @classmethod
    def of(cls, value: Constants | Mapping[str, Any] | None) -> Constants:
        """Give constants from code: themselves, a nested dict or dotted keys, or the defaults."""
        return cls.load(value)

    @classmethod
    def load(
        cls,
        code: Constants | Mapping[str, Any] | None = None,
        *,
        toml: str | File | None = None,
        env: Mapping[str, str] | None = None,
        argv: Sequence[str] | None = None,
    ) -> Constants:
        """Merge all sources that are given; later wins: TOML, environment, arguments, code.

        Args:
            code: A :class:`Constants` is taken as it is: it says every knob.
            toml: A file; its table ``[constants]``, or all of it if it has none.
            env: Usually ``os.environ``; what does not begin with `RXFERO_CONSTANTS__` is ignored.
            argv: Usually ``sys.argv[1:]``; what does not begin with --constants. is ignored.
        """
        if isinstance(code, Constants):
            return code
        tree = cls().as_dict()
        if toml is not None:
            merge(cls, tree, read_toml(toml), f"the file {toml}")
        for name, key, text in read_environment(env or {}):
            merge(cls, tree, {key: text}, f"the environment, {name}", text=True)
        for key, text in read_arguments(argv or ()):
            merge(cls, tree, {key: text}, f"the argument --constants.{key}", text=True)
        if code is not None:
            merge(cls, tree, code, "code")
        return build(cls, tree)

    def replace(self, changes: Mapping[str, Any] | None = None, **nested: Any) -> Constants:
        """Give these constants with some replaced: ``c.replace(outbox={"max": 0}, shards=64)``.

        Args:
            changes: A nested dict or dotted keys, as ``{"outbox.max": 0}``.
        """
        tree = self.as_dict()
        merge(type(self), tree, {**(changes or {}), **nested}, "code")
        return build(type(self), tree)

    def as_dict(self) -> dict[str, Any]:
        """Give all knobs as a nested dict."""
        return as_dict(self)
