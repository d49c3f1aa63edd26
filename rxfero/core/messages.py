"""The messages: requests that write nothing, carried, handled and answered a whole batch at a time.

A message is a request whose verb is none of the log's: it has no sequence number, no level and no
condition, so a batch of them is few columns, and goes from a client straight to who handles it:
MESSAGE is ``[session, numbers, verbs, keys, values]``, its answer ANSWER is ``[session, numbers,
values]``, with `true` behind them where no ACK was sent; `values` is one packed array, unpacked at
once. Verbs travel as one string when
all are equal, keys as None when there are none. What is no such batch (a message to a server by
name or through another server, an answer that is late, long or an error) travels as a row of
REQUEST, FORWARD and REPLY.

The module knows no shards, servers or links.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple

from rxfero.core import columns
from rxfero.core.call import AUTO, OK, SID_MAX, Call
from rxfero.core.columns import read_numbers, write_numbers
from rxfero.core.path import Path, from_wire
from rxfero.core.position import ZERO_TERM, Offset
from rxfero.core.value import pack, pack_column, pack_scalars, unpack, unpack_column
from rxfero.errors import ProtocolError

REMEMBERED: Final = 1 << 17  # answers kept for repetition, a session: all that may be on its way
SESSIONS: Final = 256  # sessions whose answers are kept
_UNREAD: Any = object()
PENDING: Any = object()
"""In the place of an answer that is still being made."""


class Dest(NamedTuple):
    """Where an answer goes: over `route` (a link's name, "" is here) to `to`, for session `sid`."""

    route: str
    to: str
    sid: str


class Inbound:
    """One request on its way through the program's handler; the face's Request is one of these.

    Use: `packed` are the bytes of the value, of no use for one of a batch, which came decoded.
    """

    __slots__ = (
        "cancel", "content", "dest", "done", "expect", "key", "level", "more", "number", "offset",
        "packed", "seq", "shard", "term", "ttl_ms", "type",
    )  # fmt: skip

    def __init__(
        self, dest: Dest, number: int, type: str, key: Path | None = None, packed: bytes = b"\xc0",
        content: Any = _UNREAD,
    ) -> None:
        self.dest, self.number, self.type, self.key = dest, number, type, key
        self.packed, self.content = packed, content
        self.seq, self.shard, self.level = 0, -1, AUTO
        self.expect: Any = None
        self.ttl_ms = 0
        self.offset: Offset | None = None
        self.term = ZERO_TERM
        self.done = False
        self.cancel: Callable[[], None] | None = None
        self.more: Callable[[int], None] | None = None  # so many answers of a stream were taken

    @property
    def value(self) -> Any:
        """The value; decoded at the first access; containers are read-only."""
        if self.content is _UNREAD:
            self.content = unpack(self.packed)
        return self.content

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.type} {self.key!r} from {self.dest.to}>"


def bare(kind: type[Inbound]) -> Callable[[], Any]:
    """Give a class of requests that are made without their fields, for who sets them itself.

    A constructor in Python takes as long as all else that is done for a message here.
    """
    made: Any = type(kind.__name__, (kind,), {"__slots__": (), "__init__": object.__init__})
    return made


BARE: Final = bare(Inbound)


class Run:
    """The messages of one frame on their way through the handler, and then their answers.

    Iterating makes the requests, one after the other: who keeps none of them has none in memory.

    Args:
        dest: Where the answers go.
        numbers: Increasing.
        kind: Makes a request, :func:`bare`.
        verbs, keys, values: Columns; no keys are None.
    """

    __slots__ = ("_keys", "_kind", "_values", "_verbs", "answers", "dest", "known", "numbers")

    def __init__(
        self, dest: Dest, numbers: Sequence[int], kind: Callable[[], Any] = BARE,
        verbs: Iterable[str] = (), keys: list[Any] | None = None, values: Sequence[Any] = (),
    ) -> None:
        self.dest, self.numbers, self._kind = dest, numbers, kind
        self._verbs, self._keys, self._values = verbs, keys, values
        self.answers: list[Any] | bytes = []  # packed, once they are all there
        self.known = False  # whether the sender knows that they are here

    def __iter__(self) -> Iterator[Inbound]:
        dest, kind = self.dest, self._kind
        keys = repeat(None) if self._keys is None else self._keys
        for number, verb, key, value in zip(
            self.numbers, self._verbs, keys, self._values, strict=False
        ):
            made = kind()
            made.dest, made.number, made.type, made.key = dest, number, verb, key
            made.packed, made.content, made.done = b"", value, False
            made.seq, made.shard, made.level, made.ttl_ms, made.term = 0, -1, AUTO, 0, ZERO_TERM
            made.expect = made.offset = made.cancel = made.more = None
            yield made

    def answered(self, answers: list[Any], packed: bytes | None) -> None:
        """Keep the answers, for who asks again; `packed` is their column when it has them all."""
        self.answers = answers if packed is None else packed
        self._verbs, self._keys, self._values = (), None, ()

    def answer(self, place: int) -> Any:
        """Give an answer; `PENDING` while there is none."""
        answers = self.answers
        if isinstance(answers, bytes):
            return unpack_column(answers)[place]
        return answers[place] if place < len(answers) else PENDING

    def place(self, number: int) -> int:
        """Give where a number stands; -1 when it is not here."""
        at = bisect_left(self.numbers, number)
        return at if at < len(self.numbers) and self.numbers[at] == number else -1

    def __repr__(self) -> str:
        return f"<Run of {len(self.numbers)} messages from {self.dest.to}>"


class Shelf:
    """The answers remembered for one session, so that a repetition is not handled twice.

    Invariant: every number that was taken and is not forgotten is at most `top`.
    """

    __slots__ = ("_runs", "_single", "_size", "top")

    def __init__(self) -> None:
        self.top = 0
        self._single: OrderedDict[int, tuple[int, Any] | None] = OrderedDict()
        self._runs: deque[Run] = deque()
        self._size = 0  # of the runs

    def take(self, run: Run) -> bool:
        """Take a batch that is new as a whole; False: something of it may have been here."""
        numbers = run.numbers
        if numbers[0] <= self.top:
            return False
        self.top = numbers[-1]
        self._runs.append(run)
        self._size += len(numbers)
        while self._size > REMEMBERED and len(self._runs) > 1:
            self._size -= len(self._runs.popleft().numbers)
        return True

    def knows(self, number: int) -> bool:
        """Whether a number has been taken."""
        if number > self.top:
            return False
        return number in self._single or self._within(number) is not None

    def find(self, number: int) -> tuple[int, Any] | None:
        """Give the status and packed answer of a number; None while there is none."""
        if number in self._single:
            return self._single[number]
        found = self._within(number)
        if found is None:
            return None
        run, at = found
        answer = run.answer(at)
        if answer is PENDING:
            return None
        return OK, None if answer is None else pack(answer)

    def _within(self, number: int) -> tuple[Run, int] | None:
        """Give the batch that has a number, and where."""
        runs = self._runs  # in the order of their numbers
        at = bisect_left(runs, number, key=_last)
        if at == len(runs):
            return None
        place = runs[at].place(number)
        return None if place < 0 else (runs[at], place)

    def note(self, number: int, answer: tuple[int, Any] | None) -> None:
        """Remember one answer, or that it is being made."""
        if number > self.top:
            self.top = number
        single = self._single
        single[number] = answer
        while len(single) > REMEMBERED:
            single.popitem(last=False)

    def forget(self, number: int) -> None:
        """Let a request be handled again: it moved before it was done."""
        self._single.pop(number, None)

    def __repr__(self) -> str:
        return f"<Shelf top={self.top} single={len(self._single)} runs={self._size}>"


def _last(run: Run) -> int:
    return run.numbers[-1]


class Shelves:
    """The remembered answers of all sessions, the oldest session forgotten first."""

    def __init__(self) -> None:
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()

    def of(self, sid: str) -> Shelf:
        """Give a session's shelf."""
        shelf = self._shelves.get(sid)
        if shelf is None:
            shelf = self._shelves[sid] = Shelf()
            if len(self._shelves) > SESSIONS:
                self._shelves.popitem(last=False)
        return shelf

    def find(self, sid: str, number: int) -> tuple[int, Any] | None:
        """Give what is remembered of a request; None when nothing is."""
        shelf = self._shelves.get(sid)
        return None if shelf is None else shelf.find(number)

    def __repr__(self) -> str:
        return f"<Shelves of {len(self._shelves)} sessions>"


# --- frames


def write(sid: str, calls: Sequence[Call]) -> list[Any]:
    """Give the body of a MESSAGE."""
    paths = [c.path for c in calls]
    keys = None
    if paths.count(None) < len(paths):
        keys = [None if p is None else p[0] if len(p) == 1 else p for p in paths]
    return [
        sid, write_numbers([c.number for c in calls]), columns.uniform([c.verb for c in calls]),
        keys, pack_column([c.value for c in calls]),
    ]  # fmt: skip


class Messages(NamedTuple):
    """A MESSAGE as it was read; `keys` is None when no message has one."""

    sid: str
    spec: Any
    numbers: Sequence[int]
    verbs: Iterable[str]
    keys: list[Any] | None
    values: list[Any]


def read(body: list[Any], limit: int) -> Messages:
    """Read a MESSAGE.

    Raises:
        ProtocolError: columns of unequal length or wrong types, or more than `limit` messages.
    """
    try:
        sid, spec, verbs, keys, values = body
        numbers = read_numbers(spec, limit)
        count = len(numbers)
        if type(sid) is not str or not 0 < len(sid) <= SID_MAX:
            raise ProtocolError("a session whose id is none")
        if type(values) is not bytes:
            raise ProtocolError("messages whose values are none")
        if numbers.__class__ is list and not _increasing(numbers):
            raise ProtocolError("numbers of messages that do not increase")
        column = unpack_column(values)
        if len(column) != count:
            raise ProtocolError(f"{len(column)} values of {count} messages")
        if keys is not None:
            if not columns.is_column(keys, count):
                raise ProtocolError(f"a column of keys that does not hold {count}")
            keys = [None if key is None else Path(from_wire(key)) for key in keys]
        if type(verbs) is str:
            verbs = [verbs] * count
        elif not columns.is_column(verbs, count) or {type(v) for v in verbs} != {str}:
            raise ProtocolError("a column of verbs that is none")
        return Messages(sid, spec, numbers, verbs, keys, column)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"messages that cannot be read: {error}") from error


def _increasing(numbers: Sequence[int]) -> bool:
    return all(a < b for a, b in zip([0, *numbers], numbers, strict=False))


def write_answers(
    sid: str, numbers: Sequence[int], answers: list[Any], *, receipt: bool = False
) -> list[Any]:
    """Give the body of an ANSWER; with `receipt` it is the ACK of these messages, too.

    Raises:
        ValueRefused: an answer cannot be sent.
    """
    body = [sid, write_numbers(numbers), pack_scalars(answers)]
    return [*body, True] if receipt else body


def read_answers(body: list[Any]) -> tuple[str, Sequence[int], list[Any], bool]:
    """Read an ANSWER: the session, the numbers, the answers, and whether it is their ACK too.

    Raises:
        ProtocolError: it cannot be read.
    """
    sid, spec, values, *rest = body
    if rest not in ([], [True]):
        raise ProtocolError("an ANSWER with more than answers")
    numbers = read_numbers(spec, 1 << 30)
    if type(values) is not bytes:
        raise ProtocolError("answers that are none")
    answers = unpack_column(values)
    if len(answers) != len(numbers):
        raise ProtocolError(f"{len(answers)} answers to {len(numbers)} messages")
    return sid, numbers, answers, bool(rest)
