"""The ring: which member owns which shard, the same on every node that knows the same members.

Consistent hashing: every member puts many points on a circle of 2**32 positions, the shards sit
there at fixed, even positions, and a shard belongs to the member of the first point at or after it
(Karger et al. 1997). Keys hash to shards, so that a change of members moves whole shards, and only
to the joiner or from the leaver. A ring never changes: another set of members is another ring, and
equal sets give equal owners, whatever order they were named in.

The module does not know who is alive, nor that owning a shard takes more than the ring's word (a
takeover). It is the only one that knows the hash function.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import mmh3

from rxfero.errors import ConfigurationError
from rxfero.shown import Shown

Hash = Callable[[bytes], int]

POINTS_PER_VNODE = 4  # points a member puts on the ring for each of `dht.vnodes`
CIRCLE = 1 << 32


class Ring(Shown):
    """The owners of all shards for one set of members.

    Args:
        members: Names of the members, in any order; duplicates count once.
        vnodes: `constants.dht.vnodes`; a member puts four times as many points on the ring.
        shards: How many shards there are, at most 2**32.
        hash: Replaces mmh3 (32 bit); bytes to an integer in 0..2**32-1.

    Raises:
        ConfigurationError: `hash` gave something else than such an integer.

    Invariant: immutable; two rings of equal arguments are equal and have equal `owners`.
    """

    __slots__ = ("_hash", "checksum", "members", "owners", "shards", "vnodes")

    def __init__(
        self,
        members: Iterable[str],
        *,
        vnodes: int = 200,
        shards: int = 2048,
        hash: Hash | None = None,
    ) -> None:
        self.members: tuple[str, ...] = tuple(sorted(set(members)))
        self.vnodes, self.shards, self._hash = vnodes, shards, hash
        self.owners: tuple[str | None, ...] = _owners(self.members, vnodes, shards, hash)
        self.checksum: int = _checksum(self.members, vnodes, shards, hash)

    def owner_of_shard(self, shard: int) -> str | None:
        """Give the member that owns a shard; None when there are no members."""
        return self.owners[shard]

    def owner(self, key: str | int) -> str | None:
        """Give the member that owns a top-level key; None when there are no members."""
        return self.owners[shard_of(key, self.shards, self._hash)]

    def shares(self) -> dict[str, int]:
        """Give how many shards each member owns."""
        count = dict.fromkeys(self.members, 0)
        for owner in self.owners:
            if owner is not None:
                count[owner] += 1
        return count

    def moved(self, other: Ring) -> list[int]:
        """Give the shards that have another owner in `other`, a ring of as many shards."""
        pairs = zip(self.owners, other.owners, strict=True)
        return [shard for shard, (mine, theirs) in enumerate(pairs) if mine != theirs]

    def __len__(self) -> int:
        return len(self.members)

    def __contains__(self, member: object) -> bool:
        return member in self.members

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ring):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return (self.members, self.vnodes, self.shards, self._hash)

    def __repr__(self) -> str:
        return f"<Ring of {len(self.members)} checksum={self.checksum:08x}>"


def shard_of(
    key: str | int,
    shards: int,
    hash: Hash | None = None,
) -> int:
    """Give the shard of a top-level key: a hash of its text, so that 7 and "7" share one.

    Raises:
        ConfigurationError: a custom `hash` gave no integer in 0..2**32-1.
    """
    if hash is None:
        return mmh3.hash(key if isinstance(key, str) else str(key), 0, False) % shards
    return _hashed(str(key), hash) % shards


def shards_of(keys: Sequence[str | int], shards: int) -> list[int]:
    """Give the shards of several top-level keys, as :func:`shard_of` does without a custom hash."""
    hashed = mmh3.hash
    return [hashed(key if type(key) is str else str(key), 0, False) % shards for key in keys]


# --- the layout, made once for equal arguments: many nodes live in one process in tests


def _hashed(text: str, custom: Hash | None) -> int:
    if custom is None:
        return mmh3.hash(text, signed=False)
    value: object = custom(text.encode())
    if type(value) is not int or not 0 <= value < CIRCLE:
        raise ConfigurationError(
            "hash",
            custom,
            f"it gave {value!r} for {text!r}; give an integer in 0..2**32-1 for any bytes",
        )
    return value


@lru_cache(maxsize=256)
def _firsts(member: str, vnodes: int, shards: int, custom: Hash | None) -> array[int]:
    """Give the first point of a member at or after each shard; past 2**32, the next time round."""
    count = POINTS_PER_VNODE * vnodes
    places = sorted(_hashed(f"{member}:{i}", custom) for i in range(count))
    places.append(places[0] + CIRCLE)
    return array("Q", [places[bisect_left(places, s * CIRCLE // shards)] for s in range(shards)])


@lru_cache(maxsize=32)
def _owners(
    members: tuple[str, ...], vnodes: int, shards: int, custom: Hash | None
) -> tuple[str | None, ...]:
    if not members:
        return (None,) * shards
    # A member's part is made once: a swarm that starts changes its members as often as it is large.
    # Of equal points the first counts, so the tie goes to the lower name on every node.
    rows = zip(*[_firsts(member, vnodes, shards, custom) for member in members], strict=True)
    return tuple([members[row.index(min(row))] for row in rows])


@lru_cache(maxsize=32)
def _checksum(members: tuple[str, ...], vnodes: int, shards: int, custom: Hash | None) -> int:
    # The probe tells a node with another hash function apart from one with other members.
    probe = _hashed("rxfero", custom)
    return mmh3.hash("\0".join((str(vnodes), str(shards), str(probe), *members)), signed=False)
