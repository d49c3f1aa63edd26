"""The state: what a shard's log comes to, by top-level key, and what each verb means there.

A pure fold: replicas that applied the same records have equal dumps. A key that was last written
as a whole is kept as that very record, packed; the first reader, or the first deep write, opens it
as a tree. Applying a record costs O(length of its path), never a copy of the value.

Snapshots: a reader gets the tree's own node, marked `shared`. A later write copies a shared node,
one level of it, and marks the containers in it shared in turn, so what a reader holds never
changes, and writes with no reader in between copy nothing.

Meaning of a path: elements index lists (an integer or digits within the range; the length appends)
and key maps. A missing level becomes a map, so does a scalar in the way, but for one case: `add`
of item 0 to nothing makes a list, because that is what the owner makes of a `push` to nothing.
`patch` holds several writes below its path, as a map of relative path or key to value, or as pairs
``[path, value]``; text is split at dots, and a path that is an array is taken as it is. Any other
verb that carries a value writes it, as `update` does.

The owner calls :meth:`State.resolve` before it logs; only what it gives may be logged. A record
that has no meaning here after all (a merge brought it to another state) has no effect, the same on
every replica. The module does not know owners, sessions or time; `wall_ms` is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any, cast

from rxfero.core import tree
from rxfero.core.change import DATA, Record
from rxfero.core.heads import container_bound
from rxfero.core.path import Path
from rxfero.core.position import ZERO_TERM
from rxfero.core.tree import ABSENT, Tree
from rxfero.core.value import (
    DEPTH_MAX,
    FrozenDict,
    FrozenList,
    pack,
    unpack,
)
from rxfero.errors import CompareFailed, KeyMissing, Refused, RxferoError, ValueRefused, WrongType

Key = str | int
Part = Record | Tree
Steps = tuple[Key, ...]

NIL = b"\xc0"  # the packed None


class State:
    """The top-level keys of one shard.

    Use: `apply` every data record in log order; read with `get` and `at`.
    Invariant: `parts[key]` is the record that last set the whole key, or a tree.
    """

    __slots__ = ("_due", "parts")

    def __init__(self) -> None:
        self.parts: dict[Key, Part] = {}
        self._due: list[tuple[int, bool, Key]] = []

    # --- the fold

    def apply(self, record: Record) -> None:
        """Let a logged write take effect. Costs O(length of the path)."""
        key, verb = record.key, record.verb
        if isinstance(key, tuple) or verb == "patch":
            try:
                self._apply_deep(record)
            except RxferoError:
                return  # without effect, as the module says; `resolve` has told the writer
        elif verb == "remove":
            self.parts.pop(key, None)
        else:
            self.parts[key] = record
            if record.expires:
                self._expect_end(key, record.expires)

    def _apply_deep(self, record: Record) -> None:
        path, verb = record.path, record.verb
        if verb == "patch":
            for below, value in pairs_of(unpack(record.value)):
                self._put((*path, *below), value, record)
        elif not path:
            return  # a write to nothing
        elif verb == "remove":
            part = self._open(path[0])
            if part is not None:
                part.root = tree.without(part.root, path[1:])
                self._stamp(part, path[0], record)
        else:
            self._put(path, unpack(record.value), record)

    def _put(self, path: Steps, value: Any, record: Record) -> None:
        key = path[0]
        part = self._open(key)
        below = ABSENT if part is None else part.root
        root = tree.put(below, path[1:], value, adds=record.verb == "add")
        if part is None:
            part = self.parts[key] = Tree(root)
        part.root = root
        self._stamp(part, key, record)

    def _open(self, key: Key) -> Tree | None:
        part = self.parts.get(key)
        if part is None or isinstance(part, Tree):
            return part
        opened = self.parts[key] = Tree.of(part)
        return opened

    def _stamp(self, part: Tree, key: Key, record: Record) -> None:
        part.number, part.hlc, part.sid, part.seq = (
            record.number, record.hlc, record.sid, record.seq,
        )  # fmt: skip
        if record.expires:
            part.expires = record.expires
            self._expect_end(key, record.expires)

    # --- reading

    def get(self, key: Key) -> Any:
        """Give the value of a top-level key; containers are snapshots that never change.

        Raises:
            KeyError: there is no such key.
        """
        part = self.parts[key]
        if not isinstance(part, Tree):
            part = self.parts[key] = Tree.of(part)
        return tree.share(part.root)

    def at(self, path: Steps, default: Any = None) -> Any:
        """Give what is at a path, a snapshot as :meth:`get`, or `default`."""
        value = self._find(path)
        return default if value is ABSENT else tree.share(value)

    def items(self) -> Iterator[tuple[Key, Any]]:
        """Give all keys with snapshots of their values, as of when each is drawn."""
        for key in list(self.parts):
            if key in self.parts:
                yield key, self.get(key)

    def stamp(self, path: Steps) -> tuple[int, str, int, int] | None:
        """Give (hlc, sid, seq, number) of the newest write to a path's top-level key (R9)."""
        part = self.parts.get(path[0]) if path else None
        return None if part is None else (part.hlc, part.sid, part.seq, part.number)

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Key]:
        return iter(self.parts)

    def __contains__(self, key: object) -> bool:
        return key in self.parts

    def _find(self, path: Steps) -> Any:
        part = self._open(path[0]) if path else None
        return ABSENT if part is None else tree.find(part.root, path[1:])

    def length(self, path: Steps) -> int | None:
        """Give how many items the list at a path has; None where there is none."""
        found = self._find(path)
        return len(cast("list[Any]", found)) if type(found) is FrozenList else None

    # --- what a verb means, before it is logged

    def resolve(
        self, verb: str, path: Steps, value: bytes, *, expect: Any = None
    ) -> tuple[str, Steps, bytes]:
        """Give the write to log for a request at its owner; nothing is changed here.

        Args:
            verb: As asked for; "push" becomes "add" at the index after the last.
            path: From the top-level key on.
            value: Packed; of "remove" anything.
            expect: None, or a condition: ("value", packed), ("number", number of the record that
                wrote the top-level key last) or ("absent",).

        Raises:
            CompareFailed: `expect` does not hold.
            KeyMissing: "remove" of what is not there.
            ValueRefused: the value would lie deeper than 32 levels, or a "patch" names no path.
            WrongType: "push" to no list, an index that the list does not have, a "patch" whose
                value is no map and no pairs.
            Refused: no key, or an `expect` of no known form.
        """
        if not path and verb != "patch":
            raise Refused(f"a {verb} needs a key")
        if expect is not None:
            self._compare(path, expect)
        if verb == "push":
            return self._resolve_push(path, value)
        if verb == "remove":
            if self._find(path) is ABSENT:
                raise KeyMissing(Path(path))
            return verb, self._settle(path)[0], NIL
        if verb == "patch":
            self._check_patch(path, value)
            return verb, path, value
        _check_depth(path, value)
        return verb, self._settle(path)[0], value

    def _resolve_push(self, path: Steps, value: bytes) -> tuple[str, Steps, bytes]:
        _check_depth((*path, 0), value)
        found = self._find(path)
        if found is ABSENT:
            return "add", (*self._settle(path)[0], 0), value
        if type(found) is not FrozenList:
            raise WrongType(f"push to {Path(path)}: a {type(found).__name__} is no list")
        items = cast("list[Any]", found)
        return "add", (*self._settle(path)[0], len(items)), value

    def _settle(self, path: Steps) -> tuple[Steps, bool]:
        if len(path) < 2:
            return path, False
        part = self._open(path[0])
        if part is None:
            return path, False
        below, crossed = tree.settle(part.root, path[1:])
        return (path if below == path[1:] else (path[0], *below)), crossed

    def _check_patch(self, path: Steps, value: bytes) -> None:
        # Only lists can refuse. Writes of which none crosses a list, nor lies below another, are
        # judged one by one; all else is tried on a snapshot, because one may make room for another.
        writes = [((*path, *below), item) for below, item in pairs_of(unpack(value))]
        done: set[Steps] = set()
        apart = True
        deep = max((len(w) for w, _ in writes), default=0) + container_bound(value) > DEPTH_MAX
        for whole, item in writes:
            apart = apart and not any(whole[:n] in done for n in range(1, len(whole)))
            done.add(whole)
            if deep and len(whole) + tree.levels(item) > DEPTH_MAX:
                raise _too_deep(whole)
        try:
            if apart and not any(self._settle(whole)[1] for whole, _ in writes):
                return
        except WrongType:
            pass
        trial: dict[Key, Any] = {}
        for whole, item in writes:
            key = whole[0]
            if key not in trial:
                part = self._open(key)
                trial[key] = ABSENT if part is None else tree.share(part.root)
            trial[key] = tree.put(trial[key], whole[1:], item, adds=False)

    def _compare(self, path: Steps, expect: Any) -> None:
        actual: Any
        form, wanted = _condition(expect)
        part = self.parts.get(path[0]) if path else None
        if form == "number":
            actual = 0 if part is None else part.number
            if wanted != actual:
                raise CompareFailed(wanted, actual)
            return
        packed = part.value if isinstance(part, Record) and len(path) == 1 else None
        if form == "value" and packed == wanted:
            return
        actual = self._find(path)
        if form == "absent":
            if actual is not ABSENT:
                raise CompareFailed(ABSENT, tree.share(actual))
            return
        expected = unpack(wanted)
        if actual is ABSENT or actual != expected:
            raise CompareFailed(expected, tree.share(actual))

    # --- time to live

    def _expect_end(self, key: Key, expires: int) -> None:
        heappush(self._due, (expires, type(key) is str, key))

    def expired(self, wall_ms: int) -> list[Key]:
        """Give the keys whose time is over, the oldest first; they stay until removed by the log.

        Costs O(keys given) and the times that were replaced since.
        """
        over: list[tuple[int, bool, Key]] = []
        due = self._due
        while due and due[0][0] <= wall_ms:
            entry = heappop(due)
            part = self.parts.get(entry[2])
            if part is not None and part.expires == entry[0] and (not over or over[-1] != entry):
                over.append(entry)
        for entry in over:
            heappush(due, entry)
        return [key for _, _, key in over]

    @property
    def next_end(self) -> int:
        """Wall milliseconds at which the next key may expire; 0 when none will."""
        return self._due[0][0] if self._due else 0

    # --- the whole

    def dump(self) -> list[Any]:
        """Give ``[key, packed value, number, hlc, sid, seq, expires]`` of every key."""
        return [
            [
                key,
                pack(part.root) if isinstance(part, Tree) else part.value,
                part.number,
                part.hlc,
                part.sid,
                part.seq,
                part.expires,
            ]
            for key, part in self.parts.items()
        ]

    def load(self, dump: list[Any]) -> None:
        """Replace everything by what :meth:`dump` gave; values stay packed until read."""
        self.clear()
        for key, value, number, hlc, sid, seq, expires in dump:
            self.parts[key] = Record(
                ZERO_TERM, number, DATA, sid, seq, key, "update", value, hlc, None, expires
            )
            if expires:
                self._expect_end(key, expires)

    def rebuild(self, dump: list[Any], records: Iterable[Record]) -> None:
        """Fold anew: a dump, and the records logged after it (I12)."""
        self.load(dump)
        for record in records:
            if record.kind == DATA:
                self.apply(record)

    def clear(self) -> None:
        """Forget everything, as before the first record."""
        self.parts.clear()
        self._due.clear()

    def digest(self) -> str:
        """Give a checksum that is equal for equal dumps, whatever the order of the keys."""
        rows = sorted(repr(row) for row in self.dump())
        return blake2b("\n".join(rows).encode(), digest_size=16).hexdigest()


def _condition(expect: Any) -> tuple[str, Any]:
    match expect:
        case ("value", bytes() as wanted) | ("number", int() as wanted):
            return expect[0], wanted
        case ("absent",):
            return "absent", None
        case _:
            raise Refused(f"a condition of no known form: {expect!r}")


def _check_depth(path: Steps, value: bytes) -> None:
    """Refuse what could be written but not be read and written again."""
    levels = len(path)
    if levels < 2 or levels + len(value) <= DEPTH_MAX:
        return
    if levels + container_bound(value) <= DEPTH_MAX:
        return  # the bound costs a scan of memory, the exact depth an opening
    if levels + tree.levels(unpack(value)) > DEPTH_MAX:
        raise _too_deep(path)


def _too_deep(path: Steps) -> ValueRefused:
    return ValueRefused(str(Path(path)), f"path and value are deeper than {DEPTH_MAX} levels")


def pairs_of(value: Any) -> list[tuple[Steps, Any]]:
    """Give the writes of a patch in their order, as (path below the patch's own, value).

    No path is empty.

    Raises:
        WrongType: neither a map nor pairs of path and value.
        ValueRefused: a path that is none.
    """
    if type(value) is FrozenDict:
        return [(tuple(Path.parse(path)), item) for path, item in value.items()]
    if type(value) is FrozenList and all(type(p) is FrozenList and len(p) == 2 for p in value):
        return [(tuple(Path.parse(path)), item) for path, item in value]
    raise WrongType("a patch is a map of paths to values, or pairs of path and value")
