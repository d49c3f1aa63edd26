"""send: one message an item, with the key and the value that were chosen."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.subject import Subject

from rxfero import operators as fop
from rxfero.core.change import Change
from rxfero.errors import Overloaded, Refused, ValueRefused
from rxfero.ports import CacheLike, GuaranteeLike
from tests.operators.fake import FakeCache, Seen, refused

TABLE: list[tuple[dict[str, Any], Any, dict[str, Any]]] = [
    ({}, 5, {"type": "message", "key": None, "value": 5}),
    ({"type": "hi"}, (1, 2), {"type": "hi", "key": None, "value": (1, 2)}),
    ({"key": "alice"}, 5, {"type": "message", "key": "alice", "value": 5}),
    ({"key": lambda i: i["who"]}, {"who": 1}, {"type": "message", "key": 1, "value": {"who": 1}}),
    ({"type": lambda i: f"t{i}"}, 5, {"type": "t5", "key": None, "value": 5}),
    ({"value": str}, 5, {"type": "message", "key": None, "value": "5"}),
    ({}, Change("add", "k", 7), {"type": "message", "key": None, "value": 7}),
]


@pytest.mark.parametrize(("options", "item", "message"), TABLE)
def test_table(options: dict[str, Any], item: Any, message: Any) -> None:
    cache = FakeCache()
    seen = Seen(reactivex.just(item).pipe(fop.send(cache, **options)))
    assert cache.what == [("send", message)]
    assert seen.values == cache.asked
    assert seen.completed


def test_the_fake_has_the_shape_of_a_cache() -> None:
    cache = FakeCache()
    assert isinstance(cache, CacheLike)
    assert isinstance(cache.ask("x"), GuaranteeLike)


@given(st.lists(st.integers()))
def test_law_one_message_and_one_guarantee_an_item_in_order(items: list[int]) -> None:
    cache = FakeCache()
    seen = Seen(reactivex.from_iterable(items).pipe(fop.send(cache)))
    assert [what[1]["value"] for what in cache.what] == items
    assert seen.values == cache.asked


@given(st.lists(st.integers()))
def test_law_nothing_is_sent_without_a_subscriber_and_all_for_each(items: list[int]) -> None:
    cache = FakeCache()
    chain = reactivex.from_iterable(items).pipe(fop.send(cache))
    assert cache.asked == []
    Seen(chain)
    Seen(chain)
    assert len(cache.asked) == 2 * len(items)


@given(st.integers(1, 4), st.lists(st.booleans(), max_size=12))
def test_law_no_more_are_unanswered_than_the_window(window: int, fates: list[bool]) -> None:
    cache = FakeCache()
    chain = fop.isolate(fop.send(cache, window=window), fop.await_reply(), errors=lambda _: None)
    seen = Seen(reactivex.from_iterable(range(len(fates))).pipe(chain))
    for n, fine in enumerate(fates):
        assert len(cache.asked) == min(len(fates), n + window)
        assert not seen.completed
        if fine:
            cache.asked[n].settle(n)
        else:
            cache.asked[n].fail(Refused("no"))
    assert [what[1]["value"] for what in cache.what] == list(range(len(fates)))
    assert seen.values == [n for n, fine in enumerate(fates) if fine]
    assert seen.completed


def test_a_full_window_refuses_or_keeps_what_comes() -> None:
    cache, source = FakeCache(), Subject[Any]()
    seen = Seen(source.pipe(fop.send(cache, window=1, waiting=1)))
    for n in range(3):
        source.on_next(n)
    assert isinstance(seen.error, Overloaded)
    assert "send.waiting" in str(seen.error)
    assert len(cache.asked) == 1


def test_unsubscribing_sends_and_watches_no_more() -> None:
    cache, source = FakeCache(), Subject[Any]()
    seen = Seen(source.pipe(fop.send(cache, window=1)))
    source.on_next(1)
    source.on_next(2)
    seen.subscription.dispose()
    assert cache.asked[0].watched == 0
    cache.asked[0].settle(None)
    assert len(cache.asked) == 1


def test_a_failure_in_a_window_is_told_where_nobody_takes_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for taken in (False, True):
        caplog.clear()
        cache = FakeCache()
        then = fop.isolate(fop.await_reply(), errors=lambda _: None) if taken else ops.map(id)
        with caplog.at_level(logging.ERROR):
            source: Subject[Any] = Subject()
            Seen(source.pipe(fop.send(cache, window=1), then))
            source.on_next(1)
            cache.asked[0].fail(Refused("no such thing"))
        assert ("no such thing" in caplog.text) is not taken


def test_what_a_window_cannot_send_leaves_its_room_to_the_next() -> None:
    cache = FakeCache()
    cache.refuse = lambda what: ValueRefused("value", "no") if what[1]["value"] == 1 else None
    chain = fop.isolate(fop.send(cache, window=1), errors=lambda _: None)
    seen = Seen(reactivex.of(1, 2).pipe(chain))
    assert [what[1]["value"] for what in cache.what] == [2]
    assert seen.completed


def test_what_the_cache_refuses_goes_down_the_chain() -> None:
    cache = FakeCache()
    cache.refuse = lambda what: ValueRefused("value", "no") if what[1]["value"] == 2 else None
    seen = Seen(reactivex.of(1, 2, 3).pipe(fop.send(cache)))
    assert len(seen.values) == 1
    assert isinstance(seen.error, ValueRefused)


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    cache = FakeCache()
    refused("send.cache", lambda: fop.send(None))  # type: ignore[arg-type]
    refused("send.cache", lambda: fop.send("users"))  # type: ignore[arg-type]
    refused("send.type", lambda: fop.send(cache, ""))
    refused("send.type", lambda: fop.send(cache, 5))  # type: ignore[arg-type]
    refused("send.type", lambda: fop.send(cache, "x" * 256))
    refused("send.window", lambda: fop.send(cache, window=0))
    refused("send.waiting", lambda: fop.send(cache, window=1, waiting=-1))
    refused("send.value", lambda: fop.send(cache, value="email"))  # type: ignore[arg-type]
