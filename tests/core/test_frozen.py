"""The frozen: no way to change one, and every way to get one that can be."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from rxfero.core.frozen import FrozenDict, FrozenList, thaw

SETS: list[Callable[[Any], Any]] = [
    lambda d: d.__setitem__("a", 2),
    lambda d: d.__delitem__("a"),
    lambda d: d.__ior__({"a": 2}),
    lambda d: d.clear(),
    lambda d: d.pop("a"),
    lambda d: d.pop("none", None),
    lambda d: d.popitem(),
    lambda d: d.setdefault("b", 1),
    lambda d: d.update({"a": 2}),
    lambda d: d.update(a=2),
]
LISTS: list[Callable[[Any], Any]] = [
    lambda x: x.__setitem__(0, 9),
    lambda x: x.__setitem__(slice(0, 1), [9]),
    lambda x: x.__delitem__(0),
    lambda x: x.__iadd__([1]),
    lambda x: x.__imul__(2),
    lambda x: x.append(1),
    lambda x: x.extend([1]),
    lambda x: x.insert(0, 1),
    lambda x: x.pop(),
    lambda x: x.remove(1),
    lambda x: x.clear(),
    lambda x: x.sort(),
    lambda x: x.sort(key=str, reverse=True),
    lambda x: x.reverse(),
]


@pytest.mark.parametrize("change", SETS)
def test_a_frozen_dict_refuses_every_change_and_says_what_to_do(change: Any) -> None:
    frozen = FrozenDict({"a": 1})
    with pytest.raises(TypeError, match=r"read-only snapshot.*cache\.update.*\.copy\(\)"):
        change(frozen)
    assert frozen == {"a": 1}


@pytest.mark.parametrize("change", LISTS)
def test_a_frozen_list_refuses_every_change_and_says_what_to_do(change: Any) -> None:
    frozen = FrozenList([1, 2])
    with pytest.raises(TypeError, match=r"read-only snapshot.*cache\.update.*\.copy\(\)"):
        change(frozen)
    assert frozen == [1, 2]


def test_no_changing_method_of_the_plain_ones_is_forgotten() -> None:
    reads = {
        dict: {"copy", "fromkeys", "get", "items", "keys", "values"},
        list: {"copy", "count", "index"},
    }
    for kind, frozen in ((dict, FrozenDict), (list, FrozenList)):
        named = {name for name in dir(kind) if not name.startswith("_")} - reads[kind]
        for name in named | {"__setitem__", "__delitem__"}:
            assert getattr(frozen, name) is not getattr(kind, name), f"{kind.__name__}.{name}"


def test_the_operators_that_change_in_place_are_refused() -> None:
    items, row = FrozenList([1]), FrozenDict(a=1)
    with pytest.raises(TypeError):
        items += [2]
    with pytest.raises(TypeError):
        row |= {"b": 2}
    with pytest.raises(TypeError):
        del items[0]


def nested() -> FrozenDict:
    return FrozenDict(users=FrozenList([FrozenDict(name="a", tags=FrozenList(["x"]))]), n=1)


COPIES: list[Callable[[Any], Any]] = [
    lambda value: value.copy(),
    copy.copy,
    copy.deepcopy,
    thaw,
    lambda value: pickle.loads(pickle.dumps(value)),
]


@pytest.mark.parametrize("make", COPIES)
def test_a_copy_is_plain_all_the_way_down(make: Any) -> None:
    value = nested()
    made = make(value)
    assert made == value
    made["users"][0]["tags"].append("y")
    made["users"].append(1)
    made["n"] = 2
    assert type(made) is dict
    assert type(made["users"][0]["tags"]) is list
    assert value == nested()


@pytest.mark.parametrize("make", COPIES)
def test_a_copy_of_a_list_is_plain_all_the_way_down(make: Any) -> None:
    made = make(FrozenList([nested()]))
    assert type(made) is list
    assert type(made[0]) is dict
    made[0]["users"][0]["name"] = "b"


def test_thaw_goes_through_plain_containers_and_leaves_scalars() -> None:
    part = FrozenList([nested(), nested()])[1:]  # a slice is a plain list of frozen items
    made = thaw(part)
    made[0]["n"] = 5
    assert part[0]["n"] == 1
    assert thaw("text") == "text"
    assert thaw(None) is None


def test_they_are_what_they_hold_wherever_a_plain_one_is_asked_for() -> None:
    value = nested()
    assert repr(value) == repr(thaw(value))
    assert json.loads(json.dumps(value)) == thaw(value)
    match value:
        case {"users": [{"name": name}]}:
            assert name == "a"
        case _:
            pytest.fail("a frozen dict must match a mapping pattern")
    assert value | {"n": 2} == {**value, "n": 2}
    assert FrozenList([1]).__add__([2]) == [1, 2]
    assert sorted(FrozenList([2, 1])) == [1, 2]


@pytest.mark.parametrize("make", [FrozenDict, FrozenList])
def test_the_mark_is_false_until_it_is_set(make: Any) -> None:
    one, other = make(), make()
    assert one.shared is False
    one.shared = True
    assert one.shared is True
    assert other.shared is False
    assert make(one).shared is False  # a copy of a level has a mark of its own


@pytest.mark.parametrize("make", [FrozenDict, FrozenList])
def test_they_have_no_other_attributes(make: Any) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'email'"):
        _ = make().email
    with pytest.raises(AttributeError):
        make().email = 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(make())
