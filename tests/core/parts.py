"""The parts that tests of the machines are made of: a cluster at rest, and what it said."""

from __future__ import annotations

from random import Random
from typing import Any

from rxfero.constants import Constants
from rxfero.core import frame
from rxfero.core.call import COMMIT, Call
from rxfero.core.change import DATA, TERM, Record
from rxfero.core.cluster import Cluster
from rxfero.core.members import ALIVE, Member, Members
from rxfero.core.owner import Owner
from rxfero.core.path import Path, wire
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.quorum import Quorum
from rxfero.core.requests import Requests
from rxfero.core.ring import Ring
from rxfero.core.router import Router
from rxfero.core.settings import Settings
from rxfero.core.shard import OWNER, Shard
from rxfero.core.value import pack, unpack_body

SHARDS = 8
BOOT = 100
NIL = b"\xc0"
ONE = b"\x01"


def constants(**given: Any) -> Constants:
    """Give the constants of a small cluster; `takeover__timeout=5` sets a dotted key."""
    dotted = {key.replace("__", "."): value for key, value in given.items()}
    return Constants.of({"shards": SHARDS, "dht.vnodes": 4, **dotted})


def cluster_of(
    *others: str, name: str = "me", client: bool = False, handled: bool = False,
    quorum: Quorum | None = None, **given: Any,
) -> Cluster:
    """Give a node's cluster at 100 s in which `others` are alive and linked, as links 1, 2, ..."""
    rng = Random(1)
    settings = Settings(name, BOOT, client, constants(**given), rng, None, None, handled, quorum)
    me = None if client else Member(name, BOOT, "h", 1, ALIVE, 0, 100.0)
    cluster = Cluster(settings, Members(me, 2.0, 3.0))
    cluster.now, cluster.wall_offset = 100.0, 1_700_000_000.0
    rows = [(other, BOOT + i, "h", 1 + i, ALIVE, 0) for i, other in enumerate(others, 1)]
    cluster.members.merge(rows, 100.0)
    for link, other in enumerate(others, 1):
        cluster.servers[other] = link
        cluster.members.linked(other, True, 100.0)
    ring_of(cluster, *cluster.members.ring())
    return cluster


def ring_of(cluster: Cluster, *names: str) -> None:
    """Give the shards to those names."""
    cluster.ring = Ring(names, vnodes=4, shards=cluster.count)


def said(cluster: Cluster) -> list[tuple[str, int, Any]]:
    """Take what was sent: (name of the peer, kind, body)."""
    names = {link: name for name, link in (*cluster.servers.items(), *cluster.clients.items())}
    frames, cluster.frames = cluster.frames, []
    return [
        (names[link], data[4], unpack_body(data[frame.HEADER.size :])) for link, data in frames
    ]


def bodies(cluster: Cluster, kind: int) -> list[Any]:
    """Take what was sent and give the bodies of one kind."""
    return [body for _, of, body in said(cluster) if of == kind]


def data(
    term: Term, number: int, key: Any = "k", value: Any = 1, *, sid: str = "s", seq: int = 0,
    verb: str = "update", hlc: int = 0, kind: int = DATA,
) -> Record:
    """Give a record; its session's number and its stamp are its own number unless told."""
    path = key if isinstance(key, tuple) else (key,)
    return Record(
        term, number, kind, sid, seq or number, wire(path), verb, pack(value), hlc or number, None, 0
    )


def begin(term: Term, number: int = 1, last: Term = ZERO_TERM) -> Record:
    """Give the TERM record with which an owner begins, after `last`."""
    return Record(term, number, TERM, "", 0, (), "", NIL, number, (last, number - 1), 0)


def fill(shard: Shard, *terms: Term) -> Shard:
    """Log a TERM record for each new term, then a write each time the term repeats."""
    for term in terms:
        log = shard.log
        number = log.end + 1
        if term == log.last_term:
            shard.append(data(term, number))
        else:
            shard.append(begin(term, number, log.last_term))
    if terms and terms[-1] > shard.promised:
        shard.promised = terms[-1]
    return shard


def own(cluster: Cluster, number: int, n: int = 1) -> Shard:
    """Make the node the owner of a shard, in its own term `n`, with its TERM record logged."""
    shard = cluster.shards[number]
    term = Term(n, cluster.boot)
    shard.promised = shard.term = term
    shard.role, shard.owner = OWNER, cluster.name
    shard.append(begin(term, shard.log.end + 1, shard.log.last_term))
    return shard


def shape(shard: Shard) -> Any:
    """Give all of a shard that may change, to compare before and after."""
    return (
        shard.role, shard.owner, shard.term, shard.promised, shard.log.base, shard.log.end,
        list(shard.log.hist), list(shard.log.records), shard.dump(), shard.branches, shard.dumps,
        shard.safe, shard.stable,
    )  # fmt: skip


def router_of(*others: str, **given: Any) -> tuple[Router, Cluster]:
    cluster = cluster_of(*others, **given)
    requests = Requests(cluster.name, cluster.rng, 30.0, (1024, 1 << 20))
    return Router(cluster, Owner(cluster), requests), cluster


def alone(**given: Any) -> tuple[Router, Cluster]:
    """Give a server that owns every shard and has one client, c."""
    router, cluster = router_of(**given)
    cluster.clients["c"] = 9
    for number in range(cluster.count):
        own(cluster, number)
    return router, cluster


def request(**given: Any) -> list[Any]:
    """Give the body of a request that writes 1 at "k", but for the columns given."""
    columns: dict[str, Any] = {
        "to": "", "hops": 0, "sid": "s", "numbers": [1, 1], "verbs": "update", "keys": ["k"],
        "values": [ONE], "seqs": [1], "levels": COMMIT, "expects": None, "ttls": None,
    }  # fmt: skip
    return list({**columns, **given}.values())


def write_of(key: str = "k", value: Any = 1) -> Call:
    return Call("update", Path((key,)), pack(value), COMMIT)


def turn(router: Router) -> list[tuple[str, int, Any]]:
    """End a turn; give what was sent."""
    router.flush_calls()
    router._cluster.flush_log()
    router.flush_answers()
    return said(router._cluster)
