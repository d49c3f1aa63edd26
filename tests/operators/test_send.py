"""send: one message an item, with the key and the value that were chosen."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st

from rxfero import operators as fop
from rxfero.core.change import Change
from rxfero.errors import ValueRefused
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
    refused("send.value", lambda: fop.send(cache, value="email"))  # type: ignore[arg-type]
