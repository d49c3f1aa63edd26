"""The constants: every knob with its default, frozen, checked, merged from five sources.

Names and defaults are the original's where it has them; all times are milliseconds. Sources, later
wins: the defaults, a TOML file, the environment (``RXFERO_CONSTANTS__OUTBOX__MAX=0``), arguments of
a command line handed in (``--constants.outbox.max=0``), and code (a nested dict, dotted keys, or a
:class:`Constants`).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path as File
from typing import Any, cast

from rxfero.errors import ConfigurationError, nearest

INF = math.inf


def _knob(default: Any, low: float = 0, high: float = INF, doc: str = "") -> Any:
    return field(default=default, metadata={"low": low, "high": high, "doc": doc})


class _Group:
    """Range checks of the fields, at construction."""

    def __post_init__(self) -> None:
        for knob in fields(cast("Any", self)):
            value = getattr(self, knob.name)
            if is_dataclass(value):
                continue
            name = f"{_PREFIX.get(type(self), type(self).__name__.lower())}{knob.name}"
            _check(name, value, knob.default, knob.metadata, "code")


def _check(name: str, value: Any, default: Any, rules: Mapping[str, Any], source: str) -> None:
    kind = type(default)
    if kind is bool or kind is str:
        fits = type(value) is kind
    elif kind is float and default == INF:
        fits = type(value) is int or value == INF
    elif kind is float:
        fits = type(value) in (int, float)
    else:
        fits = type(value) is int
    if not fits:
        raise ConfigurationError(name, value, f"must be {_name(default)}", source)
    if kind not in (bool, str) and not rules["low"] <= value <= rules["high"]:
        raise ConfigurationError(
            name, value, f"must lie within {rules['low']} and {rules['high']}", source
        )


def _name(default: Any) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, str):
        return "text"
    if isinstance(default, float):
        return "a whole number or infinity" if default == INF else "a number"
    return "a whole number"


@dataclass(frozen=True, slots=True)
class Dht(_Group):
    """The hashring."""

    vnodes: int = _knob(200, 1, 10_000, "virtual nodes a server has on the ring (4 points each)")


@dataclass(frozen=True, slots=True)
class Retries(_Group):
    """Dialing again: min(cap, base * 2**attempt) * (1 - jitter * random)."""

    base: int = _knob(100, 1, 3_600_000, "ms before the first attempt to dial again")
    cap: int = _knob(60_000, 1, 3_600_000, "most ms between attempts")
    max: int = _knob(5, 0, 1_000_000, "attempts before a peer is removed")
    jitter: float = _knob(0.5, 0, 1, "share of a wait that is random")


@dataclass(frozen=True, slots=True)
class Most(_Group):
    """Most connections to servers."""

    server: float = _knob(INF, 1, INF, "most servers a server connects to")
    client: int = _knob(1, 1, 10_000, "most servers a client connects to")


@dataclass(frozen=True, slots=True)
class Connections(_Group):
    """Connections to other nodes."""

    timeout: int = _knob(10_000, 1, 3_600_000, "ms for a connection and its handshake")
    jitter: int = _knob(200, 0, 60_000, "most ms of random delay before dialing a new member")
    max: Most = field(default_factory=Most)


@dataclass(frozen=True, slots=True)
class Multicast(_Group):
    """Discovery by UDP multicast."""

    ip: str = _knob("224.0.0.251", doc="the group")
    host: str = _knob("127.0.0.1", doc="address of the interface")
    port: int = _knob(3130, 1, 65_535, "the port")
    ttl: int = _knob(128, 0, 255, "hops a datagram may take")
    jitter: int = _knob(2_000, 0, 60_000, "most ms of random delay between announcements")
    retry: bool = _knob(False, doc="whether a server goes on announcing itself")
    monitor: bool = _knob(True, doc="whether monitors are answered")


@dataclass(frozen=True, slots=True)
class History(_Group):
    """The retained log."""

    max: int = _knob(1_024, 16, 1 << 30, "records a shard keeps at least; bounded by four times it")


@dataclass(frozen=True, slots=True)
class PartitionsKnobs(_Group):
    """Partitions and their logs."""

    history: History = field(default_factory=History)


@dataclass(frozen=True, slots=True)
class Outbox(_Group):
    """What leaves in one turn."""

    max: int = _knob(1 << 16, 0, 1 << 30, "bytes that force a flush within a turn; 0: no batching")
    frag: int = _knob(1 << 20, 1 << 12, 1 << 30, "bytes of the largest frame, so of a value")


@dataclass(frozen=True, slots=True)
class Restore(_Group):
    """Restoring the state."""

    wait: int = _knob(1_000, 0, 3_600_000, "ms to look for a cluster before restoring as the first")


@dataclass(frozen=True, slots=True)
class RequestsKnobs(_Group):
    """Requests and their answers."""

    timeout: int = _knob(30_000, 1, 86_400_000, "ms until an unanswered request fails")
    hops: int = _knob(2, 1, 3, "most times a request is passed on")
    pending: int = _knob(1 << 28, 1 << 12, 1 << 40, "bytes of unanswered requests; more: Overloaded")


@dataclass(frozen=True, slots=True)
class Retain(_Group):
    """Acknowledged writes a writer keeps until they are on every live server."""

    records: int = _knob(1_024, 0, 1 << 30, "records")
    bytes: int = _knob(4 << 20, 0, 1 << 40, "bytes")


@dataclass(frozen=True, slots=True)
class Heartbeat(_Group):
    """The failure detector."""

    ping: int = _knob(500, 10, 3_600_000, "ms of silence after which a peer is pinged")
    suspect: int = _knob(2_000, 20, 3_600_000, "ms of silence after which a server is suspected")
    dead: int = _knob(3_000, 20, 3_600_000, "ms more after which it is declared dead")


@dataclass(frozen=True, slots=True)
class TakeoverKnobs(_Group):
    """Becoming the owner of shards."""

    timeout: int = _knob(2_000, 10, 3_600_000, "ms to wait for promises before going on without")


@dataclass(frozen=True, slots=True)
class Clock(_Group):
    """Clocks."""

    skew: int = _knob(60_000, 0, 86_400_000, "ms another's clock may be ahead")


@dataclass(frozen=True, slots=True)
class Limits(_Group):
    """Limits checked before anything is decoded."""

    records: int = _knob(65_536, 1, 1 << 30, "records in a frame")
    containers: int = _knob(1 << 18, 1 << 10, 1 << 30, "arrays and maps in a frame")


@dataclass(frozen=True, slots=True)
class Credit(_Group):
    """Flow control."""

    log: int = _knob(256 << 10, 1 << 12, 1 << 40, "bytes in a socket's buffer that pause a follower")


@dataclass(frozen=True, slots=True)
class Forget(_Group):
    """Dead members."""

    after: int = _knob(86_400_000, 1_000, 1 << 50, "ms until a dead member is forgotten")


@dataclass(frozen=True, slots=True)
class Constants(_Group):
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
    shards: int = _knob(2_048, 1, 1 << 16, "shards of the key space; the same on every node")

    @classmethod
    def of(cls, value: Constants | Mapping[str, Any] | None) -> Constants:
        """Give constants from code: themselves, a nested dict or dotted keys, or the defaults."""
        if value is None:
            return cls()
        if isinstance(value, Constants):
            return value
        return cls().merged(value, "code")

    @classmethod
    def load(
        cls,
        code: Constants | Mapping[str, Any] | None = None,
        *,
        toml: str | File | None = None,
        env: Mapping[str, str] | None = None,
        argv: Sequence[str] | None = None,
    ) -> Constants:
        """Merge all sources that are given; later wins: TOML, environment, arguments, code."""
        if isinstance(code, Constants):
            return code
        made = cls()
        if toml is not None:
            content = tomllib.loads(File(toml).read_text(encoding="utf-8"))
            made = made.merged(content.get("constants", content), f"the file {toml}")
        for name, text in (env or {}).items():
            if name.startswith("RXFERO_CONSTANTS__"):
                key = name.removeprefix("RXFERO_CONSTANTS__").lower().replace("__", ".")
                made = made.merged({key: text}, f"the environment, {name}")
        for key, text in _arguments(argv or ()):
            made = made.merged({key: text}, f"the argument --constants.{key}")
        return made if code is None else made.merged(code, "code")

    def merged(self, changes: Mapping[str, Any], source: str = "code") -> Constants:
        """Give these constants with some replaced (nested dicts or dotted keys)."""
        return cast("Constants", _merge(self, changes, "constants", source))

    def as_dict(self) -> dict[str, Any]:
        """Give all knobs as a nested dict."""
        return _as_dict(self)


_PREFIX: dict[type, str] = {
    PartitionsKnobs: "partitions.", RequestsKnobs: "requests.", TakeoverKnobs: "takeover.",
    Constants: "", Most: "connections.max.", History: "partitions.history.",
}
for _kind in (
    Dht, Retries, Connections, Multicast, Outbox, Restore, Retain, Heartbeat, Clock, Limits,
    Credit, Forget,
):
    _PREFIX[_kind] = f"{_kind.__name__.lower()}."


def _as_dict(group: Any) -> dict[str, Any]:
    return {
        f.name: _as_dict(value) if is_dataclass(value := getattr(group, f.name)) else value
        for f in fields(group)
    }


def _merge(group: Any, changes: Mapping[str, Any], where: str, source: str) -> Any:
    if not isinstance(changes, Mapping):
        raise ConfigurationError(where, changes, "must be a dict of names and values", source)
    known = {f.name: f for f in fields(group)}
    replaced: dict[str, Any] = {name: getattr(group, name) for name in known}
    for key, value in changes.items():
        head, _, rest = str(key).partition(".")
        if head not in known:
            raise ConfigurationError(f"{where}.{key}", value, nearest(head, known), source)
        current = replaced[head]
        name = f"{where}.{head}"
        if is_dataclass(current):
            if isinstance(value, type(current)) and not rest:
                replaced[head] = value
            else:
                inner = {rest: value} if rest else value
                replaced[head] = _merge(current, inner, name, source)
        elif rest:
            raise ConfigurationError(f"{where}.{key}", value, f"{name} has no parts", source)
        else:
            default = known[head].default
            value = _read(value, default) if source != "code" else value
            _check(name, value, default, known[head].metadata, source)
            replaced[head] = value
    return type(group)(**replaced)


def _read(text: Any, default: Any) -> Any:
    """Read a value that came as text."""
    if not isinstance(text, str) or isinstance(default, str):
        return text
    lowered = text.strip().lower()
    if isinstance(default, bool):
        return {"true": True, "1": True, "false": False, "0": False}.get(lowered, text)
    if lowered in ("inf", "infinity"):
        return INF
    for kind in (int, float):
        try:
            return kind(lowered)
        except ValueError:
            continue
    return text


def _arguments(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    given = iter(argv)
    for argument in given:
        if not argument.startswith("--constants."):
            continue
        key, equals, value = argument.removeprefix("--constants.").partition("=")
        yield key, value if equals else next(given, "")
