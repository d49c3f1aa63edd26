"""The part: what a change means for one path: for who follows a part of the state.

A change at the path or below it stays as it is. One above it becomes what it does there: an update
to the value that is now at the path, or a removal when nothing is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import operators as ops

from rxfero.core.change import Change
from rxfero.core.path import Path, overlaps, under, wire
from rxfero.core.state import pairs_of
from rxfero.core.tree import ABSENT, find, put
from rxfero.core.value import pack
from rxfero.errors import ConfigurationError, RxferoError, ValueRefused
from rxfero.streams import Stream

Held = Callable[[str | int], object]  # raises when what is under a key is not held here


def under_path(
    changes: Stream[Change], path: Any, event: str, held: Held | None = None
) -> Stream[Change]:
    """Give the changes that concern a path, each as what it does there.

    Raises:
        ConfigurationError: as of :func:`part_of`.
    """
    part: Any = changes.pipe(ops.map(part_of(path, event, held)))
    return part.pipe(ops.filter(_concerns))


def _concerns(change: Change | None) -> bool:
    return change is not None


def part_of(
    path: Any, event: str = "change", held: Held | None = None
) -> Callable[[Change], Change | None]:
    """Give what tells of a change what it means for a path; None when that is nothing.

    Raises:
        ConfigurationError: it is no path, or the event's payloads have none.
        NotFollowed: it is not held here.
    """
    if event not in ("change", "commit"):
        raise ConfigurationError("under", path, f"{event!r} is of no path")
    try:
        wanted = tuple(Path.parse(path))
    except ValueRefused as error:
        raise ConfigurationError("under", path, str(error)) from error
    if held is not None:
        held(wanted[0])

    def narrowed(change: Change) -> Change | None:
        key = tuple(change.record.path)
        if under(key, wanted):
            return change
        return _from_above(change, key, wanted) if overlaps(key, wanted) else None

    return narrowed


def _from_above(change: Change, key: tuple[Any, ...], wanted: tuple[Any, ...]) -> Change | None:
    rest = wanted[len(key) :]
    if change.type == "patch":
        return _of_patch(change, wanted, rest)
    return _set(change, wanted, ABSENT if change.type == "remove" else find(change.value, rest))


def _of_patch(change: Change, wanted: tuple[Any, ...], rest: tuple[Any, ...]) -> Change | None:
    try:
        pairs = [pair for pair in pairs_of(change.value) if overlaps(pair[0], rest)]
    except RxferoError:
        return None  # a patch that cannot be read had no effect
    if not pairs:
        return None
    if all(len(path) > len(rest) for path, _ in pairs):
        below = [[list(path[len(rest) :]), value] for path, value in pairs]
        return _made(change, wanted, "patch", pack(below))
    root: Any = ABSENT
    for path, value in pairs:
        if len(path) <= len(rest):
            root = find(value, rest[len(path) :])
        else:
            root = put(root, path[len(rest) :], value, adds=False)
    return _set(change, wanted, root)


def _set(change: Change, wanted: tuple[Any, ...], value: Any) -> Change:
    if value is ABSENT:
        return _made(change, wanted, "remove", pack(None))
    return _made(change, wanted, "update", pack(value))


def _made(change: Change, path: tuple[Any, ...], verb: str, value: bytes) -> Change:
    offset = change.offset
    record = change.record._replace(key=wire(path), verb=verb, value=value)
    return Change.of(-1 if offset is None else offset.shard, record)
