"""The news: told in their order, made only where somebody observes."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero.core.batch import Batch
from rxfero.core.call import REFUSED, Call
from rxfero.core.change import DATA, VOID, Record
from rxfero.core.position import Term
from rxfero.core.ready import Ready
from rxfero.errors import HandshakeRefused, LostWrites
from rxfero.events import Hub
from rxfero.news import REFUSALS, News


@pytest.fixture
async def hub() -> Hub:
    return Hub("users")


class Asked(Call):
    """A call that notes what it is told, and fails then if it has to."""

    public = True

    def __init__(self, seen: list[Any], error: Exception | None = None) -> None:
        super().__init__("login", None, b"\xc0")
        self.seen, self.raises = seen, error
        self.watchers = ("somebody",)

    def settled(self) -> None:
        self.seen.append(self)
        if self.raises is not None:
            raise self.raises


def record(kind: int = DATA) -> Record:
    return Record(Term(1, 2), 1, kind, "s", 1, "k", "add", b"\x01", 1, None, 0)


async def test_changes_come_before_answers(hub: Hub) -> None:
    seen: list[Any] = []
    for name in ("commit", "commits", "change", "changes", "reply", "replies", "ack"):
        hub.on(name, lambda payload, name=name: seen.append((name, payload)))
    ready, call = Ready(), Asked(seen)
    ready.settled = [call]
    ready.notices = [("ack", 3)]
    ready.changes = [([5, 5], [record(), record(VOID)])]
    News("users", hub).tell(ready)
    assert [s[0] for s in seen if isinstance(s, tuple)] == [
        "commit", "commits", "change", "changes", "ack", "reply", "replies",
    ]  # fmt: skip
    assert seen.index(call) == 5, "who waits is told before who observes"
    assert seen[1][1] == [seen[0][1]], "a void is no change"


async def test_of_a_batch_those_are_told_that_looked_and_all_who_observe(hub: Hub) -> None:
    seen: list[Any] = []
    batch = Batch()
    for _ in range(3):
        batch.add("login", "x", packed=False)
    batch.number(1, 30.0)
    batch.calls[1] = looked = Asked(seen)
    batch.settle(["a", "b", "c"])
    ready = Ready()
    ready.answered = [batch]
    news = News("users", hub)
    news.tell(ready)
    assert seen == [looked]
    answers: list[Any] = []
    hub.on("reply", lambda call: answers.append(call.content))
    hub.on("replies", lambda calls: answers.append([call.content for call in calls]))
    news.tell(ready)
    assert answers == ["a", "b", "c", ["a", "b", "c"]]


async def test_what_a_waiter_raises_is_told(hub: Hub) -> None:
    errors: list[Any] = []
    hub.on("error", errors.append)
    ready = Ready()
    fault = ValueError("a waiter's")
    failing, other = Asked([], fault), Asked([])
    failing.status = REFUSED
    ready.settled = [failing, other]
    News("users", hub).tell(ready)
    assert [f.error for f in errors] == [fault]
    assert other.seen == [other]


async def test_a_refusal_is_told_once_a_reason(hub: Hub) -> None:
    errors: list[Any] = []
    hub.on("error", errors.append)
    news, ready = News("users", hub), Ready()
    news.known.add(4)
    ready.notices = [
        ("refused", (4, "of this, another has told")), ("refused", (5, "no")),
        ("refused", (6, "no")), ("lost_writes", (3, [1])), ("client", None),
    ]  # fmt: skip
    news.tell(ready)
    assert [type(f.error) for f in errors] == [HandshakeRefused, LostWrites]
    assert news.known == set()
    for number in range(2 * REFUSALS):
        news.refused(str(number))
    assert len(errors) == 2 + 2 * REFUSALS
    assert repr(news) == "<News of users>"
