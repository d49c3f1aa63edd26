"""The actions: what the commands do with a cache once they have one; each gives an exit status.

A key is dotted text, in which whole numbers are integers (``tasks.0``), or a JSON array of its
elements, which is taken as it is (``["alice@x.org", "2024"]``). A value is JSON if it is JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, TextIO, TypeAlias, cast

from rxfero.cache import Cache
from rxfero.commands.output import Output, Row, dumps, note, parse, say
from rxfero.core.change import Change
from rxfero.core.path import Path, under
from rxfero.core.position import Offset, Position
from rxfero.errors import ConfigurationError, ValueRefused
from rxfero.operators.to_async_iter import to_async_iter
from rxfero.writes import UNSET

OK: Final = 0
FAILED: Final = 1

CHANGE: Final = ("type", "key", "value", "offset", "time", "origin")
_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
_WINDOW: Final = 64  # writes of one input that are on their way at once
Key: TypeAlias = tuple[str | int, ...]


def key_of(text: str) -> Key:
    """Read a key.

    Raises:
        ValueRefused: it is none.
    """
    if text.startswith("["):
        elements = parse(text)
        if not isinstance(elements, list):
            raise ValueRefused(text, "begins as a JSON array and is none")
        return Path.parse(cast("list[Any]", elements))
    path = Path.parse(text)
    return tuple(int(e) if _WHOLE.fullmatch(str(e)) else e for e in path)


def shown_key(key: Iterable[str | int]) -> str:
    """Give a key so that :func:`key_of` reads it."""
    elements = list(key)
    text = ".".join(map(str, elements))
    try:
        same = not text.startswith("[") and list(key_of(text)) == elements
    except ValueRefused:
        same = False  # an element has dots of its own
    return text if same else dumps(elements)


def row_of(change: Change) -> Row:
    """Give a change as a row; :func:`write_all` takes it again."""
    return {
        "type": change.type, "key": list(change.key), "value": change.value,
        "offset": None if change.offset is None else str(change.offset),
        "time": change.time, "origin": change.origin,
    }  # fmt: skip


# --- reading


def get(cache: Cache, path: str | None, default: str | None, output: Output) -> int:
    """Print the value at a path, or all keys and values."""
    if path is None:
        rows: list[Row] = [{"key": shown_key((key,)), "value": cache[key]} for key in cache]
        output.show(output.select(rows, ("key", "value")), ("key", "value"))
        return OK
    key = key_of(path)
    found = cache.at(key, UNSET)
    if found is UNSET and default is None:
        note(f"nothing at {path!r} in {cache.name!r}")
        return FAILED
    say(dumps(parse(default or "") if found is UNSET else found))
    return OK


async def watch(
    cache: Cache, since: str, part: str | None, count: int | None, output: Output
) -> int:
    """Print changes as they come."""
    if count is not None and count < 1:
        raise ConfigurationError("--count", count, "must be at least 1")
    stem = None if part is None else key_of(part)
    begin = _since(since)
    cache.on("reset", lambda _: note("the history does not reach back: begins with the state"))
    cache.on("disconnected", lambda peer: note(f"lost {peer.id}, looking for servers"))
    changes: AsyncIterator[Change] = cache.stream("change", since=begin, under=stem)
    left = count
    async for change in changes:
        row = row_of(change)
        if not output.wanted({**row, "key": shown_key(change.key)}):
            continue
        _line(row, output)
        if left is not None:
            left -= 1
            if left == 0:
                break
    return OK


def history(cache: Cache, path: str, output: Output) -> int:
    """Print what is retained of a key's past."""
    key = key_of(path)
    changes = [c for c in cache.partitions[(key[0],)] if under(c.key, key)]
    if not changes:
        note(f"no history of {path!r} in {cache.name!r}")
        return FAILED
    _table(changes, output)
    return OK


async def conflicts(cache: Cache, output: Output, *, follow: bool) -> int:
    """Print the writes that lost against others when a split was merged."""
    coming = cache.on("conflict").pipe(to_async_iter(1024, "block"))
    _table(cache.partitions.conflicts(), output)
    if follow:
        async for change in coming:
            if output.wanted(row_of(change)):
                _line(row_of(change), output)
    return OK


def owners(cache: Cache, keys: Iterable[str], output: Output) -> int:
    """Print which server owns each key."""
    rows: list[Row] = []
    for text in keys:
        owner = cache.peers.owner(key_of(text))
        rows.append(
            {
                "key": text, "owner": None if owner is None else owner.id,
                "address": None if owner is None else owner.address,
            }
        )  # fmt: skip
    columns = ("key", "owner", "address")
    output.show(output.select(rows, columns), columns)
    return OK if all(row["owner"] for row in rows) else FAILED


# --- writing


async def write(cache: Cache, verb: str, args: tuple[Any, ...], timeout: float, output: Output,
                **options: Any) -> int:  # fmt: skip
    """Do one write and print its offset, and its key where the owner chose it."""
    guarantee: Any = getattr(cache, verb)(*args, **options)
    offset: Any = await guarantee.timeout(timeout)
    row: Row = {"offset": str(offset)}
    if verb in ("add", "push") and len(args) == 1:
        row = {"key": await guarantee.on("reply"), **row}
    output.line(row, tuple(row))
    return OK


async def write_all(cache: Cache, change: str, lines: TextIO, timeout: float, output: Output,
                    ack: Any) -> int:  # fmt: skip
    """Apply a change record, or with ``-`` one a line of the input, in their order a key."""
    if change != "-":
        return await _apply(cache, [read_change(change, "the change")], timeout, output, ack)
    loop = asyncio.get_running_loop()
    number, waiting = 0, list[Change]()
    while line := await loop.run_in_executor(None, lines.readline):
        number += 1
        if line.strip():
            waiting.append(read_change(line, f"line {number}"))
        if len(waiting) >= _WINDOW:
            await _apply(cache, waiting, timeout, output, ack)
            waiting = []
    return await _apply(cache, waiting, timeout, output, ack)


def read_change(text: str, where: str) -> Change:
    """Read a change record: an object of type, key and value.

    Raises:
        ValueRefused: it is none.
    """
    try:
        given: Any = json.loads(text)
    except ValueError as error:
        raise ValueRefused(where, f"is not JSON: {error}") from None
    if not isinstance(given, dict) or "key" not in given:
        hint = 'an object is wanted, as {"type": "update", "key": "a", "value": 1}'
        raise ValueRefused(where, hint)
    record = cast("dict[str, Any]", given)
    key: Any = record["key"]
    return Change(record.get("type", "update"), key, record.get("value"))


async def send(cache: Cache, message: dict[str, Any], timeout: float) -> int:
    """Send a message and print every answer."""
    guarantee = cache.peers.send(message).timeout(timeout)
    answers: Any = guarantee.on("reply").pipe(to_async_iter(1024, "block"))
    async for answer in answers:
        say(dumps(answer))
    return OK


async def _apply(
    cache: Cache, changes: list[Change], timeout: float, output: Output, ack: Any
) -> int:
    guarantees = [cache.set(change, ack=ack) for change in changes]
    for guarantee in guarantees:
        output.line({"offset": str(await guarantee.timeout(timeout))}, ("offset",))
    return OK


def _since(text: str) -> Any:
    """Read where to begin: now, state, an offset or a position.

    Raises:
        ConfigurationError: it is none of those.
    """
    if text in ("now", "state"):
        return text
    for kind in (Offset, Position) if text.strip() else ():
        try:
            return kind.parse(text)
        except (ValueError, ValueRefused):
            continue
    hint = "must be now, state, an offset as watch prints it, or a position"
    raise ConfigurationError("--since", text, hint)


def _table(changes: Iterable[Change], output: Output) -> None:
    rows = [_readable(row_of(c), output) for c in changes]
    output.show(output.select(rows, CHANGE), CHANGE)


def _line(row: Row, output: Output) -> None:
    output.line(_readable(row, output), CHANGE)


def _readable(row: Row, output: Output) -> Row:
    """Give a row for the eye; JSON keeps the elements of the key and the time as they are."""
    if output.json:
        return row
    return {**row, "key": shown_key(row["key"]), "time": row["time"] and row["time"].isoformat()}
