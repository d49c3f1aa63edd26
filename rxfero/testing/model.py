"""The model: what a cluster owes, by what was written to it, and what an observer of it owes.

Keys "k..." are set and removed, to numbers that are never used twice; numbers are pushed to lists,
"l...".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rxfero.core.state import State
from rxfero.testing.checkers import Operation, Violation, linearizable
from rxfero.testing.member import Member

ABSENT = None


class Model:
    """What was written since a cluster was last at rest, and what may be there when it is again.

    Args:
        initial: What it held then.

    Attributes:
        orderly: Whether nothing failed since.
        history: Writes and reads of keys.
        pushed: By list and number, whether that it was pushed was acknowledged.
    """

    def __init__(self, initial: Mapping[Any, Any]) -> None:
        self.initial = initial
        self.orderly = True
        self.history: list[Operation] = []
        self.pushed: dict[tuple[str, int], bool] = {}

    def begin(self, key: str, value: int | None, now: float) -> int:
        """Note that a key is being set, or removed; gives the operation's place."""
        self.history.append(Operation(key, "write", value, now))
        return len(self.history) - 1

    def end(self, index: int, now: float, *, found_nothing: bool = False) -> None:
        """Note that this has happened, or that there was nothing to remove."""
        key, kind, value, begun, _ = self.history[index]
        self.history[index] = Operation(key, "read" if found_nothing else kind, value, begun, now)

    def possible(self, key: str) -> set[Any]:
        """Give what a key may show."""
        written = {o.value for o in self.history if o.key == key and o.kind == "write"}
        return {self.initial.get(key, ABSENT), *written}

    def judge(self, shown: Mapping[Any, Any], now: float | None) -> None:
        """Check what is there.

        Args:
            shown: What the cluster holds at rest.
            now: The time, when operations have to be linearizable; None when splits may have let
                an earlier write take the place of a later one.

        Raises:
            Violation: kept, once or linearizable.
        """
        keys = dict.fromkeys([*(o.key for o in self.history), *shown, *self.initial])
        lists = dict.fromkeys([*(name for name, _ in self.pushed), *shown, *self.initial])
        for name in (key for key in keys if str(key).startswith("k")):
            value = shown.get(name, ABSENT)
            if value not in self.possible(str(name)):
                message = f"{name!r} is {value!r}, which is not what was written last"
                raise Violation("kept", message)
            if now is not None:
                operations = [o for o in self.history if o.key == name]
                operations.append(Operation(name, "read", value, now, now))
                linearizable(operations, self.initial.get(name, ABSENT))
        for name in (key for key in lists if str(key).startswith("l")):
            self._judge_list(str(name), shown.get(name) or [])

    def _judge_list(self, name: str, items: list[int]) -> None:
        before: list[int] = self.initial.get(name) or []
        due = [*before, *(n for (of, n), sure in self.pushed.items() if of == name and sure)]
        known = {*before, *(n for of, n in self.pushed if of == name)}
        if len({*items}) < len(items):
            raise Violation("once", f"{name!r} has something twice: {items!r}")
        if missing := [n for n in due if n not in items]:
            raise Violation("kept", f"{name!r} is without {missing!r}: {items!r}")
        if strange := {*items} - known:
            raise Violation("kept", f"{name!r} has {strange!r}, which nobody pushed")

    def __repr__(self) -> str:
        return f"<Model of {len(self.history)} operations and {len(self.pushed)} pushes>"


class Observer:
    """Follows the changes of one member after the other, and holds what they make.

    Where the history is told to be gone or taken back, it begins anew from the state.
    """

    def __init__(self) -> None:
        self.state = State()
        self.member: Member
        self._end: list[Callable[[], None]] = []
        self._begins = False
        self._position: Any = "state"

    def watch(self, member: Member) -> None:
        """Go on at a member; at first from its state."""
        self.member = member
        cache = member.cache
        for event in ("reset", "rollback"):
            self._end.append(cache.on(event).subscribe(self._anew).dispose)
        self._subscribe(self._position)

    def _subscribe(self, since: Any) -> None:
        self._begins = True
        changes = self.member.cache.on("change", since=since)
        self._end.append(changes.subscribe(self._take).dispose)
        self._begins = False

    def _take(self, change: Any) -> None:
        self.state.apply(change.record)

    def _anew(self, _: object) -> None:
        self.state = State()
        if not self._begins:
            self._end.pop()()
            self._subscribe("state")

    def leave(self) -> None:
        """Look no more; remember where."""
        self._position = self.member.cache.partitions.position()
        for end in self._end:
            end()
        self._end.clear()

    def shows(self) -> dict[Any, Any]:
        """Give the state by top-level key."""
        return {key: self.state.get(key) for key in self.state.parts}

    def judge(self) -> None:
        """Check that it has what its member has.

        Raises:
            Violation: observed.
        """
        theirs, seen = dict(self.member.cache), self.shows()
        if seen != theirs:
            raise Violation("observed", f"{self!r} has {seen!r}, the cache {theirs!r}")

    def __repr__(self) -> str:
        return f"<Observer of {self.member.name}>"
