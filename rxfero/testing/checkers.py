"""The checkers: pure functions that judge what a cluster did, from what was seen of it.

Each raises :class:`Violation` with what was broken and by which of its arguments, and gives nothing
when all holds. They know no network and no clock: a history is what you wrote down.

======================  ========================================================================
`converged`             all nodes hold the same
`kept`                  every acknowledged write is there, once
`in_order`              the writes of one sender to one key took effect in its order
`gap_free`              an observer saw every change of the log, once, in order, or a reset
`prefix_of`             what a node shows is a state that the log went through
`linearizable`          reads and writes of one key could have happened one at a time
`one_owner`             a term of a shard has one owner
`bounded`               figures stayed below their bound
======================  ========================================================================
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

UNKNOWN = float("inf")
"""When an operation ended whose outcome nobody learnt: it may take effect at any time, or never."""


class Violation(AssertionError):
    """A promise was broken. Attributes: promise (the checker's name), message."""

    def __init__(self, promise: str, message: str) -> None:
        super().__init__(f"{promise}: {message}")
        self.promise, self.message = promise, message


class Operation(NamedTuple):
    """A read or write of a key, as its program saw it; times in seconds of any one clock."""

    key: Hashable
    kind: str  # "read" or "write"
    value: Any
    begun: float
    ended: float = UNKNOWN


class Seen(NamedTuple):
    """A change of one shard's log."""

    shard: int
    number: int
    sender: str
    seq: int
    key: Hashable


RESET = "reset"
"""Among what an observer saw: (RESET, shard, number), the state up to there was given."""


def same(one: Any, other: Any) -> bool:
    """Whether two values are one value: as ``==``, but a NaN is itself, however deep it lies."""
    if one == other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        left, right = cast("Mapping[Any, Any]", one), cast("Mapping[Any, Any]", other)
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(one, list) and isinstance(other, list):
        first, second = cast("list[Any]", one), cast("list[Any]", other)
        return len(first) == len(second) and all(map(same, first, second))
    return one != one and other != other


def converged(states: Mapping[str, Any]) -> None:
    """Check that all nodes hold the same.

    Args:
        states: By the node's name: anything that can be compared.
    """
    names = list(states)
    for name in names[1:]:
        if not same(states[name], states[names[0]]):
            raise Violation("converged", f"{name} differs from {names[0]}")


def kept(acknowledged: Iterable[Hashable], log: Iterable[Hashable]) -> None:
    """Check that every acknowledged write is in the log, and no write is there twice.

    Args:
        acknowledged: What names each write, as (sender, number).
        log: The same of every write in the log, in its order.
    """
    there = Counter(log)
    for write, times in there.items():
        if times > 1:
            raise Violation("kept", f"{write!r} took effect {times} times")
    missing = [write for write in acknowledged if write not in there]
    if missing:
        raise Violation("kept", f"{len(missing)} acknowledged and lost, first {missing[0]!r}")


def in_order(log: Iterable[Seen]) -> None:
    """Check that the writes of one sender to one key are in the order of its numbers."""
    last: dict[tuple[str, int, Hashable], int] = {}
    for seen in log:
        who = (seen.sender, seen.shard, seen.key)
        before = last.get(who, 0)
        if seen.seq <= before:
            raise Violation(
                "in_order", f"{seen.key!r} of {seen.sender}: number {seen.seq} after {before}"
            )
        last[who] = seen.seq


def gap_free(seen: Iterable[Any], log: Sequence[Seen]) -> None:
    """Check that an observer saw the changes of the log, each once and in order, without a gap.

    Where it began does not matter, nor where it ended. A gap is allowed where a reset was told.

    Args:
        seen: :class:`Seen` changes, and tuples (RESET, shard, number).
        log: All changes, of every shard in its order.
    """
    numbers: dict[int, list[int]] = {}
    for change in log:
        numbers.setdefault(change.shard, []).append(change.number)
    at: dict[int, int] = {}
    for item in seen:
        if item[0] == RESET:
            at[item[1]] = item[2]
            continue
        shard, number = item.shard, item.number
        known = numbers.get(shard, [])
        where = bisect_left(known, number)
        if where == len(known) or known[where] != number:
            raise Violation("gap_free", f"{shard}:{number} is in no log")
        before = at.get(shard)
        if before is not None:
            if number <= before:
                raise Violation("gap_free", f"shard {shard}: {number} after {before}")
            due = known[bisect_right(known, before)]
            if due != number:
                raise Violation(
                    "gap_free", f"shard {shard}: {number} after {before}, {due} was due"
                )
        at[shard] = number


def prefix_of(state: Mapping[Any, Any], log: Iterable[tuple[Any, Any]]) -> None:
    """Check that a state is one that the log of one shard went through.

    Args:
        state: What a node shows: value by key.
        log: (key, value) of every write, in order; a value of None removes the key.
    """
    passed: dict[Any, Any] = {}
    if same(passed, state):
        return
    for key, value in log:
        if value is None:
            passed.pop(key, None)
        else:
            passed[key] = value
        if same(passed, state):
            return
    raise Violation("prefix_of", f"the log was never at {dict(state)!r:.200}")


def one_owner(reigns: Iterable[tuple[int, Hashable, str]]) -> None:
    """Check that each (shard, term) has one owner.

    Args:
        reigns: (shard, term, name of the owner), as often as seen.
    """
    owners: dict[tuple[int, Hashable], str] = {}
    for shard, term, name in reigns:
        other = owners.setdefault((shard, term), name)
        if other != name:
            raise Violation("one_owner", f"term {term} of shard {shard}: {other} and {name}")


def bounded(figures: Mapping[str, float], limits: Mapping[str, float]) -> None:
    """Check that figures are at most their limits.

    Raises:
        Violation: one is higher.
        KeyError: a limit has no figure.
    """
    for name, limit in limits.items():
        if figures[name] > limit:
            raise Violation("bounded", f"{name} is {figures[name]}, the limit is {limit}")


def linearizable(history: Iterable[Operation], initial: Any = None) -> None:
    """Check that the operations on each key could have happened one at a time.

    That is: there is an order of them in which each read gives what was written last, and which no
    operation contradicts that ended before another began. Operations without an end (UNKNOWN) may
    be anywhere after their beginning, or nowhere. Writes that give the same value are told apart
    by nothing else, so give each its own.

    The search is Wing and Gong's with Lowe's memory of what has been tried: it costs time and
    memory exponential in the number of operations at once, little for up to six or so.

    Args:
        history: Operations of any number of keys, in any order.
        initial: What a read gives before the first write.
    """
    by_key: dict[Hashable, list[Operation]] = {}
    for operation in history:
        by_key.setdefault(operation.key, []).append(operation)
    for key, operations in by_key.items():
        _linear(key, operations, initial)


def _linear(key: Hashable, operations: list[Operation], initial: Any) -> None:
    reads = [o.value for o in operations if o.kind == "read"]
    # A write without an end whose value nobody read can be left out: it is never in the way.
    history = sorted(
        (
            o for o in operations
            if o.ended != UNKNOWN
            or (o.kind == "write" and any(same(o.value, read) for read in reads))
        ),
        key=lambda o: o.begun,
    )
    must = sum(1 << i for i, o in enumerate(history) if o.ended != UNKNOWN)
    stack: list[tuple[int, Any]] = [(0, initial)]
    tried: set[tuple[int, str]] = set()
    furthest = 0
    while stack:
        done, value = stack.pop()
        if done & must == must:
            return
        furthest = max(furthest, done.bit_count())
        for index, operation in _minimal(history, done):
            if operation.kind == "read" and not same(operation.value, value):
                continue
            state = value if operation.kind == "read" else operation.value
            mark = (done | 1 << index, repr(state))
            if mark not in tried:
                tried.add(mark)
                stack.append((mark[0], state))
    raise Violation(
        "linearizable",
        f"key {key!r}: no order of its {len(history)} operations explains them all, "
        f"the best has {furthest}",
    )


def _minimal(history: list[Operation], done: int) -> Iterable[tuple[int, Operation]]:
    """Give what could be next: whatever began before all others of the rest have ended."""
    soonest = UNKNOWN
    rest: list[tuple[int, Operation]] = []
    index = (~done & (done + 1)).bit_length() - 1  # the first that is left
    while index < len(history):
        if not done >> index & 1:
            operation = history[index]
            if operation.begun > soonest:
                break
            rest.append((index, operation))
            soonest = min(soonest, operation.ended)
        index += 1
    return [(i, o) for i, o in rest if o.begun <= soonest]
