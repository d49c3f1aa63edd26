"""The saved: what stands in the record of a checkpoint, a value and which changes are in it.

A record is ``{"value": value, "after": {term: [shard, number, shard, number ...]}}``: most shards
share a term, so positions of many shards stay small.

A term is the reign of one owner, so what was logged in it is one sequence, on both sides of a split
too. Which side's log goes on after it is not known beforehand: what the other side logged in a
lower term comes after what one's own side logged in a higher one. So of each shard the last number
of each of its latest terms is kept, not only the last offset; and what the owner merges, which is
logged anew with its origin, counts as what it was there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from rxfero.core.change import Change
from rxfero.core.path import Path
from rxfero.core.position import Offset, Position, Term
from rxfero.errors import ConfigurationError, ValueRefused
from rxfero.operators.checks import able

TERMS: Final = 8  # of each shard the latest so many are told apart; what is below them was seen


def place(operator: str, cache: Any, name: Any) -> str | int:
    """Give the name of a record, once it is known that a cache can hold it.

    Raises:
        ConfigurationError: `cache` is none, or `name` no top-level key.
    """
    able(f"{operator}.cache", able(f"{operator}.cache", cache, "update"), "get")
    try:
        path = Path.parse(name)
    except ValueRefused as error:
        raise ConfigurationError(f"{operator}.name", name, "must be a key") from error
    if len(path) != 1:
        raise ConfigurationError(f"{operator}.name", name, "must be a top-level key")
    return path[0]


class Counted:
    """Which changes of a service were counted.

    Args:
        name: Of the record, for errors.
        found: The record; None: there is none, and nothing was seen.

    Raises:
        ValueRefused: it is no record of a checkpoint.
    """

    __slots__ = ("_last",)

    def __init__(self, name: Any = "", found: Any = None) -> None:
        self._last: dict[int, dict[Term, int]] = {}
        for offset in () if found is None else _offsets(name, found):
            self._note(offset.shard, offset.term, offset.number)

    def take(self, change: Change) -> bool:
        """Count a change; whether it is a new one.

        Raises:
            ValueRefused: it was not logged.
        """
        offset = change.offset
        if offset is None:
            raise ValueRefused("item", "has no offset: it is no change of a cache")
        shard, term, number = offset
        if self._has(shard, term, number):
            return False
        again = self._has_there(shard, change.record.origin)
        self._note(shard, term, number)
        return not again

    def position(self) -> Position:
        """Give where to go on: of each shard after the highest."""
        return Position(
            Offset(shard, *max(terms.items())) for shard, terms in self._last.items()
        )  # fmt: skip

    def after(self) -> dict[str, list[int]]:
        """Give what a record keeps of it."""
        rows: dict[str, list[int]] = {}
        for shard, terms in self._last.items():
            for term, number in terms.items():
                rows.setdefault(str(term), []).extend((shard, number))
        return rows

    def _has(self, shard: int, term: Term, number: int) -> bool:
        terms = self._last.get(shard)
        if terms is None:
            return False
        last = terms.get(term)
        if last is None:  # of one forgotten, or of another side
            return len(terms) >= TERMS and term < min(terms)
        return number <= last

    def _has_there(self, shard: int, origin: tuple[Term, int] | None) -> bool:
        """Whether what was merged is known for certain to be one that was counted at its origin.

        Number 0 is the origin of a whole state, of which nobody knows where its parts stood.
        """
        if origin is None or origin[1] < 1:
            return False
        return origin[1] <= self._last.get(shard, {}).get(origin[0], 0)

    def _note(self, shard: int, term: Term, number: int) -> None:
        terms = self._last.setdefault(shard, {})
        terms[term] = number
        if len(terms) > TERMS:
            del terms[min(terms)]

    def __repr__(self) -> str:
        return f"<Counted of {len(self._last)} shards>"


def record(value: Any, counted: Counted) -> dict[str, Any]:
    """Give the record of a value and of the changes that are in it."""
    return {"value": value, "after": counted.after()}


def _offsets(name: Any, found: Any) -> list[Offset]:
    try:
        after = cast("Mapping[str, list[int]]", found["after"])
        _ = found["value"]
        return [
            Offset.parse(f"{shard}:{term}:{number}")
            for term, numbers in after.items()
            for shard, number in zip(numbers[::2], numbers[1::2], strict=True)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueRefused(f"{name}", "what stands there is no record of a checkpoint") from error
