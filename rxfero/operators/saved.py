"""The saved: what stands in the record of a checkpoint, a value and where its inputs were.

A record is ``{"value": value, "after": {term: [shard, number, shard, number ...]}}``: most shards
share a term, so positions of many shards stay small.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from rxfero.core.path import Path
from rxfero.core.position import Offset, Position
from rxfero.errors import ConfigurationError, ValueRefused
from rxfero.operators.checks import able


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


def record(value: Any, offsets: Iterable[Offset]) -> dict[str, Any]:
    """Give the record of a value and of the last input of each shard."""
    after: dict[str, list[int]] = {}
    for offset in offsets:
        after.setdefault(str(offset.term), []).extend((offset.shard, offset.number))
    return {"value": value, "after": after}


def position_of(name: Any, found: Any) -> Position:
    """Read the position of a record; of none, that of the beginning.

    Raises:
        ValueRefused: what stands there is no record of a checkpoint.
    """
    if found is None:
        return Position()
    try:
        after = cast("Mapping[str, list[int]]", found["after"])
        _ = found["value"]
        return Position(
            Offset.parse(f"{shard}:{term}:{number}")
            for term, numbers in after.items()
            for shard, number in zip(numbers[::2], numbers[1::2], strict=True)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueRefused(f"{name}", "what stands there is no record of a checkpoint") from error
