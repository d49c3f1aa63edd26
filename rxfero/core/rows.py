"""The rows: requests as they travel between processes, in columns, and read one by one.

A REQUEST or FORWARD is ``[to, hops, sid, numbers, verbs, keys, values, seqs, levels, expects,
ttls]``: whom to answer, how often it was passed on, the session that asks, and a column of each
thing that a request has. What is the same of all travels once; what none has is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple, cast

from rxfero.core import columns
from rxfero.core.call import AUTO, DURABLE, LOWEST, NO_QUORUM, SID_MAX, Call
from rxfero.core.columns import read_numbers, write_numbers
from rxfero.errors import ProtocolError

VALUES: Final = {bytes, int, type(None)}  # of an answer; a number is what a gap begins with
_new: Callable[..., Any] = cast("Any", tuple).__new__


class Row(NamedTuple):
    """One request with its columns gathered: what routing and the owner need."""

    number: int
    verb: str
    path: Any
    value: bytes
    seq: int
    level: int
    expect: Any
    ttl_ms: int


class Rows(NamedTuple):
    """The requests of one frame, in columns.

    Attributes:
        spec: The numbers as they came, for who acknowledges them.
        verbs, levels: One for all, or a column.
        keys: As they are logged (:class:`rxfero.core.change.Record`); None of what has none.
        expects, ttls: Columns, or None when no request has any.
    """

    to: str
    hops: int
    sid: str
    spec: Any
    numbers: Sequence[int]
    verbs: str | list[str]
    keys: list[Any]
    values: list[bytes]
    seqs: list[int]
    levels: int | list[int]
    expects: list[Any] | None
    ttls: list[int] | None

    @classmethod
    def of(cls, sid: str, asked: Sequence[Row | Call]) -> Rows:
        """Give requests as columns: those of this process, or some that pass through it."""
        expects, ttls = [r.expect for r in asked], [r.ttl_ms for r in asked]
        paths = [r.path for r in asked]
        return cls(
            "", 0, sid, None, [r.number for r in asked], columns.uniform([r.verb for r in asked]),
            [None if p is None else p[0] if len(p) == 1 else tuple(p) for p in paths],
            [r.value for r in asked],
            [r.seq for r in asked], columns.uniform([r.level for r in asked]),
            None if expects.count(None) == len(expects) else expects, ttls if any(ttls) else None,
        )  # fmt: skip

    def gathered(self) -> list[Row]:
        """Give them one by one."""
        count = len(self.numbers)
        rows: Any = zip(
            self.numbers,
            [self.verbs] * count if isinstance(self.verbs, str) else self.verbs,
            [key if key is None or type(key) is tuple else (key,) for key in self.keys],
            self.values,
            self.seqs,
            [self.levels] * count if isinstance(self.levels, int) else self.levels,
            [None] * count if self.expects is None else self.expects,
            [0] * count if self.ttls is None else self.ttls,
            strict=True,
        )
        return list(map(_new, repeat(Row), rows))

    def only(self, places: list[int]) -> Rows:
        """Give those at some places, of rows without conditions and times to live."""
        columns = self.numbers, self.keys, self.values, self.seqs
        numbers, keys, values, seqs = [[column[at] for at in places] for column in columns]
        return self._replace(numbers=numbers, keys=keys, values=values, seqs=seqs)


def write(to: str, hops: int, sid: str, rows: Sequence[Row | Call]) -> list[Any]:
    """Give the body that carries requests."""
    got = Rows.of(sid, rows)
    return [to, hops, sid, write_numbers(got.numbers), *got[5:]]  # the columns as they stand there


def read(body: list[Any], limit: int) -> Rows:
    """Read a REQUEST or FORWARD.

    Raises:
        ProtocolError: columns of unequal length or wrong types, or more than `limit` requests.
    """
    try:
        to, hops, sid, spec, verbs, keys, values, seqs, levels, expects, ttls = body
        numbers = read_numbers(spec, limit)
        count = len(numbers)
        if type(sid) is not str or not 0 < len(sid) <= SID_MAX:
            raise ProtocolError("a session whose id is none")
        for column in (keys, values, seqs):
            if not columns.is_column(column, count):
                raise ProtocolError(f"a column that does not hold {count} requests")
        for column in (expects, ttls):
            if column is not None and not columns.is_column(column, count):
                raise ProtocolError(f"a column that does not hold {count} requests")
        if type(to) is not str or type(hops) is not int or hops < 0:
            raise ProtocolError("requests from nobody, or over no number of hops")
        whole = [seqs] if ttls is None else [seqs, ttls]
        if {type(v) for v in values} != {bytes} or not columns.whole_numbers(whole):
            raise ProtocolError("a value, sequence number or time to live of a wrong type")
        if ttls is not None and max(ttls) >= columns.HIGHEST:
            raise ProtocolError("a time to live that never ends")
        _check_spread(verbs, str, count)
        _check_spread(levels, int, count)
        each = (levels,) if type(levels) is int else levels
        if min(each) < AUTO and not all(
            level >= AUTO or LOWEST <= level < DURABLE for level in each
        ):
            raise ProtocolError("a level of durability that is none")
        keys = _read_keys(keys)
        return Rows(to, hops, sid, spec, numbers, verbs, keys, values, seqs, levels, expects, ttls)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"requests that cannot be read: {error}") from error


def check_replies(count: int, statuses: Any, offsets: Any, values: Any) -> None:
    """Check the columns of a REPLY to `count` requests, before any of them settles.

    Raises:
        ProtocolError: one is of another length, or holds what it cannot.
    """
    for column in (statuses, offsets, values):
        if column is not None and not columns.is_column(column, count):
            raise ProtocolError(f"a column that does not hold {count} answers")
    for column in (statuses, offsets):
        if column is not None and not columns.whole_numbers([column]):
            raise ProtocolError("a status or offset that is no number")
    if statuses is not None and max(statuses) > NO_QUORUM:
        raise ProtocolError("a status that is none")
    if values is not None and not VALUES.issuperset(map(type, values)):
        raise ProtocolError("an answer that is no value")


def _read_keys(keys: list[Any]) -> list[Any]:
    if None not in keys:
        return columns.read_keys(keys)
    return [None if key is None else columns.read_keys([key])[0] for key in keys]


def _check_spread(column: Any, kind: type, count: int) -> None:
    """Check a column of one kind that may be given as its only value."""
    if type(column) is not kind and (
        not columns.is_column(column, count) or {type(c) for c in column} != {kind}
    ):
        raise ProtocolError(f"a column of verbs or levels that is no {kind.__name__}")
