"""The options: what a user may ask of a node, checked at the call.

Every option is checked before anything starts; what does not fit raises ConfigurationError with the
option, the value and what would be right.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from rxfero.constants import Constants
from rxfero.core.call import level_of
from rxfero.discovery.hosts import parse_hosts
from rxfero.discovery.multicast import Multicast
from rxfero.errors import ConfigurationError, nearest
from rxfero.ports import Finder

Ports = tuple[int, int] | int | None


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that `fero()` takes beside the service's name and its handler.

    Attributes:
        client: False for a server; True, or a group's name, for a client.
        follow: Of a client: the top-level keys that it holds; None: all. It is sent, and shows, the
            shards they lie in, and what else lies there; of other keys it can write, and `read`.
        hosts: Where to look for servers: names, addresses, or "host:port". A server listens on the
            first host that is a bare one.
        ports: (first, last), a port, or None for any free port. Servers listen on the first free
            one; all are scanned on all hosts.
        multicast: True: servers announce themselves to a UDP group and are found by it; or a
            mapping of those of `constants.multicast` to change. On loopback unless told otherwise.
        finders: Other ways to find servers: objects that meet :class:`rxfero.ports.Finder`, as
            those of :mod:`rxfero.discovery`.
        hash: bytes -> uint32, for the ring and the shards; the same on every node.
        partition: Change -> hashable id of its top-level partition.
        restore: Async function run once a cluster by the first server; gives a mapping to commit.
        storage: A directory in which a server keeps its log, its promises and its name; made if
            it is not there. None: it lives in memory alone.
        fsync: "group": every write is fsynced, many at a time; ms between fsyncs; or "never": the
            operating system decides, and nothing counts as durable.
        quorum: None: the available mode, in which both sides of a split go on. "majority": what a
            majority of the `voters` has on disk counts, and nothing else.
        voters: The names of 3 or 5 servers, each with `storage` and this as its `id`; the same on
            every server. Other servers come and go as in the available mode.
        security: None, or {"secret": text}, the same on every node.
        constants: :class:`Constants`, or a nested dict of those to change.
        id: This node's name; random if not given. Unique among live nodes.
        cluster: The cluster's name, for nodes that share hosts and ports but not data.
        ack: What awaiting a write waits for: "auto" (one more server where there is one),
            "commit", a number of servers, "majority", "all", or "durable" and "durable(n)": on the
            disks of so many servers, the owner's included.
    """

    client: bool | str = False
    follow: tuple[str | int, ...] | None = None
    hosts: tuple[Any, ...] = ("127.0.0.1",)
    ports: Ports = None
    multicast: bool = False
    finders: tuple[Finder, ...] = ()
    hash: Callable[[bytes], int] | None = None
    partition: Callable[[Any], Any] | None = None
    restore: Callable[..., Any] | None = None
    storage: str | os.PathLike[str] | None = None
    fsync: Any = "group"
    quorum: str | None = None
    voters: tuple[str, ...] = ()
    security: Mapping[str, str] | None = None
    constants: Constants = field(default_factory=Constants)
    id: str | None = None
    cluster: str = "rxfero"
    ack: str | int = "auto"

    @property
    def secret(self) -> str | None:
        """The cluster's shared secret."""
        return None if self.security is None else self.security["secret"]

    @property
    def group(self) -> str | None:
        """The client's group."""
        return self.client if isinstance(self.client, str) else None


def read_options(given: Mapping[str, Any]) -> Options:
    """Check options as they were given.

    Raises:
        ConfigurationError: an unknown option, a wrong type, a value out of range.
    """
    known = {f.name for f in fields(Options)}
    for name, value in given.items():
        if name not in known:
            raise ConfigurationError(name, value, f"no such option; {nearest(name, known)}")
    made: dict[str, Any] = dict(given)
    made["constants"] = Constants.load(given.get("constants"), env=os.environ)
    _client(made)
    _follow(made)
    made["ports"] = _ports(made.get("ports"))
    hosts = made.get("hosts", ("127.0.0.1",))
    if not _is(hosts, Iterable) or _is(hosts, str):
        raise ConfigurationError("hosts", hosts, "must be a list of hosts, as ['127.0.0.1']")
    made["hosts"] = tuple(hosts)
    if not made["hosts"]:
        raise ConfigurationError("hosts", hosts, "must name at least one host")
    parse_hosts(made["hosts"], made["ports"])
    for name in ("hash", "partition", "restore"):
        value = made.get(name)
        if value is not None and not callable(value):
            raise ConfigurationError(name, value, "must be a function")
    _finders(made)
    _storage(made)
    _quorum(made)
    _security(made)
    for name in ("id", "cluster"):
        value = made.get(name)
        if value is not None and (not isinstance(value, str) or not 0 < len(value) <= 64):
            raise ConfigurationError(name, value, "must be text of 1 to 64 characters")
    ack = made.get("ack", "auto")
    level_of(ack)
    return Options(**made)


def _client(made: dict[str, Any]) -> None:
    client = made.get("client", False)
    if type(client) is not bool and not (type(client) is str and 0 < len(client) <= 64):
        raise ConfigurationError("client", client, "must be False, True or the name of a group")


def _follow(made: dict[str, Any]) -> None:
    follow = made.get("follow")
    if follow is None:
        return
    if made.get("client", False) is False:
        raise ConfigurationError("follow", follow, "is for clients: a server holds everything")
    if made.get("partition") is not None:
        raise ConfigurationError("follow", follow, "cannot be told from keys with partition=")
    if not _is(follow, (tuple, list, set, frozenset)) or not follow:
        raise ConfigurationError("follow", follow, "must be a list of top-level keys, not empty")
    if not all(type(key) is int or (type(key) is str and key) for key in follow):
        raise ConfigurationError("follow", follow, "must be top-level keys: texts and integers")
    made["follow"] = tuple(follow)


def _ports(ports: Any) -> Ports:
    if ports is None:
        return None
    if type(ports) is int:
        if 0 < ports < 65_536:
            return (ports, ports)
    elif _is(ports, (tuple, list)) and 1 <= len(ports) <= 2:
        first, last = ports[0], ports[-1]
        if type(first) is int and type(last) is int and 0 < first <= last < 65_536:
            return (first, last)
    raise ConfigurationError("ports", ports, "must be (first, last) or a port in 1..65535, or None")


def _finders(made: dict[str, Any]) -> None:
    multicast, finders = made.get("multicast", False), made.get("finders", ())
    if _is(multicast, Mapping):
        made["constants"] = made["constants"].replace({"multicast": dict(multicast)})
        made["multicast"] = True
    elif type(multicast) is not bool:
        hint = "must be True, False or a mapping, as {'port': 3130, 'host': '127.0.0.1'}"
        raise ConfigurationError("multicast", multicast, hint)
    if not _is(finders, (tuple, list)) or not all(_is(f, Finder) for f in finders):
        raise ConfigurationError("finders", finders, "must be a list of objects that can find()")
    made["finders"] = tuple(finders)
    if made.get("multicast", False):
        made["finders"] += (Multicast(made["constants"].multicast),)


def _storage(made: dict[str, Any]) -> None:
    storage, fsync = made.get("storage"), made.get("fsync", "group")
    if storage is not None:
        if not _is(storage, (str, os.PathLike)) or not os.fspath(storage):
            raise ConfigurationError("storage", storage, "must be the path of a directory")
        if made.get("client", False) is not False:
            raise ConfigurationError("storage", storage, "is for servers: a client keeps nothing")
    if fsync not in ("group", "never") and not (type(fsync) is int and 0 < fsync <= 60_000):
        raise ConfigurationError("fsync", fsync, "must be 'group', 'never' or 1 to 60000 ms")


def _quorum(made: dict[str, Any]) -> None:
    quorum, voters = made.get("quorum"), made.get("voters", ())
    if quorum not in (None, "majority"):
        raise ConfigurationError("quorum", quorum, "must be None or 'majority'")
    if not _is(voters, (tuple, list)) or not all(_is(v, str) and v for v in voters):
        raise ConfigurationError("voters", voters, "must be a list of names of servers")
    made["voters"] = voters = tuple(voters)
    if quorum is None or made.get("client", False) is not False:
        if voters and quorum is None:
            raise ConfigurationError("voters", voters, "are for quorum='majority'")
        return
    if not voters:
        raise ConfigurationError("quorum", quorum, "needs voters=: 3 or 5 names of servers")
    if len(set(voters)) != len(voters) or len(voters) not in (3, 5):
        raise ConfigurationError("voters", voters, "must be 3 or 5 different names of servers")
    if made.get("id") in voters:
        hint = "a voter keeps what it promised on a disk"
        if made.get("storage") is None:
            raise ConfigurationError("storage", None, f"must be given: {hint}")
        if made.get("fsync", "group") != "group":
            raise ConfigurationError("fsync", made["fsync"], f"must be 'group': {hint}")


def _security(made: dict[str, Any]) -> None:
    security = made.get("security")
    if security is None:
        return
    hint = "must be {'secret': text of at least 8 characters}"
    if not _is(security, Mapping) or set(security) != {"secret"}:
        raise ConfigurationError("security", security, hint)
    if not isinstance(security["secret"], str) or len(security["secret"]) < 8:
        raise ConfigurationError("security", "(not shown)", hint)


def _is(value: Any, kinds: Any) -> bool:
    """Whether a value is of a kind; the checker goes on taking it for anything."""
    return isinstance(value, kinds)
