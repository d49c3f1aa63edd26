"""The tree: one opened value, and writes below it that never change what a reader holds.

A reader gets a node itself, marked `shared`; all below it is shared too, marked or not. A write
walks down from the root. A node on its way that is shared is replaced by a copy of that one level,
and the containers in the copy are marked, because the reader still has them; a node that is not
shared is changed in place. So a write costs O(length of its path) when nobody has read since, and
otherwise the width of the levels on its way, once.

The functions know plain nodes and paths below the top-level key, nothing of records and verbs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from rxfero.core.change import Record
from rxfero.core.value import FrozenDict, FrozenList, unpack
from rxfero.errors import WrongType

Steps = tuple[str | int, ...]

DIGITS = 18  # more digits than any list has items


class _Absent:
    """The type of ABSENT: nothing is there, which is not the same as None."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


class Tree:
    """A top-level key's value, opened, with the stamp of the newest write to it."""

    __slots__ = ("expires", "hlc", "number", "root", "seq", "sid")

    def __init__(
        self, root: Any, number: int = 0, hlc: int = 0, sid: str = "", seq: int = 0,
        expires: int = 0,
    ) -> None:  # fmt: skip
        self.root = root
        self.number, self.hlc, self.sid, self.seq, self.expires = number, hlc, sid, seq, expires

    @classmethod
    def of(cls, record: Record) -> Tree:
        """Open a record that set the whole key."""
        return cls(
            unpack(record.value), record.number, record.hlc, record.sid, record.seq, record.expires
        )

    def __repr__(self) -> str:
        return f"<Tree {type(self.root).__name__} number={self.number}>"


def share(node: Any) -> Any:
    """Give a node to a reader: it never changes from now on."""
    if type(node) is FrozenDict or type(node) is FrozenList:
        node.shared = True
    return node


def find(root: Any, path: Steps) -> Any:
    """Give what is at a path, or ABSENT."""
    node = root
    for element in path:
        node = _child(node, element)
        if node is ABSENT:
            break
    return node


def settle(root: Any, path: Steps) -> tuple[Steps, bool]:
    """Say how a write to a path would be logged.

    Returns:
        The path with list indices as integers, and whether it crosses a list.
    Raises:
        WrongType: an element that is no index of the list it meets, nor the one after the last.
    """
    node, crossed, settled = root, False, path
    for depth, element in enumerate(path):
        if type(node) is FrozenList:
            at = _index(element, len(node))
            if at is None:
                raise WrongType(_refusal(path[: depth + 1], len(node)))
            crossed = True
            if at != element or type(element) is not int:
                settled = (*settled[:depth], at, *settled[depth + 1 :])
            element = at
        elif type(node) is not FrozenDict:
            break
        node = _child(node, element)
    return settled, crossed


def put(root: Any, path: Steps, value: Any, *, adds: bool) -> Any:
    """Give the root after a write.

    Args:
        root: The root as it is, or ABSENT.
        path: Below the root; () replaces it.
        value: Fresh, held by nobody else.
        adds: Item 0 of nothing makes a list instead of a map.
    Raises:
        WrongType: as :func:`settle`; the value is as it was.
    """
    if not path:
        return value
    last = len(path) - 1
    lists = adds and type(path[last]) is int and path[last] == 0
    top = node = _own(root, as_list=lists and last == 0)
    for depth, element in enumerate(path):
        at = element
        if type(node) is FrozenList:
            index = _index(element, len(cast("list[Any]", node)))
            if index is None:
                raise WrongType(_refusal(path[: depth + 1], len(cast("list[Any]", node))))
            at = index
        if depth == last:
            _store(node, at, value)
            break
        child = _child(node, at)
        owned = _own(child, as_list=lists and depth == last - 1)
        if owned is not child:
            _store(node, at, owned)
        node = owned
    return top


def without(root: Any, path: Steps) -> Any:
    """Give the root after the removal of what is at a path of at least one element."""
    if find(root, path) is ABSENT:
        return root
    top = node = _own(root)
    for element in path[:-1]:
        child = _child(node, element)
        owned = _own(child)
        if owned is not child:
            _store(node, _place(node, element), owned)
        node = owned
    at = _place(node, path[-1])
    if type(node) is FrozenList:
        _list_del(node, cast("int", at))
    else:
        _dict_del(node, at)
    return top


def levels(value: Any) -> int:
    """Give how many containers deep a value is; 0 for a scalar."""
    deep, layer = 0, [value]
    while layer := [node for node in layer if isinstance(node, FrozenDict | FrozenList)]:
        deep += 1
        layer = [child for node in layer for child in _children(node)]
    return deep


# --- one level; the plain containers' own methods, which the frozen ones refuse to readers

_dict_set, _dict_del = dict[Any, Any].__setitem__, dict[Any, Any].__delitem__
_list_set, _list_del = list[Any].__setitem__, list[Any].__delitem__
_list_append = list[Any].append


def _children(node: FrozenDict | FrozenList) -> Iterable[Any]:
    return node.values() if isinstance(node, FrozenDict) else node


def _own(node: Any, *, as_list: bool = False) -> Any:
    """Give the node if it may be changed in place, else what stands in for it."""
    if type(node) is FrozenDict:
        if not node.shared:
            return node
        copy = FrozenDict(node)
        children = copy.values()
    elif type(node) is FrozenList:
        if not node.shared:
            return node
        copy = FrozenList(node)
        children = copy
    elif as_list and node is ABSENT:
        return FrozenList()
    else:
        return FrozenDict()
    for child in children:
        if type(child) is FrozenDict or type(child) is FrozenList:
            child.shared = True
    return copy


def _child(node: Any, element: str | int) -> Any:
    if type(node) is FrozenDict:
        return node.get(element, ABSENT)
    if type(node) is FrozenList:
        at = _index(element, len(node))
        return ABSENT if at is None or at == len(node) else node[at]
    return ABSENT


def _store(node: Any, at: str | int, value: Any) -> None:
    if type(node) is FrozenDict:
        _dict_set(node, at, value)
    elif at == len(node):
        _list_append(node, value)
    else:
        _list_set(node, cast("int", at), value)


def _place(node: Any, element: str | int) -> str | int:
    if type(node) is FrozenList:
        at = _index(element, len(cast("list[Any]", node)))
        assert at is not None, "an element that was found is an index"
        return at
    return element


def _index(element: str | int, length: int) -> int | None:
    """Give an element as an index of a list, its length included; None if it is none."""
    if type(element) is str:
        if not (element.isascii() and element.isdigit() and len(element) <= DIGITS):
            return None
        element = int(element)
    return cast("int", element) if 0 <= cast("int", element) <= length else None


def _refusal(path: Steps, length: int) -> str:
    where = ".".join(map(str, path))
    return f"{where}: no index of a list of {length} items, nor {length} to append"
