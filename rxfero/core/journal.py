"""The journal: what a server has to find again after its process ends, as entries in order.

Four kinds of entries make up a shard on a disk: records as they were logged, promises, what became
of the branches, and the whole shard, which replaces all before it. The entries of a turn are one
:class:`Batch`; a batch is written and fsynced as one, and then tells how far each log is safe
(`Shard.synced`) and does what had to wait for it (a promise that may not be forgotten, R2). So
acknowledging at durable(n) costs the log nothing but an answer later.

A journal only grows; now and then it begins anew with the whole of every shard, some a turn, while
new entries go on behind them. When all are written, everything older is of no use. Writing and
reading files is :mod:`rxfero.disk`'s; this module knows bytes and shards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from rxfero.core import catchup, columns
from rxfero.core.catchup import Image
from rxfero.core.change import TERM, Record
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.shard import GREW, KNOWN, Shard
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError

RECORDS, PROMISES, SHARD, BRANCHES, EMPTY = range(1, 6)  # kinds of entries that hold something
BEGIN, WHOLE = 8, 9  # a new beginning, and that it holds all now

IMAGES_BYTES = 1 << 18  # of whole shards in one turn
ITEMS = 1 << 26  # most containers in one entry

Entry = tuple[int, bytes]


class Batch:
    """The entries of one turn, and what comes true when they are on the disk."""

    __slots__ = ("ends", "entries", "then")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ends: dict[int, int] = {}  # shard: number of its last record in here
        self.then: list[Callable[[], object]] = []

    def __repr__(self) -> str:
        return f"<Batch of {len(self.entries)} entries>"


class Journal:
    """What is to be written, and what is being written.

    Use: the machines call `grown`, `promised`, `replaced` and `branched`; the replica takes the
    batch of a turn and is told when it is on the disk, in the same order.
    Invariant: a shard's `synced` never passes what a crash now would bring back.
    """

    def __init__(self, shards: list[Shard]) -> None:
        self._shards = shards
        self._batch = Batch()
        self._written: deque[Batch] = deque()
        self._images: list[int] = []  # shards whose image the new beginning still lacks
        self._whole: Batch | None = None  # the batch that ends the new beginning
        self.suspended = False  # since a write failed, until a new beginning is whole
        self._dead = False  # since then, until it begins anew
        self._held: dict[int, int] = {}  # what is written meanwhile, and counts then
        self._acts: list[Callable[[], object]] = []

    # --- what happened

    def grown(self, where: list[int], records: list[Record], packed: bytes) -> None:
        """Note logged records; `packed` are their columns."""
        batch = self._batch
        batch.entries.append((RECORDS, packed))
        batch.ends.update(zip(where, [record.number for record in records], strict=True))

    def promised(self, shard: Shard) -> None:
        """Note a promise."""
        self._batch.entries.append((PROMISES, pack_body([shard.id, shard.promised])))

    def replaced(self, shard: Shard) -> None:
        """Note that a shard is not what its records say: a snapshot was installed."""
        for batch in (*self._written, self._batch):
            batch.ends.pop(shard.id, None)
        self._held.pop(shard.id, None)
        self._batch.entries.append((SHARD, image_of(shard)))
        self._batch.ends[shard.id] = shard.log.end

    def branched(self, shard: Shard) -> None:
        """Note what is left of a shard's branches."""
        self._batch.entries.append((BRANCHES, pack_body([shard.id, *branches_of(shard)])))

    def then(self, act: Callable[[], object]) -> None:
        """Do something when all that happened so far is on the disk; never if it cannot be."""
        if self._written or self._batch.entries or self.suspended:
            self._batch.then.append(act)
        else:
            act()

    # --- writing

    def begin(self) -> None:
        """Begin anew: from the next batch on, the older ones become of no use."""
        if self._dead:
            self._dead, self._batch = False, Batch()
        self._images = [s.id for s in self._shards if _filled(s)]
        empty = [s.id for s in self._shards if not _filled(s)]
        self._batch.entries[:0] = [(BEGIN, b""), (EMPTY, pack_body(empty))]
        self._whole = None
        if not self._images:
            self._end(self._batch)

    def _end(self, batch: Batch) -> None:
        batch.entries.append((WHOLE, b""))
        self._whole = batch

    @property
    def beginning(self) -> bool:
        """Whether a new beginning is not whole, or not known to be written whole."""
        return bool(self._images) or self._whole is not None

    @property
    def waiting(self) -> bool:
        """Whether there is something to write."""
        return bool(self._batch.entries or self._images)

    def take(self) -> list[Entry]:
        """Give the entries of this turn, to be written after those before."""
        if self._dead:
            self._batch = Batch()
            return []
        batch, size = self._batch, 0
        while self._images and size < IMAGES_BYTES:
            shard = self._shards[self._images.pop()]
            packed = image_of(shard)
            size += len(packed)
            batch.entries.append((SHARD, packed))
            batch.ends[shard.id] = shard.log.end
            if not self._images:
                self._end(batch)
        self._batch = Batch()
        if batch.entries:
            self._written.append(batch)
        elif self._written:
            self._written[-1].then += batch.then
        else:
            self._acts += batch.then  # suspended: else it would have been done at once
        return batch.entries

    def wrote(self, *, synced: bool) -> dict[int, int]:
        """Note that the oldest batch has been written; give how far which shards are safe now."""
        batch = self._written.popleft()
        if not synced:
            return {}
        ends = batch.ends
        if self.suspended:
            self._held.update(ends)
            self._acts += batch.then
            if batch is not self._whole:
                return {}
            self.suspended = False
            ends, batch.then = self._held, self._acts
            self._held, self._acts = {}, []
        if batch is self._whole:
            self._whole = None
        shards = self._shards
        for number, end in ends.items():
            shards[number].synced = end
        acts = batch.then
        if not self._written and not self._batch.entries:
            acts, self._batch.then = acts + self._batch.then, []
        for act in acts:
            act()
        return ends

    def failed(self) -> None:
        """Note that a batch could not be written: nothing counts until a new beginning is whole."""
        self._written.clear()
        self._batch = Batch()
        self._images, self._whole = [], None
        self._held, self._acts = {}, []
        self.suspended = self._dead = True

    def __repr__(self) -> str:
        state = "suspended" if self.suspended else f"{len(self._written)} batches under way"
        return f"<Journal {state}>"


def _filled(shard: Shard) -> bool:
    return bool(shard.log.end or shard.promised != ZERO_TERM or shard.branches or shard.dumps)


def branches_of(shard: Shard) -> tuple[list[Any], list[Any]]:
    """Give a shard's branches as bodies of columns, and its dumps."""
    return [columns.write(ZERO_TERM, [shard.id], branch) for branch in shard.branches], shard.dumps


def image_of(shard: Shard) -> bytes:
    """Give a whole shard as an entry."""
    image = catchup.image(shard, ZERO_TERM, shard.log.base)
    return pack_body([shard.id, shard.promised, image, *branches_of(shard)])


class Replay:
    """Fills shards from a journal.

    Args:
        shards: Fresh ones, as many as the journal was written with.
        whole: Whether the entries to come begin with nothing before them. Otherwise what is said
            of a shard counts only from its image on: the rest belongs to an older part.
    """

    def __init__(self, shards: list[Shard], *, whole: bool) -> None:
        self._shards = shards
        self._unknown: set[int] = set() if whole else {s.id for s in shards}
        self.stamp = 0  # the latest hybrid logical time met

    def take(self, kind: int, body: bytes) -> None:
        """Do one entry.

        Raises:
            ProtocolError: it cannot be read, or does not follow what came before.
        """
        content: Any = None if kind in (BEGIN, WHOLE) else unpack_body(body, limit_items=ITEMS)
        try:
            if kind == RECORDS:
                self._records(content)
            elif kind == PROMISES:
                self._promise(*content)
            elif kind == SHARD:
                self._shard(content)
            elif kind == BRANCHES:
                self._branches(*content)
            elif kind == EMPTY:
                self._unknown.difference_update(content)
            elif kind not in (BEGIN, WHOLE):
                raise ProtocolError(f"an entry of kind {kind} in a journal")
        except (TypeError, ValueError, IndexError) as error:
            raise ProtocolError(f"an entry of a journal that cannot be read: {error}") from error

    def _records(self, content: Any) -> None:
        batch = columns.read(content, 1 << 30)
        for number, record in zip(batch.shards, batch.records, strict=True):
            if number in self._unknown:
                continue
            shard = self._shards[number]
            if shard.follow(record) not in (GREW, KNOWN):
                raise ProtocolError(f"record {record.number} of {shard} that does not follow")
            if record.kind == TERM:
                shard.promised = max(shard.promised, record.term)
            self.stamp = max(self.stamp, record.hlc)

    def _shard(self, content: Any) -> None:
        number: int
        number, promised, packed, branches, dumps = content
        image = Image(packed, number)
        shard = self._shards[number]
        shard.log.reset(image.base, image.base_term, image.hist)
        for record in image.records:
            shard.log.append(record)
            self.stamp = max(self.stamp, record.hlc)
        shard.adopt(image.fold)
        self.stamp = max([self.stamp, *(p.hlc for p in shard.state.parts.values())])
        shard.promised = Term.read(promised)
        self._unknown.discard(number)
        self._branches(number, branches, dumps)

    def _promise(self, number: int, term: Any) -> None:
        if number not in self._unknown:
            shard = self._shards[number]
            shard.promised = max(shard.promised, Term.read(term))

    def _branches(self, number: int, branches: Iterable[Any], dumps: list[Any]) -> None:
        if number in self._unknown:
            return
        shard = self._shards[number]
        shard.branches = [columns.read(body, 1 << 30).records for body in branches]
        shard.dumps = dumps

    def done(self) -> None:
        """Let the shards be: all that is read is on the disk.

        Raises:
            ProtocolError: some shard is in no entry.
        """
        if self._unknown:
            raise ProtocolError(f"a journal without {len(self._unknown)} of its shards")
        for shard in self._shards:
            shard.synced = shard.log.end

    def __repr__(self) -> str:
        return f"<Replay of {len(self._shards)} shards>"
