"""The since: where a subscription to changes begins, when it is not now.

"state" gives the present state as one change a top-level key, then what follows. An offset gives
what its shard has logged after it, and of the other shards what was logged later in hybrid time,
then what follows. A position gives of every shard exactly what came after it. When the history does
not reach back that far, the failure is explicit: the subscription begins with a `reset` and the
state. Everything is read and subscribed in one go on the loop, so there is no gap and no double.

A node may be behind a position that was taken elsewhere; it then tells nothing of a shard until it
has come that far. When its log goes another way, since what was seen elsewhere has been undone, the
`reset` and the state of that shard come as soon as that is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any

from reactivex import operators
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase

from rxfero.core.change import DATA, Change, Record
from rxfero.core.position import Offset, Position
from rxfero.core.value import pack
from rxfero.errors import ConfigurationError
from rxfero.events import EVENTS

if TYPE_CHECKING:
    from rxfero.core.replica import Replica
    from rxfero.events import Hub
    from rxfero.streams import Stream


def changes_since(replica: Replica, hub: Hub, event: str, since: Any) -> Stream[Any]:
    """Give an event's Observable that begins at `since`.

    Raises:
        ConfigurationError: `since` is neither "now", "state" nor an offset of this service, or the
            event is not "change" or "commit".
    """
    if isinstance(since, str) and since == "now":
        return hub.on(event)
    if event not in ("change", "commit"):
        hint = "only change and commit have a past" if event in EVENTS else "no such event"
        raise ConfigurationError("since", since, hint)
    check_since(replica, since)

    def subscribe(
        observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
    ) -> DisposableBase:
        told = heads(replica)
        beyond_here: set[int] = set()  # shards of which more was seen elsewhere

        def ahead(change: Change) -> bool:
            """Whether a live change is not in the past: the log runs ahead of its events."""
            offset = change.offset
            assert offset is not None, "what the log tells has an offset"
            head = told.get(offset.shard)
            if head is None:
                return True
            if offset.shard in beyond_here and _undone(replica, head):
                begin_anew(offset.shard)
                return False
            if offset <= head:
                return False
            del told[offset.shard]
            beyond_here.discard(offset.shard)
            return True

        def begin_anew(shard: int) -> None:
            beyond_here.discard(shard)
            told[shard] = heads(replica)[shard]
            hub.emit("reset", shard)
            for change in state(replica, shard):
                observer.on_next(change)

        begin: Any = since
        live: Any = hub.on(event).pipe(operators.filter(ahead))
        if since == "state":
            past = state(replica)
        else:
            found = beyond(replica, begin) if isinstance(begin, Position) else after(replica, begin)
            if isinstance(found, int):
                hub.emit("reset", found)
                past = state(replica)
            else:
                past = found
                if isinstance(since, Position):  # this node may be behind what was seen elsewhere
                    shards = replica.cluster.shards
                    more = {o.shard: o for o in since.offsets if o.number > shards[o.shard].seen}
                    told.update(more)
                    beyond_here.update(more)
        subscription = live.subscribe(observer, scheduler=scheduler)
        for change in past:
            observer.on_next(change)
        return subscription

    return hub.stream(subscribe)


def check_since(replica: Replica, since: Any) -> None:
    """Refuse what is no point to begin at, or one of another service.

    Raises:
        ConfigurationError: it is so.
    """
    if isinstance(since, str) and since == "state":
        return
    if not isinstance(since, Offset | Position):
        hint = "must be 'now', 'state', an Offset or a Position"
        raise ConfigurationError("since", since, hint)
    if isinstance(since, Position) and since.of not in ("", service_of(replica)):
        hint = f"is a position of {since.of}, and this is {service_of(replica)}"
        raise ConfigurationError("since", str(since)[:80], hint)
    for offset in (since,) if isinstance(since, Offset) else since.offsets:
        if not 0 <= offset.shard < replica.cluster.count:
            raise ConfigurationError("since", str(offset), "is an offset of another service")
    follows = replica.cluster.follows
    if isinstance(since, Offset) and follows is not None and since.shard not in follows:
        raise ConfigurationError("since", str(since), "is of a key that is not followed")


def service_of(replica: Replica) -> str:
    """Give the names of the cluster and the service, as in a position."""
    me = replica.identity
    return f"{me.cluster}/{me.service}"


def _undone(replica: Replica, seen: Offset) -> bool:
    """Whether the log has gone another way than the one in which something was seen."""
    shard = replica.cluster.shards[seen.shard]
    if seen.number > shard.seen:
        return shard.seen >= shard.log.base and shard.log.term_at(shard.seen) > seen.term
    return seen.number > shard.log.base and shard.log.term_at(seen.number) != seen.term


def heads(replica: Replica) -> dict[int, Offset]:
    """Give the offset of the newest record of every shard that has one."""
    shards = [shard for shard in replica.cluster.shards if shard.seen]
    return {s.id: Offset(s.id, s.log.term_at(s.seen), s.seen) for s in shards}


def state(replica: Replica, only: int | None = None) -> list[Change]:
    """Give the present state (of one shard) as changes, each with its key's last offset."""
    changes: list[Change] = []
    shards = replica.cluster.shards
    for shard in shards if only is None else [shards[only]]:
        for key, value in list(shard.view.items()):
            part = shard.view.parts[key]
            number = part.number
            term = shard.log.term_at(number) if number <= shard.log.end else shard.log.last_term
            record = Record(
                term, number, DATA, part.sid, part.seq, key, "update", pack(value), part.hlc,
                None, part.expires,
            )
            changes.append(Change.of(shard.id, record))
    changes.sort(key=lambda change: change.stamp)
    return changes


def beyond(
    replica: Replica, position: Position, limit: int | None = None
) -> list[Change] | int:
    """Give of every shard what was logged after a position; a shard whose history is gone.

    With a limit so many of them: of each shard the first, and no more are made.
    """
    parts: list[Iterator[tuple[int, Change]]] = []
    for shard in replica.cluster.shards:
        log, offset = shard.log, position.get(shard.id)
        number = 0 if offset is None else offset.number
        if number > shard.seen:
            if offset is not None and _undone(replica, offset):
                return shard.id
            continue
        if number < log.base or (offset is not None and log.term_at(number) != offset.term):
            return shard.id
        parts.append(_dated(shard.id, shard.shown[number - log.base :]))
    return _by_date(parts, limit)


def _by_date(
    parts: list[Iterator[tuple[int, Change]]], limit: int | None = None
) -> list[Change]:
    """Give the changes of all shards, or the first of them; each shard keeps its order."""
    return [change for _, change in islice(merge(*parts, key=_date), limit)]


def _dated(shard: int, records: list[Record]) -> Iterator[tuple[int, Change]]:
    """Give changes by date: one that was merged is as old as what is before it in its log."""
    latest = 0
    for record in records:
        if record.kind == DATA:
            latest = max(latest, record.hlc)
            yield latest, Change.of(shard, record)


def _date(dated: tuple[int, Change]) -> int:
    return dated[0]


def after(replica: Replica, offset: Offset) -> list[Change] | int:
    """Give the changes logged after an offset; a shard whose history does not reach back to it."""
    found_in = replica.cluster.shards[offset.shard]
    log = found_in.log
    if not log.base < offset.number <= found_in.seen or log.term_at(offset.number) != offset.term:
        return offset.shard
    stamp = log[offset.number].hlc
    parts: list[Iterator[tuple[int, Change]]] = []
    for shard in replica.cluster.shards:
        records = shard.shown
        if shard.id == offset.shard:
            records = records[offset.number - log.base :]
        elif shard.log.base and records and records[0].hlc > stamp:
            return shard.id
        else:
            records = [r for r in records if r.hlc > stamp]
        parts.append(_dated(shard.id, records))
    return _by_date(parts)
