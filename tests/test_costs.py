"""The costs: operations a record are within bounds. No clock is read, so no machine is too busy.

The bounds are data, a little above what was counted; who makes the path cheaper tightens them.
Packs, frames and writes are of a batch, so that they are far below one a record.
"""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from benchmarks import counts
from rxfero.core.sessions import Sessions
from rxfero.testing import SimulatedCluster, simulate

RECORDS = 3000
BOUNDS = {
    "messages": {"calls": 3.6, "packs": 0.02, "frames": 0.01, "writes": 0.01, "blocks": 0.5},
    "messages in bulk": {
        "calls": 1.7, "packs": 0.02, "frames": 0.01, "writes": 0.01, "blocks": 0.5,
    },
    "updates": {"calls": 13.0, "packs": 1.1, "frames": 0.02, "writes": 0.01, "blocks": 12.0},
    "updates in bulk": {
        "calls": 6.0, "packs": 0.02, "frames": 0.02, "writes": 0.01, "blocks": 12.0,
    },
}  # fmt: skip


def test_operations_a_record_are_within_their_bounds() -> None:
    found = simulate(counts.measure(RECORDS))
    over = {
        f"{figure} a record of {load}": (found[load][figure], bound)
        for load, bounds in BOUNDS.items()
        for figure, bound in bounds.items()
        if found[load][figure] > bound
    }
    assert not over, "counted and the bound"


def test_the_counts_count_and_are_the_same_again() -> None:
    one, two = (simulate(counts.measure(counts.BURST)) for _ in range(2))
    for load in counts.LOADS:
        assert all(one[load][figure] > 0 for figure in counts.FIGURES)
        assert [one[load][f] for f in counts.FIGURES] == [two[load][f] for f in counts.FIGURES]
    assert one["updates"]["blocks"] > 1, "a record is kept"


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS)
def test_every_figure_has_a_bound(bounds: dict[str, float]) -> None:
    assert set(bounds) == {*counts.FIGURES, "blocks"}


async def come_and_go(cluster: SimulatedCluster, guests: int) -> int:
    """Let servers and clients join, write and leave; gives the blocks that are held then."""
    for at in range(guests):
        guest = await (cluster.add_client() if at % 2 else cluster.add_server())
        await asyncio.gather(*[guest.cache.update(f"k{key}", at) for key in range(12)])
        await guest.stop()
        (cluster.clients if at % 2 else cluster.servers).remove(guest)
    await asyncio.sleep(30)
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.parametrize(("sessions", "held"), [(8, False), (1000, True)])
def test_guests_leave_nothing_once_the_tables_are_full(
    monkeypatch: pytest.MonkeyPatch, sessions: int, held: bool
) -> None:
    """A session in each of four shards of three nodes is 120 blocks: it is seen where it is kept."""
    monkeypatch.setattr(Sessions.__init__, "__defaults__", (sessions,))
    constants = {"shards": 4, "partitions.history.max": 16}

    async def main() -> float:
        async with SimulatedCluster(servers=2, clients=1, keep=1, constants=constants) as cluster:
            before = await come_and_go(cluster, 20)
            return (await come_and_go(cluster, 100) - before) / 100

    assert (simulate(main()) > 40) is held
