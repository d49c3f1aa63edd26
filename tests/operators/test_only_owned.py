"""only_owned: a cluster reacts once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject

from rxfero import operators as fop
from rxfero.core.change import Change
from tests.operators.fake import FakeCache, Seen, refused

KEYS = st.sampled_from(["a", "b", "c", "d"])


def changes(keys: list[str]) -> list[Change]:
    return [Change("update", key, n) for n, key in enumerate(keys)]


@given(st.lists(KEYS), st.sets(KEYS))
def test_law_it_passes_what_is_owned_here(keys: list[str], owned: set[str]) -> None:
    cache = FakeCache()
    cache.peers.owned = owned
    seen = Seen(reactivex.from_iterable(changes(keys)).pipe(fop.only_owned(cache)))
    assert [c.partition for c in seen.values] == [k for k in keys if k in owned]


@given(st.lists(KEYS), st.dictionaries(KEYS, st.integers(0, 2)))
def test_law_of_all_servers_exactly_one_reacts(keys: list[str], owners: dict[str, int]) -> None:
    source = reactivex.from_iterable(changes(keys))
    reactions: list[Any] = []
    for server in range(3):
        cache = FakeCache()
        cache.peers.owned = {key for key, owner in owners.items() if owner == server}
        reactions += Seen(source.pipe(fop.only_owned(cache))).values
    assert sorted(c.value for c in reactions) == [n for n, k in enumerate(keys) if k in owners]


def test_the_owner_is_asked_when_the_change_comes_by() -> None:
    cache, source = FakeCache(), Subject[Any]()
    seen = Seen(source.pipe(fop.only_owned(cache)))
    source.on_next(Change("add", "a", 1))
    cache.peers.owned = {"a"}
    source.on_next(Change("add", "a", 2))
    assert [c.value for c in seen.values] == [2]


def test_nothing_passes_on_a_client() -> None:
    cache = FakeCache()
    cache.peers.me = False
    cache.peers.owned = {"a"}
    assert Seen(reactivex.just(Change("add", "a", 1)).pipe(fop.only_owned(cache))).values == []


@given(st.lists(KEYS), st.lists(st.sets(KEYS), min_size=1, max_size=6))
def test_law_it_is_asked_when_a_change_comes(keys: list[str], owned: list[set[str]]) -> None:
    cache, source = FakeCache(), Subject[Any]()
    seen = Seen(source.pipe(fop.only_owned(cache)))
    expected: list[int] = []
    for n, change in enumerate(changes(keys)):
        cache.peers.owned = owned[n % len(owned)]
        expected += [n] if change.partition in cache.peers.owned else []
        source.on_next(change)
    assert [c.value for c in seen.values] == expected


def test_arguments_are_checked_when_the_chain_is_built() -> None:
    refused("only_owned.cache", lambda: fop.only_owned(None))  # type: ignore[arg-type]
    half: Any = SimpleNamespace(peers=SimpleNamespace(owner=lambda _: None))
    refused("only_owned.cache", lambda: fop.only_owned(half))
