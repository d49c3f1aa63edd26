"""The scan: every address a service may listen on, in an order of its own for each node."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random


def candidates(
    places: Iterable[tuple[str, int]], me: tuple[str, int], rng: Random
) -> list[tuple[str, int]]:
    """Give the places to try, without this node's own, shuffled so that nodes spread their dials."""
    others = [place for place in places if place != me]
    rng.shuffle(others)
    return others
