"""under: what is at a path or below it."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st

from rxfero import operators as fop
from rxfero.core.change import Change
from rxfero.errors import ValueRefused
from tests.operators.fake import Seen, refused

PATHS = st.lists(st.sampled_from(["a", "b", 1]), min_size=1, max_size=4).map(tuple)

TABLE: list[tuple[Any, Any, bool]] = [
    ("alice", "alice", True),
    ("alice", "alice.email", True),
    ("alice", "alicea", False),
    ("alice.email", "alice", False),
    ("alice.email", "alice.email", True),
    (("a@x.org", "email"), ("a@x.org", "email", 0), True),
    (("a@x.org",), "a@x.org", False),
    (1, (1, "x"), True),
    (1, "1", False),
]


@pytest.mark.parametrize(("path", "key", "passes"), TABLE)
def test_table(path: Any, key: Any, passes: bool) -> None:
    for item in (Change("update", key, 1), {"type": "x", "key": key}, (key, 1)):
        seen = Seen(reactivex.just(item).pipe(fop.under(path)))
        assert len(seen.values) == int(passes)


def test_messages_without_a_key_do_not_pass_and_other_items_are_refused() -> None:
    assert Seen(reactivex.just({"type": "x", "key": None}).pipe(fop.under("a"))).values == []
    assert isinstance(Seen(reactivex.just(5).pipe(fop.under("a"))).error, ValueRefused)


@given(st.lists(PATHS), PATHS)
def test_law_it_passes_what_begins_with_the_path(keys: list[Any], path: Any) -> None:
    source = reactivex.from_iterable([(key, None) for key in keys])
    seen = Seen(source.pipe(fop.under(path)))
    assert [key for key, _ in seen.values] == [k for k in keys if k[: len(path)] == path]


@given(st.lists(PATHS), PATHS, PATHS)
def test_law_what_is_under_a_deeper_path_is_under_the_upper_one(
    keys: list[Any], upper: Any, rest: Any
) -> None:
    source = reactivex.from_iterable([(key, None) for key in keys])
    deeper = Seen(source.pipe(fop.under(upper + rest))).values
    assert deeper == Seen(source.pipe(fop.under(upper), fop.under(upper + rest))).values


@given(st.lists(PATHS), PATHS)
def test_law_it_is_the_same_for_changes_messages_and_pairs(keys: list[Any], path: Any) -> None:
    kinds: list[Any] = [
        [Change("update", key, n) for n, key in enumerate(keys)],
        [{"key": key, "value": n} for n, key in enumerate(keys)],
        list(zip(keys, range(len(keys)), strict=True)),
    ]
    passed = [Seen(reactivex.from_iterable(kind).pipe(fop.under(path))).values for kind in kinds]
    assert [c.value for c in passed[0]] == [m["value"] for m in passed[1]]
    assert [c.value for c in passed[0]] == [n for _, n in passed[2]]


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    for wrong in (None, "", (), 1.5, ("a", None)):
        refused("under.path", lambda wrong=wrong: fop.under(wrong))
