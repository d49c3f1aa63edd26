"""The tree: copies one shared level at a time, and touches nothing beside the path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core import tree
from rxfero.core.change import DATA, Record
from rxfero.core.position import ZERO_TERM
from rxfero.core.tree import ABSENT, Tree
from rxfero.core.value import FrozenDict, FrozenList, pack, unpack
from rxfero.errors import WrongType


def fresh(value: Any) -> Any:
    return unpack(pack(value))


def put(root: Any, path: tuple[str | int, ...], value: Any, *, adds: bool = False) -> Any:
    return tree.put(root, path, value, adds=adds)


def nodes(value: Any) -> Iterator[Any]:
    if isinstance(value, FrozenDict | FrozenList):
        yield value
        for child in value.values() if isinstance(value, FrozenDict) else value:
            yield from nodes(child)


def test_writes_without_a_reader_change_in_place() -> None:
    root = fresh({"a": {"b": [1, 2]}, "c": {}})
    before = {id(node) for node in nodes(root)}
    assert put(root, ("a", "b", 1), 3) is root
    assert put(root, ("a", "b", 2), 4) is root
    assert tree.without(root, ("a", "b", 0)) is root
    assert root == {"a": {"b": [3, 4]}, "c": {}}
    assert {id(node) for node in nodes(root)} == before


def test_a_readers_node_is_copied_one_level_at_a_time() -> None:
    root = fresh({"a": {"b": {"x": 1}, "c": {"x": 2}}, "d": {"x": 3}})
    held = tree.share(root["a"])
    after = put(root, ("a", "b", "x"), 9)
    assert after is root, "nobody holds the root"
    assert held == {"b": {"x": 1}, "c": {"x": 2}}
    assert after["a"] == {"b": {"x": 9}, "c": {"x": 2}}
    assert after["a"]["c"] is held["c"], "beside the path nothing is copied"
    assert not after["d"].shared
    put(after, ("a", "c", "x"), 8)
    assert held["c"] == {"x": 2}


def lines_run(action: Callable[[], object]) -> int:
    """Count the lines of Python that an action runs: the same on every machine."""
    count = 0

    def trace(*_: object) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("path", [("k7", "x", 0), ("k7", "y"), ("new", "x"), ("k3",)])
def test_a_write_costs_the_same_in_a_wide_value(path: tuple[str | int, ...]) -> None:
    costs: set[int] = set()
    for width in (10, 10_000):
        root = fresh({f"k{i}": {"x": [i]} for i in range(width)})
        before = {id(node) for node in nodes(root)}
        costs.add(lines_run(lambda root=root: put(root, path, 1)))
        costs.add(lines_run(lambda root=root: put(root, path, 2)))
        assert tree.find(root, path) == 2
        if path != ("k3",):
            assert before <= {id(node) for node in nodes(root)}, "nothing was copied"
    assert len(costs) <= 2, "the first write may make a level, at any width"
    assert max(costs) < 100


def test_after_a_read_a_level_is_copied_once() -> None:
    root = fresh({f"k{i}": {"x": [i]} for i in range(1000)})
    held = tree.share(root)
    after = put(root, ("k7", "x", 0), -1)
    assert after is not held
    assert held["k7"] == {"x": [7]}
    assert all(after[f"k{i}"] is held[f"k{i}"] for i in range(1000) if i != 7)
    cheap = lines_run(lambda: put(after, ("k7", "x", 0), -2))
    assert cheap < 100
    assert after["k7"] == {"x": [-2]}


def test_missing_levels_become_maps_and_so_do_scalars() -> None:
    assert put(ABSENT, ("a", 0, "b"), 1) == {"a": {0: {"b": 1}}}
    assert put(fresh({"a": 5}), ("a", "b"), 1) == {"a": {"b": 1}}
    assert put(fresh({"a": None}), ("a", 0), 1, adds=True) == {"a": {0: 1}}
    assert put(5, ("a",), 1) == {"a": 1}
    assert put(fresh({"a": 1}), (), 2) == 2
    assert put(fresh([1]), (1, "a"), 2) == [1, {"a": 2}]


def test_adding_item_0_of_nothing_makes_a_list() -> None:
    assert put(ABSENT, (0,), 1, adds=True) == [1]
    assert put(ABSENT, ("a", 0), 1, adds=True) == {"a": [1]}
    assert put(fresh([]), (0, 0), 1, adds=True) == [[1]]
    assert put(ABSENT, ("0",), 1, adds=True) == {"0": 1}
    assert put(ABSENT, (1,), 1, adds=True) == {1: 1}
    assert put(ABSENT, (0, "a"), 1, adds=True) == {0: {"a": 1}}
    assert put(fresh({}), (0,), 1, adds=True) == {0: 1}


@pytest.mark.parametrize("element", [-1, 3, "3", "-1", "x", "", "1.0", "²", "9" * 30, 10**30])
def test_what_is_no_index_is_refused_and_changes_nothing(element: str | int) -> None:
    root = fresh({"l": [1, {}]})
    tree.share(root["l"])
    for path in (("l", element), ("l", element, "x")):
        with pytest.raises(WrongType, match="list of 2 items"):
            tree.settle(root, path)
        with pytest.raises(WrongType, match="list of 2 items"):
            put(root, path, 9)
        assert tree.without(root, path) is root
        assert tree.find(root, path) is ABSENT
    assert root == {"l": [1, {}]}


def test_paths_settle_to_indices() -> None:
    root = fresh({"l": [{"m": [1]}], "d": {"0": 1}})
    assert tree.settle(root, ("l", "0", "m", "1")) == (("l", 0, "m", 1), True)
    assert tree.settle(root, ("l", "00")) == (("l", 0), True)
    assert tree.settle(root, ("l", 1, "0")) == (("l", 1, "0"), True)
    assert tree.settle(root, ("d", "0")) == (("d", "0"), False)
    assert tree.settle(root, ("d", "0", "x", "1")) == (("d", "0", "x", "1"), False)
    path = ("l", 0, "m", 0)
    assert tree.settle(root, path)[0] is path
    assert tree.settle(5, ("a", "b")) == (("a", "b"), False)


def test_find_and_without() -> None:
    root = fresh({"l": [1, [2, 3]], "n": None})
    assert tree.find(root, ()) is root
    assert tree.find(root, ("l", "1", 0)) == 2
    assert tree.find(root, ("n",)) is None
    for path in (("x",), ("n", "x"), ("l", 2), ("l", 0, "x"), ("l", 1, "x")):
        assert tree.find(root, path) is ABSENT
        assert tree.without(root, path) is root
    held = tree.share(root)
    after = tree.without(root, ("l", "1", "0"))
    assert after == {"l": [1, [3]], "n": None}
    assert held == {"l": [1, [2, 3]], "n": None}
    assert tree.without(after, ("n",)) == {"l": [1, [3]]}
    assert repr(ABSENT) == "ABSENT"


@given(
    st.recursive(
        st.integers(-9, 9),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=1), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_levels_are_the_containers_on_the_longest_way_down(value: Any) -> None:
    def deep(node: Any) -> int:
        children = node.values() if isinstance(node, dict) else node
        return 1 + max(map(deep, children), default=0) if isinstance(node, dict | list) else 0

    assert tree.levels(fresh(value)) == deep(value)


def test_a_tree_opens_a_record() -> None:
    record = Record(ZERO_TERM, 3, DATA, "s", 4, "k", "update", pack([1]), 5, None, 6)
    opened = Tree.of(record)
    assert opened.root == [1]
    assert (opened.number, opened.sid, opened.seq, opened.hlc, opened.expires) == (3, "s", 4, 5, 6)
    assert repr(opened) == "<Tree FrozenList number=3>"
