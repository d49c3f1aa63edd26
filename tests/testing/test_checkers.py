"""The checkers: each lets good histories pass, and names what is wrong with bad ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.testing.checkers import (
    RESET,
    UNKNOWN,
    Operation,
    Seen,
    Violation,
    bounded,
    converged,
    gap_free,
    in_order,
    kept,
    linearizable,
    one_owner,
    prefix_of,
)


def w(value: Any, begun: float, ended: float = UNKNOWN, key: str = "k") -> Operation:
    return Operation(key, "write", value, begun, ended)


def r(value: Any, begun: float, ended: float, key: str = "k") -> Operation:
    return Operation(key, "read", value, begun, ended)


def s(number: int, shard: int = 0, sender: str = "a", seq: int = 0, key: str = "k") -> Seen:
    return Seen(shard, number, sender, seq or number, key)


def nan() -> float:
    return float("nan")  # each another object: nothing is equal to it, itself neither


LOG = [s(2), s(3), s(7), s(1, 1), s(9), s(4, 1)]

GOOD: list[tuple[Callable[..., None], tuple[Any, ...]]] = [
    (converged, ({},)),
    (converged, ({"a": {1: 2}, "b": {1: 2}},)),
    (kept, ([], [])),
    (kept, ([("a", 1)], [("a", 1), ("b", 1), ("a", 2)])),
    (in_order, ([s(1), s(2), s(3, sender="b", seq=1), s(4, key="other", seq=1)],)),
    (gap_free, ([], LOG)),
    (gap_free, ([s(2), s(3), s(1, 1), s(7), s(9)], LOG)),
    (gap_free, ([s(7), s(9)], LOG)),
    (gap_free, ([s(2), (RESET, 0, 7), s(9), s(4, 1)], LOG)),
    (gap_free, ([s(2), (RESET, 0, 6), s(7)], LOG)),
    (prefix_of, ({}, [("k", 1)])),
    (prefix_of, ({"k": 1}, [("k", 1), ("k", 2)])),
    (prefix_of, ({"b": 1}, [("a", 1), ("b", 1), ("a", None)])),
    (one_owner, ([(1, 5, "a"), (1, 6, "b"), (2, 5, "b"), (1, 5, "a")],)),
    (bounded, ({"rss": 5.0, "other": 99.0}, {"rss": 5.0})),
    (linearizable, ([],)),
    (linearizable, ([r(None, 0, 1)],)),
    (linearizable, ([w(1, 0, 1), r(1, 2, 3)],)),
    (linearizable, ([w(1, 0, 5), r(None, 1, 2), r(1, 3, 4)],)),
    (linearizable, ([w(1, 0, 5), r(1, 1, 2)],)),
    (linearizable, ([w(1, 0), r(None, 3, 4), r(1, 5, 6)],)),
    (linearizable, ([w(1, 0), r(None, 3, 4)],)),
    (linearizable, ([w(1, 0, 9), w(2, 0, 9), r(2, 1, 2), r(1, 3, 4)],)),
    (linearizable, ([w(1, 0, 1, "x"), r(None, 2, 3, "y")],)),
    (linearizable, ([w(1, 0, 4), w(2, 1, 5), w(3, 2, 6), r(1, 3, 9), r(3, 7, 8)],)),
    (linearizable, ([w([1], 0, 1), r([1], 1.5, 2)],)),
    (converged, ({"a": {1: [nan()]}, "b": {1: [nan()]}},)),
    (prefix_of, ({"k": nan()}, [("k", nan()), ("k", 1)])),
    (linearizable, ([w(nan(), 0), r(nan(), 1, 2)],)),
]

BAD: list[tuple[Callable[..., None], tuple[Any, ...], str]] = [
    (converged, ({"a": 1, "b": 2},), "b differs from a"),
    (converged, ({"a": {1: [nan()]}, "b": {1: [nan(), nan()]}},), "b differs from a"),
    (converged, ({"a": nan(), "b": None},), "b differs from a"),
    (converged, ({"a": {}, "b": {}, "c": {1: 1}},), "c differs from a"),
    (kept, ([("a", 1)], []), "acknowledged and lost"),
    (kept, ([("a", 2), ("a", 3)], [("a", 1)]), "2 acknowledged and lost, first"),
    (kept, ([], [("a", 1), ("b", 1), ("a", 1)]), "took effect 2 times"),
    (in_order, ([s(1, seq=2), s(2, seq=1)],), "number 1 after 2"),
    (in_order, ([s(1, seq=1), s(2, seq=1)],), "number 1 after 1"),
    (gap_free, ([s(2), s(7)], LOG), "7 after 2, 3 was due"),
    (gap_free, ([s(3), s(2)], LOG), "2 after 3"),
    (gap_free, ([s(3), s(3)], LOG), "3 after 3"),
    (gap_free, ([s(5)], LOG), "0:5 is in no log"),
    (gap_free, ([s(1, 7)], LOG), "7:1 is in no log"),
    (gap_free, ([(RESET, 0, 3), s(9)], LOG), "9 after 3, 7 was due"),
    (gap_free, ([(RESET, 0, 7), s(7)], LOG), "7 after 7"),
    (gap_free, ([s(2), (RESET, 1, 1), s(7)], LOG), "3 was due"),
    (gap_free, ([s(1, 1), s(2), s(4, 1), s(9)], LOG), "9 after 2"),
    (prefix_of, ({"k": 3}, [("k", 1), ("k", 2)]), "never at"),
    (prefix_of, ({"a": 1, "b": 1}, [("a", 1), ("a", 2), ("b", 1)]), "never at"),
    (prefix_of, ({"b": 1}, [("a", 1), ("b", 1)]), "never at"),
    (one_owner, ([(1, 5, "a"), (1, 5, "b")],), "a and b"),
    (one_owner, ([(1, 5, "a"), (2, 5, "a"), (2, 5, "c")],), "term 5 of shard 2"),
    (bounded, ({"rss": 6.0}, {"rss": 5.0}), "rss is 6.0, the limit is 5.0"),
    (linearizable, ([r(1, 0, 1)],), "no order"),
    (linearizable, ([w(1, 0, 1), r(None, 2, 3)],), "no order of its 2"),
    (linearizable, ([w(1, 0, 1), w(2, 2, 3), r(1, 4, 5)],), "the best has 2"),
    (linearizable, ([w(1, 0, 9), r(1, 1, 2), r(None, 3, 4)],), "no order"),
    (linearizable, ([w(1, 0), r(1, 1, 2), r(None, 3, 4)],), "no order"),
    (linearizable, ([w(1, 0), r(1, 1, 2), w(2, 3, 4), r(1, 5, 6)],), "no order"),
    (linearizable, ([w(1, 0, 9), w(2, 0, 9), r(1, 1, 2), r(2, 3, 4), r(1, 5, 6)],), "no order"),
    (linearizable, ([w(1, 5, 6), r(1, 0, 1)],), "no order"),
    (linearizable, ([w(1, 0, 1, "x"), r(2, 2, 3, "x"), r(None, 2, 3, "y")],), "key 'x'"),
    (linearizable, ([w(1, 0, 1), w(2, 0, 1), r(1, 2, 3), r(2, 2, 3)],), "no order"),
]  # fmt: skip


@pytest.mark.parametrize(("checker", "given_"), GOOD)
def test_good_histories_pass(checker: Callable[..., None], given_: tuple[Any, ...]) -> None:
    checker(*given_)


@pytest.mark.parametrize(("checker", "given_", "says"), BAD)
def test_bad_histories_are_named(
    checker: Callable[..., None], given_: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(Violation, match=says) as caught:
        checker(*given_)
    assert caught.value.promise == checker.__name__


def test_a_figure_that_was_not_taken() -> None:
    with pytest.raises(KeyError):
        bounded({}, {"rss": 1.0})


def played(seed: int, operations: int, at_once: int) -> list[Operation]:
    """Give a history of a real register: each operation takes effect at some time within it."""
    rng = random.Random(seed)
    events: list[tuple[float, int]] = []
    spans: list[tuple[float, float, float]] = []
    now = 0.0
    for index in range(operations):
        begun = now + rng.random()
        ended = begun + rng.random() * at_once
        spans.append((begun, rng.uniform(begun, ended), ended))
        events.append((spans[-1][1], index))
        now += 1.0
    value: Any = None
    told: dict[int, Operation] = {}
    for _, index in sorted(events):
        begun, _, ended = spans[index]
        if rng.random() < 0.5:
            value = index
            told[index] = w(index, begun, UNKNOWN if rng.random() < 0.1 else ended)
        else:
            told[index] = r(value, begun, ended)
    return [told[i] for i in range(operations)]


@given(st.integers(0, 1 << 32), st.integers(1, 60), st.integers(1, 5))
def test_what_a_register_does_is_linearizable(seed: int, operations: int, at_once: int) -> None:
    linearizable(played(seed, operations, at_once))


@given(st.integers(0, 1 << 32), st.integers(4, 40))
def test_a_read_of_what_was_long_overwritten_is_not(seed: int, operations: int) -> None:
    history = played(seed, operations, 1)
    end = operations + 10.0
    linearizable([*history, w("last", end, end + 1), r("last", end + 2, end + 3)])
    with pytest.raises(Violation):
        linearizable([*history, w("last", end, end + 1), r(None, end + 2, end + 3)])


def test_a_long_history_is_judged() -> None:
    linearizable(played(1, 2_000, 4))
