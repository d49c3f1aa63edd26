"""The catch-up: how a log behind or beside the owner's becomes equal to it again.

The log is the outbox. To every follower (a server, or a client fed by this node) belongs a
:class:`Cursor`; while the follower keeps up it gets the live frame that all get, and the cursor
holds nothing. What could not be sent (its link was paused, it reported a gap) is remembered as one
number a shard, the next to send, and :func:`pump` streams from the log when the link has room
again: memory per slow peer is O(shards), and nothing is dropped in silence.

A follower that cannot match reports its history (NACK, R3). The owner finds the common point D of
both histories (Raft's log matching). When the follower has nothing beyond D and D is retained it
gets records; otherwise a snapshot: the folded state at the owner's end with the log behind it, so
that the follower can stash its own suffix and go on from the same state (R6).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from rxfero.core import columns
from rxfero.core.change import Record
from rxfero.core.columns import check_shards, is_column, whole_numbers
from rxfero.core.log import OVERHEAD, Log, common
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.shard import Shard, read_fold
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError

History = tuple[int, list[tuple[Term, int]], int, int]  # of a shard: terms, end, base

CHUNK = 32 * 1024  # bytes of a snapshot in one frame
RECORDS = 480  # records of a tail in one frame
ITEMS = 1 << 22  # most containers in a snapshot of one shard


class Cursor:
    """What one follower has, and what it still has to get.

    Use: `behind` maps a shard to the next number to send; `snaps` are shards that need their state.
    Invariant: a shard in `behind` or `snaps` gets no live frame.
    """

    __slots__ = (
        "asked", "behind", "doubted", "durable", "link", "match", "name", "only", "paused", "snaps",
        "synced", "untold",
    )  # fmt: skip

    def __init__(self, link: int, name: str) -> None:
        self.link, self.name = link, name
        self.behind: dict[int, int] = {}
        self.snaps: dict[int, int] = {}
        self.match: dict[int, int] = {}
        self.durable: dict[int, int] = {}  # as match, of what is on its disk
        self.paused = False
        self.synced = True  # it has the word that all it asked for was sent
        self.untold: set[int] = set()  # shards whose histories have been asked for
        self.asked = 0.0
        self.doubted: dict[int, int] = {}  # how far shards were acknowledged the last time
        self.only: frozenset[int] | None = None  # the shards that a client follows; None: all

    @property
    def live(self) -> bool:
        """Whether the follower can take the frame that all followers get."""
        return not (self.paused or self.behind or self.snaps or self.untold)

    def miss(self, shard: int, number: int) -> None:
        """Remember the first record of a shard that was not sent."""
        if shard not in self.snaps and number < self.behind.get(shard, number + 1):
            self.behind[shard] = number

    def press(self, owned: Iterable[Shard]) -> None:
        """Take for lost what is not acknowledged, if nothing of it was since the last time.

        What a link had taken when it ended is lost, and by a third server come no digests.
        """
        before, self.doubted = self.doubted, {}
        for shard in owned:
            if (known := self.match.get(shard.id, 0)) < shard.log.end:
                self.doubted[shard.id] = known
                if before.get(shard.id) == known:
                    self.miss(shard.id, known + 1)
        self.synced = False

    def renew(self, shard: int, point: int) -> None:
        """Remember that a shard's state is to be sent anew, if it is followed."""
        if self.only is None or shard in self.only:
            self.behind.pop(shard, None)
            self.snaps[shard] = point

    def lag(self, shards: list[Shard]) -> int:
        """Records that the follower still has to get."""
        late = sum(shards[s].log.end - n + 1 for s, n in self.behind.items())
        return late + sum(len(shards[s].log.records) for s in self.snaps)

    def __repr__(self) -> str:
        state = "live" if self.live else f"behind in {len(self.behind) + len(self.snaps)} shards"
        return f"<Cursor {self.name} link={self.link} {state}>"


class Head(NamedTuple):
    """How far somebody's log of a shard goes; greater is to be preferred."""

    last: Term
    end: int


def heads(shards: Iterable[Shard]) -> list[list[Any]]:
    """Give the heads of logs as columns: shards, ends, and the last terms as indexes and table."""
    table: dict[Term, int] = {}
    numbers: list[int] = []
    ends: list[int] = []
    which: list[int] = []
    for shard in shards:
        log = shard.log
        numbers.append(shard.id)
        ends.append(log.end)
        which.append(table.setdefault(log.last_term, len(table)))
    return [numbers, ends, which, list(table)]


def read_heads(sent: Any, shards: int) -> list[tuple[int, Head]]:
    """Check and read the columns of :func:`heads`: each shard with its head.

    Raises:
        ProtocolError: they are none, or name what is no shard.
    """
    try:
        numbers, ends, which, table = sent
        if not (is_column(ends, len(numbers)) and is_column(which, len(numbers))):
            raise ProtocolError("heads of logs in unequal columns")
        terms = [Term.read(term) for term in table]
        if numbers:
            if not whole_numbers([ends, which]) or max(which) >= len(terms):
                raise ProtocolError("heads of logs with an end or a term that can be none")
            check_shards(numbers, shards)
        return [(n, Head(terms[at], end)) for n, end, at in zip(numbers, ends, which, strict=True)]
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"heads of logs that cannot be read: {error}") from error


def history(shard: Shard) -> list[Any]:
    """Give a shard's log as it is compared: ``[shard, [[n, boot, start]...], end, base]``."""
    log = shard.log
    return [shard.id, [[*term, start] for term, start in log.hist], log.end, log.base]


def read_history(row: Any, shards: int) -> History:
    """Check and read one row of :func:`history`."""
    try:
        number, hist, end, base = row
        pairs = _read_hist(hist)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"a log history that cannot be read: {row!r:.200}") from error
    if not whole_numbers([(number, end, base)]) or number >= shards or base > end:
        raise ProtocolError(f"a log history of no shard: {row!r:.200}")
    if pairs and pairs[-1][1] > end:
        raise ProtocolError(f"a log history beyond its end: {row!r:.200}")
    return number, pairs, end, base


def _read_hist(hist: Any) -> list[tuple[Term, int]]:
    pairs = [(Term.read((n, boot)), start) for n, boot, start in hist]
    if pairs and not whole_numbers([[start for _, start in pairs]]):
        raise ProtocolError("a log history whose terms begin nowhere")
    for (term, start), (later, following) in pairwise(pairs):
        if not (term < later and start < following):
            raise ProtocolError(f"a log history in which {later} follows {term}")
    return pairs


def locate(
    cursor: Cursor, shard: Shard, hist: list[tuple[Term, int]], end: int, *, client: bool = False
) -> None:
    """Decide what a follower with this history of a shard needs (R3: also lower its match).

    A client gets what readers see. In quorum mode it may know more of that than this node does
    yet, and never has to go back.
    """
    log = shard.log
    last = shard.seen if client else log.end
    point = common(log.hist, log.end, hist, end)
    cursor.match[shard.id] = min(cursor.match.get(shard.id, 0), point)
    cursor.durable[shard.id] = min(cursor.durable.get(shard.id, 0), point)
    cursor.behind.pop(shard.id, None)
    cursor.snaps.pop(shard.id, None)
    if client and shard.prefix is not None:
        end = point
    if point < end or (point < log.base and point < last):
        cursor.snaps[shard.id] = point
    elif point < last:
        cursor.behind[shard.id] = point + 1


def locate_head(cursor: Cursor, shard: Shard, head: Head, *, client: bool = False) -> bool:
    """As :func:`locate` from the head alone; False when this log does not know its last term.

    A term is made by one owner: who ends in it has all that this log has up to there.
    """
    if not head.end:
        locate(cursor, shard, [], 0, client=client)
        return True
    for term, start in reversed(shard.log.hist):
        if term == head.last:
            locate(cursor, shard, [(term, start)], head.end, client=client)
            return True
        if term < head.last:
            break
    return False


def tails(
    cursor: Cursor, shards: list[Shard], fence: Term, wanted: list[int], room: int,
    most: int = RECORDS,
) -> Iterator[tuple[list[Any], int]]:
    """Give bodies of records that bring a follower up to date in `wanted` shards, and their bytes.

    Each of at most `most` records and `room` bytes, or of one that is larger; it moves the cursor.
    """
    where, records, size = list[int](), list[Record](), 0
    for number in wanted:
        log = shards[number].log
        last = log.end if fence != ZERO_TERM else shards[number].seen
        following = cursor.behind[number]
        while following <= last:
            if following <= log.base:
                break
            if records and (
                len(records) >= most or size + len(log[following].value) + OVERHEAD > room
            ):
                cursor.behind[number] = following
                yield columns.write(fence, where, records), size
                where, records, size = [], [], 0
            count = min(most - len(records), last + 1 - following)
            part = log.slice(following, count, max(room - size, 0))
            records += part
            where += [number] * len(part)
            size += sum([len(r.value) for r in part]) + OVERHEAD * len(part)
            following += len(part)
        if following > last:
            cursor.behind.pop(number, None)
        else:
            del cursor.behind[number]
            cursor.snaps[number] = following - 1
    if records:
        yield columns.write(fence, where, records), size


def image(shard: Shard, fence: Term, point: int, *, seen: bool = False) -> bytes:
    """Give a shard's state, with its log from `point` on as far as kept: what Image reads.

    Args:
        seen: Whether only what readers see.
    """
    log = shard.log
    end = shard.seen if seen else log.end
    start = min(max(point, log.base), end)
    records = log.slice(start + 1, end - start, 1 << 62) if end > start else []
    return pack_body([
        start,
        log.term_at(start) if start else ZERO_TERM,
        [[*term, at] for term, at in log.hist if at <= end],
        columns.write(fence, [shard.id], records) if records else None,
        end,
        shard.dump(seen=seen),
    ])


def snapshot(
    shard: Shard, fence: Term, point: int, *, seen: bool = False
) -> list[list[Any]]:
    """Give the bodies that carry an :func:`image`, in parts."""
    packed = image(shard, fence, point, seen=seen)
    parts = max(1, -(-len(packed) // CHUNK))
    return [
        [fence, shard.id, i, parts, packed[i * CHUNK : (i + 1) * CHUNK]] for i in range(parts)
    ]


class Image:
    """A snapshot that has arrived whole.

    Args:
        packed: Of :func:`image`.
        shard: Which it is of.
        fence: The term that no record of it is above, or None.

    Raises:
        ProtocolError: it cannot be read, or its log, history and end do not fit together.
    """

    __slots__ = ("base", "base_term", "end", "fold", "hist", "records")

    def __init__(self, packed: bytes, shard: int, fence: Term | None = None) -> None:
        try:
            self.base, term, hist, rows, self.end, dump = unpack_body(packed, limit_items=ITEMS)
            self.base_term, self.hist = Term.read(term), _read_hist(hist)
            if rows is not None:
                rows[1] = shard
            self.records = [] if rows is None else columns.read(rows, 1 << 30).records
        except (TypeError, ValueError, IndexError) as error:
            raise ProtocolError(f"a snapshot of shard {shard} that cannot be read") from error
        if not whole_numbers([(self.base, self.end)]) or not self._fits():
            raise ProtocolError(f"a snapshot of shard {shard} that does not fit together")
        if fence is not None and self.hist and self.hist[-1][0] > fence:
            raise ProtocolError(f"a snapshot with {self.hist[-1][0]}, sent in {fence}")
        self.fold = read_fold(dump)

    def known(self, log: Log) -> bool:
        """Whether a log has all the records of it."""
        return common(log.hist, log.end, self.hist, self.end) == self.end

    def _fits(self) -> bool:
        numbers = [r.number for r in self.records]
        if self.end - self.base != len(numbers):
            return False
        if numbers != list(range(self.base + 1, self.end + 1)):
            return False
        below = [term for term, start in self.hist if start <= self.base]
        if self.base_term != (below[-1] if below else ZERO_TERM) or bool(below) != bool(self.base):
            return False
        begun: list[tuple[Term, int]] = []
        last = self.base_term
        for record in self.records:
            if record.term != last:
                last = record.term
                begun.append((last, record.number))
        return begun == self.hist[len(below) :]


class Gathering:
    """The parts of snapshots on their way from one peer."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[int, list[bytes]] = {}

    def take(self, body: Any) -> tuple[Term, int, bytes | None]:
        """Take a SNAP body; give its fence, shard and, with the last part, the whole."""
        try:
            fence, shard, index, count, part = body
            term = Term.read(fence)
        except (TypeError, ValueError) as error:
            raise ProtocolError("a SNAP frame that cannot be read") from error
        if (
            type(part) is not bytes
            or not whole_numbers([(shard, index, count)])
            or not index < count
        ):
            raise ProtocolError(f"part {index!r:.80} of {count!r:.80} of a snapshot")
        parts = self._parts.setdefault(shard, []) if index else []
        if len(parts) != index:
            raise ProtocolError(f"part {index} of a snapshot where {len(parts)} was due")
        parts.append(part)
        if index + 1 < count:
            self._parts[shard] = parts
            return term, shard, None
        self._parts.pop(shard, None)
        return term, shard, b"".join(parts)


def install(shard: Shard, image: Image) -> list[Record]:
    """Replace a shard's log and state by a snapshot; give the records that were undone (R6).

    What this log held beyond the common point becomes a branch; when even its base lies beyond
    it, the whole state becomes a dump to merge.
    """
    log = shard.log
    point = common(log.hist, log.end, image.hist, image.end)
    undone: list[Record] = []
    shard.stable = min(shard.stable, point)
    shard.synced = min(shard.synced, point)
    if point < log.end:
        if point < log.base and shard.prefix is None:
            shard.dumps.append([shard.dump(), [_head(log)]])
        undone = log.cut(max(point, log.base))
        kept = [r for r in undone if r.number > point]
        if shard.prefix is not None:
            assert point >= shard.prefix.commit, f"I8: {shard} cut at {point}"
        elif kept:
            shard.branches.append(kept)
    known = log.end
    if image.base <= known and point >= log.base:
        for record in image.records:
            if record.number == log.end + 1:
                log.append(record)
    else:
        hist = [(t, at) for t, at in image.hist if at <= image.base] or [(image.base_term, 0)]
        log.reset(image.base, image.base_term, hist)
        for record in image.records:
            log.append(record)
    shard.adopt(image.fold)
    return undone


def _head(log: Log) -> list[Any]:
    # A state is covered under the negative of its log's end: no record has such a number, so a
    # merge of the records that were still kept beside it does not pass for a merge of the state.
    return [*log.last_term, -log.end]
