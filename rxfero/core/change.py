"""The change: one record of a shard's log, and what a program sees of it.

A :class:`Record` is what is logged, sent and folded; its value stays packed. A :class:`Change` is
the view of it that observers get: the value is decoded on first access and remembered.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from rxfero.core.clock import wall_ms_of
from rxfero.core.path import Path, wire
from rxfero.core.position import ZERO_TERM, Offset, Term
from rxfero.core.value import pack, unpack
from rxfero.errors import ProtocolError, ValueRefused
from rxfero.shown import Shown

DATA, TERM, LOST, MERGE, VOID, COUNT = range(6)
KINDS = ("data", "term", "lost", "merge", "void", "count")


class Record(NamedTuple):
    """One entry of a shard's log.

    `key` is where it writes: the element itself of a top-level key, which nearly all are, else the
    tuple of the path's elements; of what writes nowhere it is empty. There may be millions.
    """

    term: Term
    number: int
    kind: int
    sid: str
    seq: int
    key: str | int | tuple[Any, ...]
    verb: str
    value: bytes
    hlc: int
    origin: tuple[Term, int] | None
    expires: int

    @property
    def path(self) -> tuple[Any, ...]:
        """Where it writes, as the path's elements."""
        key = self.key
        return key if isinstance(key, tuple) else (key,)


class Change(Shown):
    """One write: what was done (`type`), where (`key`), to which `value`.

    Made by users for :meth:`Cache.set`; given to observers with its position, time and origin. It
    is a view of a record: what nobody asks for is not computed.

    Args:
        type: "add", "update", "remove", "patch", "push", or the verb of a custom request.
        key: The path; dotted text, an integer or a tuple of elements.
        value: Anything in the value domain; packed now, so later changes to it do not count.

    Raises:
        ValueRefused: `type` is no text, or key or value cannot be stored.
    """

    __slots__ = ("_key", "_record", "_shard", "_value")

    def __init__(self, type: str, key: Any, value: Any = None) -> None:
        if not isinstance(type, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueRefused("change.type", f"must be text, not {type!r}")
        self._key: Path | None = Path.parse(key)
        self._record = Record(
            ZERO_TERM, 0, DATA, "", 0, wire(self._key), type, pack(value), 0, None, 0
        )  # fmt: skip
        self._shard = -1
        self._value: Any = _UNREAD

    @classmethod
    def of(cls, shard: int, record: Record) -> Change:
        """Give the view of a logged record."""
        change = cls.__new__(cls)
        change._shard, change._record = shard, record  # noqa: SLF001  (ours: this is a constructor)
        change._key, change._value = None, _UNREAD  # noqa: SLF001
        return change

    @property
    def type(self) -> str:
        """What was done: "add", "update", "remove", "patch", or another verb."""
        return self._record.verb

    @property
    def key(self) -> Path:
        """The path written."""
        if self._key is None:
            self._key = Path(self._record.path)
        return self._key

    @property
    def value(self) -> Any:
        """The value as of this change, decoded at the first access; containers are read-only."""
        if self._value is _UNREAD:
            self._value = unpack(self._record.value)
        return self._value

    @property
    def packed(self) -> bytes:
        """The value as it is logged."""
        return self._record.value

    @property
    def offset(self) -> Offset | None:
        """Where it stands in the log; None before it was committed."""
        record = self._record
        return None if self._shard < 0 else Offset(self._shard, record.term, record.number)

    @property
    def record(self) -> Record:
        """The entry of the log that this is the view of."""
        return self._record

    @property
    def origin(self) -> str:
        """The session that wrote it; empty before it was committed."""
        return self._record.sid

    @property
    def stamp(self) -> int:
        """The hybrid logical timestamp; 0 before it was committed."""
        return self._record.hlc

    @property
    def time(self) -> datetime | None:
        """When it was logged, in UTC, to the millisecond."""
        if not self.stamp:
            return None
        return datetime.fromtimestamp(wall_ms_of(self.stamp) / 1000, UTC)

    @property
    def partition(self) -> str | int:
        """The top-level key."""
        return self._record.path[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Change):
            return NotImplemented
        return (
            self.type == other.type
            and tuple(self.key) == tuple(other.key)
            and self.offset == other.offset
            and (self.packed == other.packed or self.value == other.value)
        )

    __hash__ = None  # type: ignore[assignment]  # equal values need not be hashable

    def __getstate__(self) -> tuple[int, Record]:
        return (self._shard, self._record)

    def __setstate__(self, state: tuple[int, Record]) -> None:
        self._shard, self._record = state
        self._key, self._value = None, _UNREAD

    def __repr__(self) -> str:
        try:
            text = repr(self.value)
        except ProtocolError:
            text = f"<{len(self.packed)} bytes that are no value>"
        text = text if len(text) <= 60 else text[:57] + "..."
        where = "" if self.offset is None else f" @{self.offset.shard}:{self.offset.number}"
        return f"Change({self.type!r}, {self.key!r}, {text}){where}"


_UNREAD: Any = object()
