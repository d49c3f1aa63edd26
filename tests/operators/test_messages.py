"""The messages: made of an item, checked when the chain is built."""

from __future__ import annotations

from rxfero.operators import attempts
from rxfero.operators.messages import sender
from tests.operators.fake import FakeCache, refused


def test_a_message_is_sent_and_can_be_sent_again() -> None:
    cache = FakeCache()
    again = attempts.again(sender("x", cache, "hi", lambda item: item, str)(5))
    assert again is not None
    again()
    assert cache.what == [("send", {"type": "hi", "key": 5, "value": "5"})] * 2


def test_the_operator_is_named() -> None:
    refused("x.type", lambda: sender("x", FakeCache(), "", None, None))
    refused("x.cache", lambda: sender("x", None, "hi", None, None))
    refused("x.value", lambda: sender("x", FakeCache(), "hi", None, 5))
