"""The writes: the verbs of a cache; each goes to the owner of its key, and gives a guarantee."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rxfero.core.call import WRITES, level_of
from rxfero.core.change import Change
from rxfero.core.path import Path
from rxfero.core.position import Offset
from rxfero.core.value import pack, pack_all
from rxfero.errors import ConfigurationError, ValueRefused
from rxfero.guarantee import Guarantee, Level
from rxfero.peers import check_size
from rxfero.stages import Joint

if TYPE_CHECKING:
    from rxfero.node import Node

Key = str | int | tuple[str | int, ...] | Path
NIL = b"\xc0"
SMALL = 4096  # bytes of a value that every frame can carry


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Any = _Unset()
"""No condition: the default of `expect`."""


class Writes:
    """What can be written to a service, from any node. The base of :class:`rxfero.Cache`."""

    _node: Node
    _ack: int

    def update(
        self, key: Key, value: Any, *, expect: Any = UNSET, ttl: float | None = None,
        ack: Level | None = None,
    ) -> Guarantee:
        """Set the value at a path.

        Args:
            key: Where, as deep as wanted; missing levels are made.
            value: What.
            expect: Only if this is there now: a value, the Offset of the key's last change, or
                None for nothing.
            ttl: Seconds after which the key is removed again.
            ack: What awaiting waits for, if other than the cache's default.

        Raises:
            ValueRefused: the key or value cannot be stored.
            Overloaded, Closed.
        """
        if expect is not UNSET or ttl is not None or ack is not None:
            return self._write("update", Path.parse(key), pack(value), expect, ttl, ack)
        node, packed = self._node, pack(value)
        if len(packed) > SMALL:
            check_size(node, packed)
        guarantee = Guarantee(node, "update", Path.parse(key), packed, self._ack)
        node.submit(guarantee)
        return guarantee

    def add(self, *args: Any, ttl: float | None = None, ack: Level | None = None) -> Guarantee:
        """Add a value: ``add(key, value)`` at a path, ``add(value)`` under the next free integer.

        The id is the guarantee's reply: ``await cache.add(value).on("reply")``. Ids are consecutive
        integers, never given twice.
        """
        if len(args) == 2:
            return self._write("add", Path.parse(args[0]), pack(args[1]), UNSET, ttl, ack)
        if len(args) != 1:
            raise TypeError(f"add() takes (value) or (key, value), not {len(args)} arguments")
        return self._write("add", None, pack(args[0]), UNSET, ttl, ack)

    def remove(self, key: Key, *, expect: Any = UNSET, ack: Level | None = None) -> Guarantee:
        """Remove what is at a path. Awaiting raises KeyMissing when there is nothing."""
        return self._write("remove", Path.parse(key), NIL, expect, None, ack)

    def push(self, *args: Any, ack: Level | None = None) -> Guarantee:
        """Append to a list: ``push(key, value)``; ``push(value)`` is ``add(value)``.

        The owner resolves the index, so pushes of several writers keep all values.
        """
        if len(args) == 1:
            return self.add(args[0], ack=ack)
        if len(args) != 2:
            raise TypeError(f"push() takes (value) or (key, value), not {len(args)} arguments")
        return self._write("push", Path.parse(args[0]), pack(args[1]), UNSET, None, ack)

    def patch(self, *args: Any, ack: Level | None = None) -> Guarantee | Joint:
        """Set several values at once: ``patch(key, values)`` is one atomic record.

        Args:
            values: A dict of paths below the key and their values. Without a key, of top-level
                keys: those may have several owners, so each is a record of its own, and the result
                is a guarantee of all.
        """
        if len(args) == 2:
            values = args[1]
            self._check_patch(values)
            return self._write("patch", Path.parse(args[0]), pack(values), UNSET, None, ack)
        if len(args) != 1:
            raise TypeError(f"patch() takes (values) or (key, values), not {len(args)} arguments")
        self._check_patch(args[0])
        packed = [(Path.parse(key), pack(value)) for key, value in args[0].items()]
        return Joint([self._write("update", k, v, UNSET, None, ack) for k, v in packed])

    def update_many(
        self, keys: Iterable[Key], values: Iterable[Any], *, ack: Level | None = None
    ) -> Joint:
        """Set the values of many keys, each as an `update` of its own: columns in, for bulk work.

        Args:
            keys: Where.
            values: What, one a key.
            ack: What awaiting waits for, if other than the cache's default.

        Returns:
            The guarantee of all; awaiting it gives the list of their offsets.
        Raises:
            ValueRefused: a key or value cannot be stored, or the columns are not of one length, or
                empty. Nothing was written.
            Overloaded, Closed: some have been written: those before.
        """
        paths, packed = Path.parse_all(keys), pack_all(values)
        if not paths or len(paths) != len(packed):
            counts = f"{len(paths)} keys and {len(packed)} values"
            raise ValueRefused("keys", f"must be as many as the values, and some: {counts}")
        check_size(self._node, max(packed, key=len))
        node, level = self._node, self._ack if ack is None else level_of(ack)
        asked = [
            Guarantee(node, "update", path, value, level)
            for path, value in zip(paths, packed, strict=True)
        ]
        node.submit_all(asked)
        return Joint(asked)

    def set(self, change: Change, *, ack: Level | None = None) -> Guarantee:
        """Apply a change record: its type as the verb, its key and value."""
        if not isinstance(change, Change):
            raise ValueRefused("change", f"must be a Change, not {type(change).__name__}")
        if change.type not in WRITES:
            raise ValueRefused("change.type", f"{change.type!r} is none of {sorted(WRITES)}")
        return self._write(change.type, change.key, change.packed, UNSET, None, ack)

    def _check_patch(self, values: Any) -> None:
        if not isinstance(values, Mapping) or not values:
            raise ValueRefused("values", "a patch takes a dict of paths and values, not empty")

    def _write(
        self, verb: str, path: Path | None, packed: bytes, expect: Any, ttl: float | None,
        ack: Level | None,
    ) -> Guarantee:
        node = self._node
        if len(packed) > SMALL:
            check_size(node, packed)
        level = self._ack if ack is None else level_of(ack)
        condition = None if expect is UNSET else _condition(expect)
        if condition is not None and condition[0] == "value":
            check_size(node, packed + condition[1])  # both travel in one frame
        ttl_ms = 0
        if ttl is not None:
            if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 0 < ttl < 1e9:
                raise ConfigurationError("ttl", ttl, "must be seconds > 0")
            ttl_ms = max(1, int(ttl * 1000))
        guarantee = Guarantee(node, verb, path, packed, level, condition, ttl_ms)
        node.submit(guarantee)
        return guarantee


def _condition(expect: Any) -> list[Any]:
    if expect is None:
        return ["absent"]
    if isinstance(expect, Offset):
        return ["number", expect.number]
    return ["value", pack(expect)]
