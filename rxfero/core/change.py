"""The change: one record of a shard's log, and what a program sees of it.

A :class:`Record` is what is logged, sent and folded; its value stays packed. A :class:`Change` is
the view of it that observers get: the value is decoded on first access and remembered.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from rxfero.core.clock import wall_ms_of
from rxfero.core.path import Path
from rxfero.core.position import Offset, Term
from rxfero.core.value import pack, unpack

DATA, TERM, LOST, MERGE, VOID, COUNT = range(6)
KINDS = ("data", "term", "lost", "merge", "void", "count")


class Record(NamedTuple):
    """One entry of a shard's log."""

    term: Term
    number: int
    kind: int
    sid: str
    seq: int
    path: tuple[Any, ...]
    verb: str
    value: bytes
    hlc: int
    origin: tuple[Term, int] | None
    expires: int


class Change:
    """One write: what was done (`type`), where (`key`), to which `value`.

    Made by users for :meth:`Cache.set`; given to observers with its position, time and origin.

    Attributes:
        type: "add", "update", "remove", "patch", or the verb of a custom request.
        key: The :class:`Path` written.
        value: The value as of this change; containers are read-only.
        offset: Where it stands in the log, or None before it was committed.
        time: When the owner logged it (UTC), or None.
        origin: The session that wrote it, or "".
        partition: The top-level key.
    """

    __slots__ = ("_packed", "_value", "key", "offset", "origin", "stamp", "type")

    def __init__(self, type: str, key: Any, value: Any = None) -> None:
        self.type = type
        self.key = Path.parse(key)
        self._packed: bytes | None = pack(value)
        self._value: Any = _UNREAD
        self.offset: Offset | None = None
        self.origin = ""
        self.stamp = 0

    @classmethod
    def of(cls, shard: int, record: Record) -> Change:
        """Give the view of a logged record."""
        change = cls.__new__(cls)
        term, number, _, sid, _, path, verb, value, hlc, _, _ = record
        change.type = verb
        change.key = Path(path)
        change._packed = value
        change._value = _UNREAD
        change.offset = Offset(shard, term, number)
        change.origin = sid
        change.stamp = hlc
        return change

    @property
    def value(self) -> Any:
        """The value; decoded at the first access."""
        if self._value is _UNREAD:
            assert self._packed is not None, "a change holds its value packed or read"
            self._value = unpack(self._packed)
        return self._value

    @property
    def packed(self) -> bytes:
        """The value as it is logged."""
        assert self._packed is not None, "a change keeps its packed value"
        return self._packed

    @property
    def time(self) -> datetime | None:
        """When it was logged, in UTC, to the millisecond."""
        if not self.stamp:
            return None
        return datetime.fromtimestamp(wall_ms_of(self.stamp) / 1000, UTC)

    @property
    def partition(self) -> str | int:
        """The top-level key."""
        return self.key[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Change):
            return NotImplemented
        mine = (self.type, tuple(self.key), self.offset, self.value)
        return mine == (other.type, tuple(other.key), other.offset, other.value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        text = repr(self.value)
        text = text if len(text) <= 60 else text[:57] + "..."
        where = "" if self.offset is None else f" @{self.offset.shard}:{self.offset.number}"
        return f"Change({self.type!r}, {self.key!r}, {text}){where}"


_UNREAD: Any = object()
