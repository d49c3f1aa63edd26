"""A service to follow and a store for checkpoints, with every fault a write can meet."""

from __future__ import annotations

from typing import Any

from reactivex import Observable
from reactivex.disposable import Disposable

from rxfero.core.change import DATA, Change, Record
from rxfero.core.position import Offset, Position, Term
from rxfero.errors import CompareFailed, RequestTimeout
from tests.operators.fake import FakeCache, FakeGuarantee

UNSET: Any = object()


class Input:
    """The changes of a service with three shards, from a position on."""

    def __init__(self) -> None:
        self.history: list[Change] = []
        self._ends: dict[int, int] = {}
        self._observers: list[Any] = []

    def write(self, shard: int, value: int) -> None:
        from rxfero.core.value import pack

        number = self._ends[shard] = self._ends.get(shard, 0) + 1
        record = Record(
            Term(1, 7), number, DATA, "w", number, f"k{shard}", "update", pack(value),
            len(self.history), None, 0,
        )  # fmt: skip
        change = Change.of(shard, record)
        self.history.append(change)
        for observer in list(self._observers):
            observer.on_next(change)

    def on(self, event: str, callback: Any = None, *, since: Any = "now") -> Observable[Any]:
        assert event == "change"

        def subscribe(observer: Any, scheduler: Any = None) -> Any:
            assert isinstance(since, Position)
            self._observers.append(observer)
            for change in list(self.history):
                offset = change.offset
                assert isinstance(offset, Offset)
                if not since.has(offset):
                    observer.on_next(change)
            return Disposable(lambda: self._observers.remove(observer))

        return Observable(subscribe)


class Store(FakeCache):
    """Holds records; each write waits for its fate, also that of being applied much later."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[Any, Any] = {}
        self.waiting: list[tuple[FakeGuarantee, Any, Any, Any]] = []
        self.delayed: list[tuple[Any, Any, Any]] = []

    def get(self, key: Any, default: Any = None, /) -> Any:
        return self.records.get(key, default)

    def update(self, key: Any, value: Any, *, expect: Any = UNSET, **_: Any) -> FakeGuarantee:
        guarantee = self.ask("update", key, value)
        self.waiting.append((guarantee, key[0], value, expect))
        return guarantee

    def _apply(self, key: Any, value: Any, expect: Any) -> bool:
        if self.records.get(key) != expect:
            return False
        self.records[key] = value
        return True

    def fate(self, what: str) -> None:
        """Let the oldest write meet its fate, or a delayed one be applied."""
        if what == "late":
            if self.delayed:
                self._apply(*self.delayed.pop(0))
            return
        if not self.waiting:
            return
        guarantee, key, value, expect = self.waiting.pop(0)
        if what == "fine":
            if self._apply(key, value, expect):
                guarantee.settle(None)
            else:
                guarantee.fail(CompareFailed(expect, self.records.get(key)))
            return
        if what == "unheard":
            self._apply(key, value, expect)
        elif what == "delayed":
            self.delayed.append((key, value, expect))
        guarantee.fail(RequestTimeout("update", 1.0))

    def crash(self) -> None:
        """Lose who waits; what they wrote may be applied still."""
        self.delayed += [(key, value, expect) for _, key, value, expect in self.waiting]
        self.waiting.clear()
