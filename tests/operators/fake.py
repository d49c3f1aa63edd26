"""A cache in memory whose guarantees settle when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from reactivex import Observable
from reactivex.subject import ReplaySubject, Subject

from rxfero.errors import ConfigurationError


class FakeGuarantee:
    """A guarantee: `what` was asked for; its stages are settled by hand."""

    def __init__(self, what: tuple[Any, ...]) -> None:
        self.what = what
        self.timeouts: list[float] = []
        self.levels: list[Any] = []
        self.watched = 0
        self._outcome: ReplaySubject[Any] = ReplaySubject()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._outcome.__await__()

    def on(self, stage: str) -> Observable[Any]:
        assert stage in ("ack", "commit", "reply")
        self.levels.append(stage)

        def subscribe(observer: Any, scheduler: Any = None) -> Any:
            from reactivex.disposable import Disposable

            self.watched += 1
            inner = self._outcome.subscribe(observer, scheduler=scheduler)

            def stop() -> None:
                self.watched -= 1
                inner.dispose()

            return Disposable(stop)

        return Observable(subscribe)

    def replicated(self, servers: Any) -> Observable[Any]:
        stages = self.on("commit")
        self.levels[-1] = servers
        return stages

    def acknowledged(self, where: Callable[[Any], bool]) -> Observable[int]:
        stages = self.on("ack")
        self.levels[-1] = where
        return stages

    def timeout(self, seconds: float) -> FakeGuarantee:
        self.timeouts.append(seconds)
        return self

    def partial(self, value: Any) -> None:
        self._outcome.on_next(value)

    def settle(self, value: Any) -> None:
        self._outcome.on_next(value)
        self._outcome.on_completed()

    def fail(self, error: Exception) -> None:
        self._outcome.on_error(error)


class FakePeers:
    def __init__(self, cache: FakeCache) -> None:
        self._cache = cache
        self.me: Any = object()
        self.owned: set[Any] = set()

    def send(self, message: Any) -> FakeGuarantee:
        return self._cache.ask("send", message)

    def owner(self, key: Any) -> Any:
        return self.me if key.partition in self.owned else None


class FakeCache:
    """Remembers what was asked of it, in order."""

    name = "fake"

    def __init__(self) -> None:
        self.asked: list[FakeGuarantee] = []
        self.peers = FakePeers(self)
        self.refuse: Callable[[tuple[Any, ...]], Exception | None] = lambda _: None

    def ask(self, *what: Any) -> FakeGuarantee:
        error = self.refuse(what)
        if error is not None:
            raise error
        guarantee = FakeGuarantee(what)
        self.asked.append(guarantee)
        return guarantee

    @property
    def what(self) -> list[tuple[Any, ...]]:
        return [guarantee.what for guarantee in self.asked]

    def on(self, event: str, callback: Any = None, *, since: Any = "now") -> Any:
        return Subject()

    def get(self, key: Any, default: Any = None, /) -> Any:
        return default

    def update(self, key: Any, value: Any, **_: Any) -> FakeGuarantee:
        return self.ask("update", key, value)

    def add(self, *args: Any, **_: Any) -> FakeGuarantee:
        return self.ask("add", *args)

    def push(self, *args: Any, **_: Any) -> FakeGuarantee:
        return self.ask("push", *args)

    def remove(self, key: Any, **_: Any) -> FakeGuarantee:
        return self.ask("remove", key)

    def patch(self, *args: Any, **_: Any) -> FakeGuarantee:
        return self.ask("patch", *args)


class Seen:
    """A subscription that remembers: values, the error, whether it completed."""

    def __init__(self, source: Observable[Any], **keywords: Any) -> None:
        self.values: list[Any] = []
        self.error: Exception | None = None
        self.completed = False
        self.subscription = source.subscribe(
            self.values.append, self._failed, self._completed, **keywords
        )

    def _failed(self, error: Exception) -> None:
        assert self.error is None
        assert not self.completed
        self.error = error

    def _completed(self) -> None:
        assert self.error is None
        self.completed = True


def refused(option: str, call: Callable[[], Any]) -> None:
    """Check that a call is refused, and names the operator and the argument."""
    with pytest.raises(ConfigurationError) as caught:
        call()
    assert option in str(caught.value)
