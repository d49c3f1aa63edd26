"""The part: who follows a path has what is there, whatever was written at, below or above it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject

from rxfero import fero
from rxfero.core.change import Change
from rxfero.core.state import State
from rxfero.errors import ConfigurationError, RxferoError
from rxfero.part import under_path
from rxfero.testing import FakeCache

STEPS = st.sampled_from(["a", "b", 0, 1])
PATHS = st.lists(STEPS, min_size=1, max_size=3).map(tuple)
LEAVES = st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2)
VALUES = LEAVES | st.dictionaries(st.sampled_from("ab"), LEAVES, max_size=2)
WRITES = st.tuples(st.sampled_from(["update", "remove", "push", "patch"]), PATHS, VALUES)


def seen_of(path: Any, *changes: Change) -> list[tuple[str, Any, Any]]:
    source: Subject[Change] = Subject()
    seen: list[tuple[str, Any, Any]] = []
    under_path(source, path, "change").subscribe(lambda c: seen.append((c.type, tuple(c.key), c.value)))
    for change in changes:
        source.on_next(change)
    return seen


def test_at_the_path_and_below_a_change_stays_as_it_is() -> None:
    changes = [Change("update", "a.b", 1), Change("add", "a.b.c", 2), Change("remove", "a.b")]
    assert seen_of("a.b", *changes) == [
        ("update", ("a", "b"), 1), ("add", ("a", "b", "c"), 2), ("remove", ("a", "b"), None),
    ]  # fmt: skip
    assert seen_of("a.b", Change("update", "a.c", 1), Change("update", "x", 1)) == []


@pytest.mark.parametrize(
    ("above", "becomes"),
    [
        (Change("update", "a", {"b": 7}), [("update", ("a", "b"), 7)]),
        (Change("update", "a", {"c": 7}), [("remove", ("a", "b"), None)]),
        (Change("update", "a", 7), [("remove", ("a", "b"), None)]),
        (Change("remove", "a"), [("remove", ("a", "b"), None)]),
        (Change("patch", "a", {"b": 1, "c": 2}), [("update", ("a", "b"), 1)]),
        (Change("patch", "a", {"c": 2}), []),
        (Change("patch", "a", {"b.x": 1, "c": 2}), [("patch", ("a", "b"), [["x"], 1])]),
        (Change("patch", "a", [["b", {"x": 1}], ["b.y", 2]]),
         [("update", ("a", "b"), {"x": 1, "y": 2})]),
        (Change("patch", "a", 5), []),
    ],
    ids=repr,
)  # fmt: skip
def test_above_the_path_a_change_is_what_it_does_there(above: Change, becomes: list[Any]) -> None:
    got = seen_of("a.b", above)
    if becomes and becomes[0][0] == "patch":
        assert got == [("patch", ("a", "b"), [becomes[0][2]])]
    else:
        assert got == becomes


@given(st.lists(WRITES, max_size=12), PATHS)
def test_the_fold_of_the_part_is_the_part_of_the_state(writes: list[Any], path: Any) -> None:
    users, folded = FakeCache(), State()
    users.on("change", lambda change: folded.apply(change.record), under=path)
    for verb, key, value in writes:
        try:
            match verb:
                case "remove":
                    users.remove(key)
                case "push":
                    users.push(key, value)
                case "patch":
                    users.patch(key, {"a": value, "b.a": 1})
                case _:
                    users.update(key, value)
        except RxferoError:
            continue
    assert folded.at(path, "nothing") == users.at(path, "nothing")


async def test_state_and_what_follows_under_a_path() -> None:
    async with fero("users", ports=None) as users:
        await users.update("alice", {"email": "a@x.org", "age": 7})
        await users.update("bob", {"email": "b@x.org"})
        seen: list[Any] = []
        users.on("change", lambda c: seen.append((c.type, c.value)), since="state",
                 under="alice.email")  # fmt: skip
        await users.update("alice.age", 8)
        await users.update("alice.email", "new@x.org")
        await users.remove("alice")
        assert seen == [("update", "a@x.org"), ("update", "new@x.org"), ("remove", None)]


async def test_what_is_no_path_or_has_none_is_refused() -> None:
    users = FakeCache()
    for event, path in (("change", 1.5), ("change", ""), ("status", "a")):
        with pytest.raises(ConfigurationError, match="under"):
            users.on(event, under=path)
