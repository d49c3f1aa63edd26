"""The checks: how items are read that may be a change, a message or a pair."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero.core.change import Change
from rxfero.errors import ValueRefused
from rxfero.operators import checks

CHANGE = Change("add", "a.b", 7)
MESSAGE = {"type": "x", "key": "k", "value": 1}

READ: list[tuple[Any, Any, Any, Any, Any]] = [
    # item, key, value, content, type
    (CHANGE, "a.b", 7, 7, "add"),
    (MESSAGE, "k", MESSAGE, MESSAGE, "x"),
    (("k", 1), "k", 1, ("k", 1), None),
    (5, None, 5, 5, None),
    ([1, 2], None, [1, 2], [1, 2], None),
    ((1, 2, 3), None, (1, 2, 3), (1, 2, 3), None),
]


@pytest.mark.parametrize(("item", "key", "value", "content", "kind"), READ)
def test_table(item: Any, key: Any, value: Any, content: Any, kind: Any) -> None:
    if key is None:
        with pytest.raises(ValueRefused, match="give key="):
            checks.key_of(item)
    else:
        assert checks.key_of(item) == key
    assert checks.value_of(item) == value
    assert checks.content_of(item) == content
    assert checks.type_of(item) == kind


def test_an_attribute_is_a_key_of_a_dict() -> None:
    assert checks.attribute("x", "type")(CHANGE) == checks.attribute("x", "type")({"type": "add"})
    assert checks.attribute("x", str)(5) == "5"
