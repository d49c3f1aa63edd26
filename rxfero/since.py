"""The since: where a subscription to changes begins, when it is not now.

"state" gives the present state as one change a top-level key, then what follows. An offset gives
what its shard has logged after it, and of the other shards what was logged later in hybrid time,
then what follows. A position gives of every shard exactly what came after it. When the history does
not reach back that far, the failure is explicit: the subscription begins with a `reset` and the
state. Everything is read and subscribed in one go on the loop, so there is no gap and no double.

A node may be behind a position that was taken elsewhere; it then tells nothing of a shard until it
has come that far. When its log goes another way, since what was seen elsewhere has been undone, the
`reset` and the state of that shard come as soon as that is known. So they do when a snapshot takes
the place of a shard's log later, as it does where a split has healed: what was told before of that
shard, and is not told again, is no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any

from reactivex import operators
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable

from rxfero.core.change import DATA, Change, Record
from rxfero.core.position import Offset, Position
from rxfero.errors import ConfigurationError
from rxfero.events import EVENTS

if TYPE_CHECKING:
    from rxfero.core.replica import Replica
    from rxfero.core.shard import Shard
    from rxfero.events import Hub
    from rxfero.streams import Stream


def changes_since(
    replica: Replica, hub: Hub, event: str, since: Any,
    anew: Callable[[int], None] | None = None,
) -> Stream[Any]:  # fmt: skip
    """Give an event's Observable that begins at `since`.

    Args:
        anew: Called with a shard that begins anew, in place of telling its state.

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
        telling = _Telling(replica, hub, since, observer, anew)
        return telling.begin(hub.on(event), scheduler)

    return hub.stream(subscribe)


class _Telling:
    """What one subscription has been told."""

    def __init__(
        self, replica: Replica, hub: Hub, since: Any, observer: ObserverBase[Any],
        anew: Callable[[int], None] | None,
    ) -> None:  # fmt: skip
        self._replica, self._hub, self._since = replica, hub, since
        self._observer, self._anew = observer, anew
        self._told = heads(replica)
        self._views = [shard.view for shard in replica.cluster.shards]  # a snapshot brings another
        self._beyond_here: set[int] = set()  # shards of which more was seen elsewhere

    def begin(self, live: Stream[Any], scheduler: SchedulerBase | None) -> DisposableBase:
        """Tell the past, and from then on what follows."""
        past = self._past()
        resets = self._hub.on("reset").subscribe(self._replaced)
        following: Any = live.pipe(operators.filter(self._is_ahead))
        following = following.subscribe(self._observer, scheduler=scheduler)
        for change in past:
            self._observer.on_next(change)
        return CompositeDisposable(resets, following)

    def _past(self) -> list[Change]:
        replica, since = self._replica, self._since
        if since == "state":
            return state(replica)
        exact = isinstance(since, Position)
        found = beyond(replica, since) if exact else after(replica, since)
        if isinstance(found, int):
            self._hub.emit("reset", found)
            return state(replica)
        if exact:  # this node may be behind what was seen elsewhere
            shards = replica.cluster.shards
            more = {o.shard: o for o in since.offsets if o.number > shards[o.shard].seen}
            self._told.update(more)
            self._beyond_here.update(more)
        return found

    def _is_ahead(self, change: Change) -> bool:
        """Whether a live change is not in the past: the log runs ahead of its events."""
        offset = change.offset
        assert offset is not None, "what the log tells has an offset"
        number = offset.shard
        head = self._told.get(number)
        if head is None:
            return True
        if number in self._beyond_here and _undone(self._replica, head):
            self._hub.emit("reset", number)
            self._begin_anew(number)
            return False
        if offset <= head:
            return False
        del self._told[number]
        self._beyond_here.discard(number)
        return True

    def _replaced(self, number: int) -> None:
        """Begin a shard anew that a snapshot has replaced, if this reset tells of that."""
        shard = self._replica.cluster.shards[number]
        if self._views[number] is shard.view:
            return  # another's history was gone
        if number in self._beyond_here and not _undone(self._replica, self._told[number]):
            self._views[number] = shard.view
            if shard.seen <= self._told[number].number:
                return  # it is still on its way there
        self._begin_anew(number)

    def _begin_anew(self, number: int) -> None:
        self._beyond_here.discard(number)
        self._told.update(heads(self._replica, number))
        self._views[number] = self._replica.cluster.shards[number].view
        if self._anew is not None:
            self._anew(number)
            return
        for change in state(self._replica, number):
            self._observer.on_next(change)


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


def heads(replica: Replica, only: int | None = None) -> dict[int, Offset]:
    """Give the offset of the newest record of every shard (of one) that has one."""
    shards = replica.cluster.shards
    return {
        s.id: Offset(s.id, s.log.term_at(s.seen), s.seen)
        for s in (shards if only is None else [shards[only]])
        if s.seen
    }


def state(replica: Replica, only: int | None = None) -> list[Change]:
    """Give the present state (of one shard) as changes, each with its key's last offset.

    By date, and each shard's in the order of its log: who has seen one has seen those before it.
    """
    shards = replica.cluster.shards
    return _by_date([_dated(s.id, _state(s)) for s in (shards if only is None else [shards[only]])])


def _state(shard: Shard) -> list[Record]:
    log, records = shard.log, list[Record]()
    for key, value, number, hlc, sid, seq, expires in sorted(shard.view.dump(), key=_number):
        term = log.term_at(number) if number <= log.end else log.last_term
        origin = None
        if log.base < number <= log.end and log[number].key == key:
            origin = log[number].origin  # of all that is there: of a part it would be of that alone
        records.append(
            Record(term, number, DATA, sid, seq, key, "update", value, hlc, origin, expires)
        )
    return records


def _number(row: list[Any]) -> int:
    return row[2]


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
