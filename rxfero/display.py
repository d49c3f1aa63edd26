"""The display: the pages that a notebook shows for caches, rings, logs, changes and the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any, cast

from rxfero import markup
from rxfero.cache import Cache
from rxfero.core.change import Change
from rxfero.core.ring import Ring
from rxfero.events import Failure
from rxfero.guarantee import Guarantee
from rxfero.partitions import Partition, Partitions
from rxfero.peers import Peer, Peers

ROWS = 20  # of a table
LOGGED = 500  # changes drawn in a timeline
PEERS = ("id", "address", "status", "lag", "outbox", "rtt ms")
CHANGES = ("time", "type", "key", "value", "offset")


def page(thing: Any) -> str | None:
    """Give the HTML of a thing; None when there is none for its type."""
    for kind in type(thing).__mro__:
        make = PAGES.get(kind)
        if make is not None:
            return markup.page(*make(thing))
    return None


def of_cache(cache: Cache) -> Iterator[str]:
    """Show the keys, with types, sizes and owners, and who serves them."""
    told = cache.stats()
    role = f"client of {told['servers']} servers" if told["role"] == "client" else "server"
    ring = f"ring {cache.ring.checksum & 0xFFFFFFFF:08x}"
    said = (f"{told['keys']:,} keys", f"{told['members']} servers")
    yield markup.title(cache.name, f"{cache.id} ({role})", *said, ring)
    yield keys_of(cache, told["keys"])


def keys_of(cache: Cache, count: int, rows: int = ROWS) -> str:
    """Show the first keys of a cache."""
    shown: list[tuple[Any, ...]] = []
    for key in islice(cache, rows):
        value = cache.get(key)
        owner = cache.peers.owner((key,))
        shown.append((str(key), kind_of(value), markup.short(value), owner.id if owner else "-"))
    shown.sort()
    return markup.table(("key", "type", "value", "owner"), shown, count - len(shown))


def kind_of(value: Any) -> str:
    """Say what type a value is, and how large."""
    if isinstance(value, Mapping):
        return f"dict {len(cast('Mapping[Any, Any]', value))}"
    if isinstance(value, list | tuple):
        return f"list {len(cast('list[Any]', value))}"
    if isinstance(value, str | bytes):
        return f"{type(value).__name__} {len(value)}"
    return type(value).__name__


def of_peers(peers: Peers) -> Iterator[str]:
    """Show every known node."""
    yield markup.title(f"peers of {peers.name}", f"{len(peers)}")
    yield markup.table(PEERS, map(_peer, islice(peers, ROWS)), len(peers) - ROWS)


def of_peer(peer: Peer) -> Iterator[str]:
    """Show one node."""
    yield markup.table(PEERS, [_peer(peer)])


def _peer(peer: Peer) -> tuple[Any, ...]:
    rtt = "-" if peer.rtt is None else f"{peer.rtt * 1000:.2f}"
    status = f"client of group {peer.client}" if isinstance(peer.client, str) else peer.status
    return (peer.id, peer.address, status, peer.lag, peer.outbox_bytes, rtt)


def of_partitions(partitions: Partitions) -> Iterator[str]:
    """Show the log in time, a row a key; those that changed last."""
    rows: dict[str, list[tuple[float, str]]] = {}
    recorded = partitions.history()[-LOGGED:]
    for change in reversed(recorded):
        key = str(change.partition)
        if key in rows or len(rows) < ROWS:
            rows.setdefault(key, []).append((_seconds(change), change.type))
    said = f"{len(partitions):,} keys", f"the last {len(recorded):,} changes"
    yield markup.title("partitions", *said)
    yield markup.timeline(list(rows.items()))


def of_partition(partition: Partition) -> Iterator[str]:
    """Show the log of one key."""
    changes = list(partition)
    owner = partition.owner
    held = f"owned by {owner.id}" if owner else "without an owner"
    yield markup.title("partition", f"{len(changes):,} changes", held)
    yield markup.table(CHANGES, map(row_of, changes[-ROWS:]), len(changes) - ROWS)


def of_ring(ring: Ring) -> Iterator[str]:
    """Draw the ring: which server owns which part."""
    yield markup.title(
        "ring", f"{len(ring)} servers", f"{ring.shards:,} shards",
        f"checksum {ring.checksum & 0xFFFFFFFF:08x}",
    )  # fmt: skip
    yield ring_of(ring)


def ring_of(ring: Ring) -> str:
    """Draw a ring."""
    arcs = [(owner or "-", len(list(run))) for owner, run in groupby(ring.owners)]
    return markup.donut(arcs, ring.shares())


def of_guarantee(guarantee: Guarantee) -> Iterator[str]:
    """Show how far a request has come."""
    steps = [("sent", guarantee.number > 0), ("received", guarantee.acked or guarantee.done)]
    failed = guarantee.error
    if failed is None and guarantee.seq:
        steps.append(("committed", guarantee.done))
    elif failed is None:
        steps.append(("answered", guarantee.done))
    marks = " ".join(f"{'●' if done else '○'} {name}" for name, done in steps)
    yield markup.title(f"{guarantee.verb} {guarantee.path}", marks)
    if failed is not None:
        yield markup.line(f"{type(failed).__name__}: {failed}", "bad")
    elif guarantee.done:
        yield markup.line(markup.short(guarantee.offset or guarantee.answer))


def of_change(change: Change) -> Iterator[str]:
    """Show one change."""
    yield markup.table(CHANGES, [row_of(change)])


def row_of(change: Change) -> tuple[Any, ...]:
    """Give a change as a row of a table."""
    time = "-" if change.time is None else f"{change.time:%H:%M:%S.%f}"[:-3]
    offset = change.offset
    at = "-" if offset is None else f"{offset.shard}:{offset.number}"
    return (time, change.type, str(change.key), markup.short(change.value), at)


def of_failure(failure: Failure) -> Iterator[str]:
    """Show an error that had no caller."""
    yield markup.line(str(failure), "bad")
    if failure.change is not None:
        yield markup.line(markup.short(failure.change), "dim")


def _seconds(change: Change) -> float:
    return (change.time or datetime.now(UTC)).timestamp()


PAGES: dict[type, Callable[[Any], Iterator[str]]] = {
    Cache: of_cache,
    Peers: of_peers,
    Peer: of_peer,
    Partitions: of_partitions,
    Partition: of_partition,
    Ring: of_ring,
    Guarantee: of_guarantee,
    Change: of_change,
    Failure: of_failure,
}
