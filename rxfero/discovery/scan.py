"""The scan: every address where a node of the cluster may listen, in an order of its own.

Nodes on one machine, or on a few known ones, find each other by trying all ports of a range. The
order is shuffled, so that nodes that start together do not all knock at the same door at once.

It does not connect, and takes its randomness as an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rxfero.discovery.hosts import Place

if TYPE_CHECKING:
    from random import Random


def candidates(
    places: Iterable[Place], own: tuple[str, int] | None, rng: Random
) -> list[tuple[str, int]]:
    """Give (host, port) of every place, each once and shuffled, without our own address.

    A node may still reach itself by another name of its host; the handshake notices that.
    """
    found = {(host, port): None for host, first, last in places for port in range(first, last + 1)}
    if own is not None:
        found.pop((own[0], own[1]), None)
    addresses = list(found)
    rng.shuffle(addresses)
    return addresses
