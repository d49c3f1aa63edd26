"""The ring: owners, their balance, and what a change of members moves."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import mmh3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core.ring import CIRCLE, Ring, shard_of, shards_of
from rxfero.errors import ConfigurationError

SHARDS = 2048
SEEDS = tuple(range(20))
INTEGERS = range(10_000)
TEXTS = [f"{random.Random(f'key {i}').getrandbits(64):016x}" for i in range(20_000)]


def names_of(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return [f"{rng.getrandbits(32):08x}" for _ in range(count)]


def busiest(ring: Ring, keys: Iterable[str | int]) -> float:
    counts = Counter(ring.owner(key) for key in keys)
    return max(counts.values()) * len(ring) / sum(counts.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_the_busiest_of_ten_owns_at_most_a_quarter_more(seed: int) -> None:
    ring = Ring(names_of(seed, 10))
    assert busiest(ring, TEXTS) <= 1.25
    assert busiest(ring, INTEGERS) <= 1.25


@pytest.mark.parametrize("seed", SEEDS)
def test_a_join_moves_its_share_and_only_to_the_joiner(seed: int) -> None:
    names = names_of(seed, 11)
    before, after = Ring(names[:10]), Ring(names)
    moved = set(before.moved(after))
    assert {after.owners[shard] for shard in moved} == {names[10]}
    for keys in (TEXTS, INTEGERS):
        share = sum(shard_of(key, SHARDS) in moved for key in keys) / len(keys)
        assert share <= 1.3 / 11


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6, unique=True),
    st.integers(1, 64),
)
def test_owners_depend_on_the_set_of_members_only(members: list[str], shards: int) -> None:
    ring = Ring(members, vnodes=3, shards=shards)
    again = Ring([*reversed(members), members[0]], vnodes=3, shards=shards)
    assert ring == again
    assert hash(ring) == hash(again)
    assert ring.owners == again.owners
    assert ring.checksum == again.checksum
    assert sum(ring.shares().values()) == shards
    without = Ring(members[1:], vnodes=3, shards=shards)
    assert all(ring.owner_of_shard(s) == members[0] for s in ring.moved(without))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True))
def test_owners_are_those_of_the_first_point_at_or_after_the_shard(members: list[str]) -> None:
    ring = Ring(members, vnodes=2, shards=32)
    points = sorted((mmh3.hash(f"{m}:{i}", signed=False), m) for m in members for i in range(8))
    for shard, owner in enumerate(ring.owners):
        at = shard * CIRCLE // 32
        assert owner == next((m for place, m in points if place >= at), points[0][1])


def test_equal_hashes_go_to_the_lower_name() -> None:
    assert set(Ring(["b", "a", "c"], shards=8, hash=lambda _: 7).owners) == {"a"}


def test_no_members_no_owners() -> None:
    ring = Ring((), shards=4)
    assert ring.owners == (None,) * 4
    assert ring.owner("x") is None
    assert ring.shares() == {}
    assert len(ring) == 0


def test_the_checksum_tells_settings_apart() -> None:
    rings = [
        Ring("ab"),
        Ring("abc"),
        Ring("ab", vnodes=100),
        Ring("ab", shards=1024),
        Ring("ab", hash=lambda data: mmh3.hash(data, 1, signed=False)),
    ]
    assert len({ring.checksum for ring in rings}) == len(rings)
    assert len(set(rings)) == len(rings)
    assert all(0 <= ring.checksum < CIRCLE for ring in rings)
    assert Ring("ab") != "ab"
    assert "2" in repr(Ring("ab"))
    assert "a" in Ring("ab")


def test_a_key_hashes_as_its_text() -> None:
    assert shard_of(7, SHARDS) == shard_of("7", SHARDS) == mmh3.hash(b"7", signed=False) % SHARDS
    assert shard_of("naïve", SHARDS) == mmh3.hash("naïve".encode(), signed=False) % SHARDS
    assert shard_of(-3, SHARDS) == shard_of("-3", SHARDS)
    keys = [7, "7", "naïve", -3, "k"]
    assert shards_of(keys, SHARDS) == [shard_of(key, SHARDS) for key in keys]


def test_the_users_hash_replaces_ours_for_keys_and_points() -> None:
    seen: list[bytes] = []

    def sums(data: bytes) -> int:
        seen.append(data)
        return sum(data) % CIRCLE

    ring = Ring(["n"], vnodes=1, shards=8, hash=sums)
    assert seen[:4] == [b"n:0", b"n:1", b"n:2", b"n:3"]
    assert ring.owner("k") == "n"
    assert shard_of("k", 8, sums) == ord("k") % 8


@pytest.mark.parametrize("wrong", [-1, CIRCLE, 1.0, True, None, "7"])
def test_a_hash_that_gives_no_u32_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="hash="):
        Ring(["n"], shards=8, hash=lambda _: wrong)  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigurationError, match=r"2\*\*32-1"):
        shard_of("k", 8, lambda _: wrong)  # type: ignore[arg-type, return-value]


def test_equal_rings_are_laid_out_once() -> None:
    assert Ring(["x", "y"]).owners is Ring(["y", "x"]).owners
