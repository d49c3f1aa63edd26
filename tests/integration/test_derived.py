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


@pytest.mark.parametrize("seed", range(SEEDS))
def test_over_a_split_each_write_counts_once(seed: int) -> None:
    """By a service on either side; that of the second is killed twice, meanwhile or after the heal."""

    async def main() -> None:
        rng = random.Random(seed)
        small: dict[str, Any] = {"constants": {"shards": 8}}
        async with (
            SimulatedCluster(seed=seed, servers=3, clients=2, **small) as users,
            SimulatedCluster(seed=seed + 1, servers=1, clients=2, service="totals", **small) as totals,
        ):
            services = [
                fop.resume(a.cache, b.cache, a.name).pipe(
                    fop.checkpoint(b.cache, a.name, tally, {}), fop.supervise(0.1, 1.0)
                )
                for a, b in zip(users.clients, totals.clients, strict=True)
            ]
            running = [service.subscribe() for service in services]
            keys = [f"k{n}" for n in range(60)]
            await asyncio.gather(*(users["s1"].cache.update(key, 0) for key in keys[:10]))
            users.split(["s1", "c1"])
            kills = rng.sample(range(10, 70), 2)
            for n, key in enumerate(keys[10:] + [""] * 10, 10):
                if n == 60:
                    users.heal()
                if key:
                    users[f"s{rng.randint(1, 3)}"].cache.update(key, n)
                if n in kills:
                    running[1].dispose()
                    await asyncio.sleep(rng.choice([0.0, 1.0, 20.0]))
                    running[1] = services[1].subscribe()
                await asyncio.sleep(rng.choice([0.0, 0.5, 5.0]))
            await users.whole()
            assert set(await users.same()) == {*keys}
            await asyncio.sleep(60)
            found = await totals.same()
            wanted = {key: [n if n >= 10 else 0] for n, key in enumerate(keys)}
            assert {name: found[name]["value"] for name in ("c1", "c2")} == {
                "c1": wanted, "c2": wanted,
            }  # fmt: skip

    simulate(main())
