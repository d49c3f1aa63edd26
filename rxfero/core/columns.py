"""The columns: log records packed and unpacked a whole column at a time (DESIGN 3).

A body that carries records is ``[fence, shards, terms, numbers, kinds, sids, seqs, keys, verbs,
values, stamps, origins, expires]``. What repeats travels once: terms and session ids as runs
``[value, count]``, verbs as one string when all are equal, stamps as their first when they are
dense, and the rare columns (kinds, origins, expires) as None when they hold nothing. Packing and
unpacking stay in C; no Python statement runs once a record except the checks of keys.

The module does not know shards, owners or links: it turns records into bodies and back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, groupby, repeat
from operator import itemgetter, ne
from typing import Any, NamedTuple, cast

from rxfero.core.change import KINDS, Record
from rxfero.core.path import from_wire, wire
from rxfero.core.position import Term
from rxfero.errors import ProtocolError

_new: Callable[..., Any] = cast("Any", tuple).__new__
_FIELDS = 13
HIGHEST = 1 << 62  # number or count that can be one: what is added to it still fits the wire
RUN = 4  # records of a shard in a row, on the average, from which on they are taken together
SHORT = 256  # characters of a key that is certainly within its limit of 1024 bytes


class Batch(NamedTuple):
    """Records of many shards in the order they were logged, and the term that fences them."""

    fence: Term
    shards: list[int]
    records: list[Record]
    highest: Term  # of the records


def runs(column: Sequence[Any]) -> list[list[Any]]:
    """Give a column as runs ``[value, count]``; a column of one value is one run."""
    first = column[0]
    if column.count(first) == len(column):
        return [[first, len(column)]]
    return [[value, len(list(group))] for value, group in groupby(column)]


def spread(pairs: Iterable[Any]) -> Iterable[Any]:
    """Undo :func:`runs`."""
    return chain.from_iterable(repeat(value, count) for value, count in pairs)


def uniform(column: Sequence[Any]) -> Any:
    """Give the one value of a column that repeats it, else the column as a list."""
    first = column[0]
    return first if column.count(first) == len(column) else list(column)


def read_keys(keys: list[Any]) -> list[Any]:
    """Give the keys of records as they are logged, refusing what none can be."""
    if {*map(type, keys)} == {str}:
        sizes = list(map(len, keys))
        if min(sizes) > 0 and max(sizes) <= SHORT:
            return keys
    return [
        key if type(key) is str and 0 < len(key) <= SHORT else _read_key(key) for key in keys
    ]


def _read_key(key: Any) -> str | int | tuple[Any, ...]:
    return () if key == [] else wire(from_wire(key))


def write(fence: Term, shards: Sequence[int], records: Sequence[Record]) -> list[Any]:
    """Give the body that carries `records`, one shard number a record (or one for all)."""
    terms, numbers, kinds, sids, seqs, keys, verbs, values, stamps, origins, expires = zip(
        *records, strict=True
    )
    count = len(records)
    first = stamps[0]
    dense = stamps[-1] == first + count - 1 and stamps == tuple(range(first, first + count))
    return [
        fence,
        uniform(shards),
        runs(terms),
        numbers,
        kinds if any(kinds) else None,
        runs(sids),
        seqs,
        keys,
        uniform(verbs),
        values,
        first if dense else stamps,
        None if origins.count(None) == count else origins,
        expires if any(expires) else None,
    ]


def is_column(value: Any, count: int | None = None) -> bool:
    """Whether something read from the wire is an array (of `count` values)."""
    return type(value) is list and (count is None or len(cast("list[Any]", value)) == count)


def whole_numbers(columns: list[Any]) -> bool:
    """Whether columns (none of them empty) hold whole numbers and nothing else."""
    numbers: Iterable[Any] = chain.from_iterable(columns)
    return {*map(type, numbers)} == {int} and min(map(min, columns)) >= 0


def check_shards(numbers: Any, count: int) -> None:
    """Refuse a column that names what is none of `count` shards.

    Raises:
        ProtocolError: it does.
    """
    kinds: set[Any] = set(map(type, numbers))
    if kinds and (kinds != {int} or min(numbers) < 0 or max(numbers) >= count):
        raise ProtocolError(f"a shard outside 0..{count - 1}")


def read(body: list[Any], limit: int) -> Batch:
    """Give the records of a body.

    Raises:
        ProtocolError: columns of unequal length, of a wrong type, or more than `limit` records.
    """
    if len(body) != _FIELDS:
        raise ProtocolError(f"records of {len(body)} columns instead of {_FIELDS}")
    fence, shards, terms, numbers, kinds, sids, seqs, keys, verbs, values, stamps, origins, ends = (
        body
    )
    if not is_column(numbers):
        raise ProtocolError("a column of numbers that is no array")
    count = len(numbers)
    if not 0 < count <= limit:
        raise ProtocolError(f"{count} records in a frame, the limit is {limit}")
    try:
        reigns = [(Term.read(term), n) for term, n in _runs(terms, count)]
        if not all(type(sid) is str for sid, _ in _runs(sids, count)):
            raise ProtocolError("a session that is no text")
        where: list[int] = [shards] * count if type(shards) is int else shards
        columns: list[list[Any]] = [numbers, seqs, keys, values, where]
        columns += [c for c in (kinds, origins, ends) if c is not None]
        columns += [c for c, kind in ((verbs, str), (stamps, int)) if type(c) is not kind]
        for column in columns:
            if not is_column(column, count):
                raise ProtocolError(f"a column that does not hold {count} values")
        if {*map(type, values)} != {bytes}:
            raise ProtocolError("a value that is no byte string")
        if type(verbs) is not str and {*map(type, verbs)} != {str}:
            raise ProtocolError("a verb that is no text")
        dense = type(stamps) is int
        whole = [numbers, seqs, where, [stamps] if dense else stamps, kinds or [0], ends or [0]]
        if (
            not whole_numbers(whole) or min(numbers) < 1 or max(whole[4]) >= len(KINDS)
            or max(whole[3]) + count * dense > 1 << 64
        ):
            raise ProtocolError("a number, shard, kind, sequence or stamp that can be none")
        rows: Any = zip(
            spread(reigns),
            numbers,
            repeat(0) if kinds is None else kinds,
            spread(sids),
            seqs,
            read_keys(keys),
            repeat(verbs) if type(verbs) is str else verbs,
            values,
            range(stamps, stamps + count) if dense else stamps,
            repeat(None)
            if origins is None
            else [None if o is None else _read_origin(o) for o in origins],
            repeat(0) if ends is None else ends,
            strict=False,  # some are endless
        )
        records = list(map(_new, repeat(Record), rows))
        if len(records) != count:
            raise ProtocolError(f"columns that give {len(records)} records instead of {count}")
        return Batch(Term.read(fence), where, records, max([term for term, _ in reigns]))
    except (TypeError, ValueError, IndexError) as error:
        raise ProtocolError(f"columns of records that cannot be read: {error}") from error


def _runs(pairs: Any, count: int) -> Any:
    left = count
    for _, n in pairs:
        if type(n) is not int or n < 1:
            raise ProtocolError(f"a run of {n!r:.80} records")
        left -= n
    if left:
        raise ProtocolError(f"runs that do not add up to {count} records")
    return pairs


def _read_origin(origin: Any) -> tuple[Term, int]:
    term, number = origin
    if type(number) is not int:
        raise ProtocolError(f"an origin that can be none: {origin!r:.80}")
    return Term.read(term), number


def write_numbers(numbers: Sequence[int]) -> list[Any]:
    """Give a column of request numbers: ``[first, count]`` when dense, else ``[0, numbers]``."""
    first, count = numbers[0], len(numbers)
    if type(numbers) is range or (
        numbers[-1] - first == count - 1 and list(numbers) == list(range(first, first + count))
    ):
        return [first, count]
    return [0, numbers]


def read_numbers(spec: Any, limit: int) -> Sequence[int]:
    """Read a column of request numbers.

    Raises:
        ProtocolError: it is none, or has more than `limit` numbers.
    """
    try:
        first, rest = spec
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"request numbers that cannot be read: {spec!r}") from error
    if type(first) is int and 0 < first < HIGHEST and type(rest) is int and 0 < rest <= limit:
        return range(first, first + rest)
    if first == 0 and type(rest) is list and 0 < len(cast("list[Any]", rest)) <= limit:
        numbers = cast("list[Any]", rest)
        if {*map(type, numbers)} == {int} and min(numbers) > 0 and max(numbers) < HIGHEST:
            return numbers
    raise ProtocolError(f"request numbers that cannot be read, or more than {limit}")


def in_runs(where: list[int]) -> bool:
    """Whether records come in runs of a shard that are worth to be taken together."""
    return (1 + sum(map(ne, where, where[1:]))) * RUN <= len(where)


def pieces(
    where: list[int], records: list[Record]
) -> Iterable[tuple[int, Sequence[Record]]]:
    """Give records as (shard, some of it that follow each other and are of one kind).

    Whoever catches up gets long runs of one shard. In a live frame there is next to none, and to
    look for them costs more than it saves: there each piece is one record.
    """
    if not in_runs(where):
        return zip(where, zip(records, strict=True), strict=True)
    kinds = [record.kind for record in records]
    grouped = groupby(zip(where, kinds, records, strict=True), itemgetter(0, 1))
    return ((shard, [row[2] for row in rows]) for (shard, _), rows in grouped)


def of_shards(
    only: frozenset[int] | None, where: list[int], records: list[Record]
) -> tuple[list[int], list[Record]]:
    """Give of records, and the shards they lie in, those of some shards; None: all."""
    if only is None:
        return where, records
    pairs = [pair for pair in zip(where, records, strict=True) if pair[0] in only]
    return [n for n, _ in pairs], [r for _, r in pairs]
