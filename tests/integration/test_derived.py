"""A derived service of whole nodes, killed at a random step: what it holds is that of no kill.

`RXFERO_SEEDS=500` is the full size.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest

from rxfero import operators as fop
from rxfero.core.change import Change
from rxfero.testing import SimulatedCluster, simulate

SEEDS = int(os.environ.get("RXFERO_SEEDS", "6"))
STEPS = 30
KEYS = 4
QUORUM = {"disks": True, "quorum": "majority", "voters": ["s1", "s2", "s3"]}


def tally(value: dict[str, list[int]], change: Change) -> dict[str, list[int]]:
    """Keep what each key was: not twice, not in another order, nothing missing."""
    key = str(change.key)
    return {**value, key: [*value.get(key, ()), change.value]}


def serve(users: SimulatedCluster, totals: SimulatedCluster) -> Any:
    """Begin the derived service in a process that has a client of both."""
    source, store = users["c1"].cache, totals["c1"].cache
    chain = fop.resume(source, store, "tally").pipe(
        fop.checkpoint(store, "tally", tally, {}), fop.supervise(0.1, 1.0)
    )
    return chain.subscribe()


async def derived(seed: int, options: dict[str, Any], hit: bool) -> tuple[Any, Any]:
    """Write; kill the service, and if `hit` a server of each cluster. Gives found and expected."""
    rng = random.Random(seed)
    written: dict[str, list[int]] = {}
    async with (
        SimulatedCluster(seed=seed, servers=3, clients=2, **options) as users,
        SimulatedCluster(seed=seed + 1, servers=3, clients=2, service="totals", **options) as totals,
    ):
        writer, reader = users["c2"].cache, totals["c2"].cache
        writes: list[Any] = []
        service = serve(users, totals)
        kill = rng.randrange(STEPS)
        strike = rng.randrange(STEPS) if hit else -1
        struck = [(c, c[f"s{rng.randint(1, 3)}"]) for c in (users, totals)]
        for step in range(STEPS):
            key = f"k{rng.randrange(KEYS)}"
            written.setdefault(key, []).append(step)
            writes.append(writer.update(key, step))
            await asyncio.sleep(rng.choice([0.0, 0.0, 0.002, 0.02, 0.2]))
            if step == kill:
                for cluster in (users, totals):
                    cluster.crash("c1")
                service.dispose()
                await asyncio.sleep(rng.choice([0.0, 0.05, 1.0]))
                await asyncio.gather(*(c.restart("c1") for c in (users, totals)))
                service = serve(users, totals)
            if step == strike:
                for cluster, server in struck:
                    cluster.crash(server)
            if step == strike + 5:
                await asyncio.gather(*(c.restart(s) for c, s in struck if s.down))
        await asyncio.gather(*writes)

        def found() -> Any:
            return reader.at("tally.value", {})

        def done() -> bool:
            return sum(map(len, found().values())) >= STEPS

        await totals.until(done, what=f"all {STEPS}")
        await asyncio.sleep(5)  # virtual: what would be counted twice
        service.dispose()
        return {key: list(values) for key, values in found().items()}, written


@pytest.mark.parametrize(
    ("options", "hit"), [({}, False), (QUORUM, False), (QUORUM, True)], ids=["memory", "quorum", "hit"]
)
def test_the_derived_state_of_whole_nodes_is_that_of_a_run_without(
    options: dict[str, Any], hit: bool
) -> None:
    for seed in range(SEEDS):
        found, expected = simulate(derived(seed, options, hit))
        assert found == expected, f"seed {seed}"
