"""The laws: what a stream of changes owes to who observes it, as assertions for tests.

Give them what was recorded: `seen` by the observer under test, `log` by one that missed nothing (a
server's ``on("change")``, ``cache.history()``, :attr:`FakeCache.changes`). Each raises
:class:`~rxfero.testing.checkers.Violation` that names the change and its offset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from rxfero.core.change import Change
from rxfero.core.position import Offset
from rxfero.core.state import State
from rxfero.testing.checkers import RESET, Seen, Violation, gap_free, same


def assert_gap_free(seen: Iterable[Any], log: Iterable[Change]) -> None:
    """Check that an observer saw the changes of the log, each once, in order, without a gap.

    Where it began and where it ended does not matter; each shard has an order of its own.

    Args:
        seen: Changes; and an :class:`Offset` wherever a reset gave the state up to there.
        log: All changes, each shard's in its order.

    Raises:
        Violation: a change is missing, comes twice or too early, or is in no log.
        ValueError: a change has no offset: it was never committed.
    """
    gap_free(
        [
            (RESET, item.shard, item.number) if isinstance(item, Offset) else _seen(item)
            for item in seen
        ],
        [_seen(change) for change in log],
    )


def assert_prefix_consistent(state: Mapping[Any, Any], log: Iterable[Change]) -> None:
    """Check that a state is one that the log went through: of each shard some prefix of it.

    Args:
        state: What a node showed, by top-level key: ``dict(cache)``.
        log: All changes from the beginning, each shard's in its order.

    Raises:
        Violation: a shard was never at what the state shows of its keys.
        ValueError: a change has no offset.
    """
    by_shard: dict[int, list[Change]] = {}
    for change in log:
        by_shard.setdefault(_offset(change).shard, []).append(change)
    homes = {c.key[0]: shard for shard, changes in by_shard.items() for c in changes}
    for key in state:
        if key not in homes:
            raise Violation("prefix_consistent", f"{key!r} was written by no change of the log")
    for shard, changes in by_shard.items():
        shown = {key: value for key, value in state.items() if homes[key] == shard}
        _prefix(shard, shown, changes)


def _prefix(shard: int, shown: Mapping[Any, Any], changes: list[Change]) -> None:
    passed = State()
    if not shown:
        return
    for change in changes:
        passed.apply(change.record)
        if len(passed.parts) == len(shown) and all(
            key in passed and same(passed.get(key), value) for key, value in shown.items()
        ):
            return
    raise Violation(
        "prefix_consistent",
        f"shard {shard} was never at {dict(shown)!r:.200}; its log ends at {changes[-1].offset}",
    )


def assert_exactly_once(
    results: Iterable[Hashable],
    log: Iterable[Change],
    by: Callable[[Change], Hashable] | None = None,
) -> None:
    """Check that a service did for each change what it does once, and nothing else.

    Args:
        results: What names each effect: of a mail the change it was sent for.
        log: The changes it had to handle.
        by: Gives what names the effect of a change; its offset when None.

    Raises:
        Violation: the effect of a change is missing, is there twice, or belongs to no change.
    """
    name = _offset if by is None else by
    due = {name(change): change for change in log}
    there = Counter(results)
    for what, times in there.items():
        change = due.get(what)
        if change is None:
            raise Violation("exactly_once", f"{what!r} belongs to no change of the log")
        if times > 1:
            raise Violation("exactly_once", f"{change!r} at {change.offset}: {times} times")
    missing = [change for what, change in due.items() if what not in there]
    if missing:
        first = missing[0]
        raise Violation(
            "exactly_once", f"{len(missing)} missing, first {first!r} at {first.offset}"
        )


def _offset(change: Change) -> Offset:
    offset = change.offset
    if offset is None:
        raise ValueError(f"{change!r} has no offset: give changes that were committed")
    return offset


def _seen(change: Change) -> Seen:
    offset = _offset(change)
    return Seen(offset.shard, offset.number, change.origin, 0, change.key)
