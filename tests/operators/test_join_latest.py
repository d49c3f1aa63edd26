"""join_latest: the latest of both sides, key by key."""

from __future__ import annotations

from typing import Any

import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject
from reactivex.testing.marbles import marbles_testing

from rxfero import operators as fop
from rxfero.core.change import Change
from rxfero.operators import Joined
from tests.operators.fake import Seen, refused

SCRIPT = st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.integers()))


def fed(script: list[Any], **options: Any) -> Seen:
    left, right = Subject[Any](), Subject[Any]()
    seen = Seen(left.pipe(fop.join_latest(right, **options)))
    for on_left, *pair in script:
        (left if on_left else right).on_next(tuple(pair))
    left.on_completed()
    assert not seen.completed
    right.on_completed()
    assert seen.completed
    return seen


def test_marbles() -> None:
    one, two = Joined("k", "a", "x"), Joined("k", "b", "x")
    with marbles_testing() as (start, cold, hot, exp):
        left, right = cold("a----b--|", None, None), hot("--x--------|", None, None)
        chain = left.pipe(fop.join_latest(right, key=lambda _: "k"))
        assert start(chain) == exp("--p--q-----|", {"p": one, "q": two}, None)


@given(SCRIPT)
def test_law_each_item_meets_the_latest_of_the_other_side(script: list[Any]) -> None:
    expected: list[Any] = []
    sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for on_left, key, value in script:
        sides[not on_left][key] = (key, value)
        if key in sides[0] and key in sides[1]:
            expected.append((key, sides[0][key], sides[1][key]))
    assert fed(script).values == expected


@given(SCRIPT)
def test_law_keys_do_not_see_each_other(script: list[Any]) -> None:
    every = fed(script).values
    for key in "abc":
        assert [j for j in every if j.key == key] == fed([s for s in script if s[1] == key]).values


@given(SCRIPT)
def test_law_the_sides_are_alike(script: list[Any]) -> None:
    turned = fed([(not on_left, *pair) for on_left, *pair in script]).values
    assert [(j.key, j.right, j.left) for j in turned] == fed(script).values


@given(
    st.lists(st.sampled_from(["add", "update", "remove"])), st.lists(st.integers(0, 9), max_size=3)
)
def test_law_a_removed_side_is_not_there(types: list[str], later: list[int]) -> None:
    right: Subject[Any] = Subject()
    changes = [Change(kind, "k", n) for n, kind in enumerate(types)]
    seen = Seen(
        reactivex.concat(reactivex.from_iterable(changes), reactivex.never()).pipe(
            fop.join_latest(right)
        )
    )
    for value in later:
        right.on_next(Change("add", "k", value))
    there = bool(types) and types[-1] != "remove"
    assert [j.right.value for j in seen.values] == (later if there else [])


def test_keys_of_their_own() -> None:
    left, right = Subject[Any](), Subject[Any]()
    chain = left.pipe(fop.join_latest(right, key="mail", other_key=lambda text: text.lower()))
    seen = Seen(chain)
    left.on_next({"mail": "a@x"})
    right.on_next("A@X")
    assert seen.values == [("a@x", {"mail": "a@x"}, "A@X")]


def test_a_failure_of_either_ends_it_and_unsubscribing_leaves_both() -> None:
    for which in (0, 1):
        sides = Subject[Any](), Subject[Any]()
        seen = Seen(sides[0].pipe(fop.join_latest(sides[1])))
        sides[which].on_error(ValueError("no"))
        assert str(seen.error) == "no"
        assert sides[1 - which].observers == []
    sides = Subject[Any](), Subject[Any]()
    Seen(sides[0].pipe(fop.join_latest(sides[1]))).subscription.dispose()
    assert sides[0].observers == sides[1].observers == []


def test_a_key_that_raises_fails() -> None:
    right: Subject[Any] = Subject()
    assert Seen(reactivex.of(5).pipe(fop.join_latest(right))).error is not None


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    other: Subject[Any] = Subject()
    refused("join_latest.other", lambda: fop.join_latest(5))  # type: ignore[arg-type]
    refused("join_latest.key", lambda: fop.join_latest(other, 5))  # type: ignore[arg-type]
    refused("join_latest.other_key", lambda: fop.join_latest(other, None, 5))  # type: ignore[arg-type]
