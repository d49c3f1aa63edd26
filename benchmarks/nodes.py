"""The nodes: what one more of them costs: to join, to stay, and to hold what the others write.

`python -m benchmarks.nodes --process 1,2,5,10,20,50 --simulated 10,50,100 --ring 1e2,1e3`. Whole
nodes in one process, over loopback and then on the simulated network and clock (as the tests', with
16 shards); servers join one after the other, so a row's join is that of its last. Every server is
connected with every other, so all of them in one process cost the square of their number, and a
world that has used up its `--budget` of processor time goes no further: what it did not get to is
told. Of rings alone there can be as many members as one likes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from time import perf_counter, process_time
from typing import Any

from benchmarks.command import tell
from benchmarks.counts import Tally
from benchmarks.figures import table, whole
from benchmarks.growth import counts
from benchmarks.processes import free_ports
from benchmarks.worker import Count
from rxfero import Cache, fero, run
from rxfero.core.ring import Ring
from rxfero.testing import SimulatedCluster, simulate

LOOK_UPS = 10_000
KEYS = 100
# One loop works for all of them: while it does, none may be taken for dead.
PATIENT = {"heartbeat": {"suspect": 60_000, "dead": 60_000}, "connections": {"timeout": 60_000}}
Begin = Callable[[], Awaitable[Cache]]


class Swarm:
    """Servers of one process that come one after the other.

    Args:
        begin: Starts one more; gives its cache when it is ready.
    """

    def __init__(self, begin: Begin) -> None:
        self.caches: list[Cache] = []
        self._begin = begin

    async def join(self) -> dict[str, float]:
        """Let one more come, until every one's ring has it; gives what that took."""
        loop = asyncio.get_running_loop()
        begun, worked = loop.time(), process_time()
        self.caches.append(await self._begin())
        await self._agreed()
        return {"join s": loop.time() - begun, "join cpu s": process_time() - worked}

    async def _agreed(self) -> None:
        count = len(self.caches)
        left = {id(cache): cache for cache in self.caches if len(cache.ring) != count}
        done = asyncio.get_running_loop().create_future()

        def look(_: object) -> None:
            for key in [k for k, cache in left.items() if len(cache.ring) == count]:
                del left[key]
            if not left and not done.done():
                done.set_result(None)

        taken = [cache.on("checksum", look) for cache in left.values()]
        if left:
            await done
        for subscription in taken:
            subscription.dispose()

    async def stay(self, seconds: float) -> dict[str, float]:
        """Let them be; gives what each takes a second: milliseconds of processor, and frames."""
        worked, each = process_time(), seconds * len(self.caches)
        await asyncio.sleep(seconds)
        idle = (process_time() - worked) / each * 1e3
        with Tally() as tally:
            await asyncio.sleep(seconds)
        return {"idle cpu ms/s": idle, "frames/s": tally.found["received"] / each}

    async def write(self, records: int) -> dict[str, float]:
        """Let the first write, until all have it; gives processor time an update."""
        seen = Count()
        taken = [cache.on("change", seen.one) for cache in self.caches]
        for turn in range(2):  # the first is the warming up
            all_here, worked = seen.after(records * len(self.caches)), process_time()
            for at in range(records):
                self.caches[0].update(f"k{at % KEYS}", "*" * 100)
            await all_here
            spent = (process_time() - worked) / records * 1e6 if turn else 0.0
        for subscription in taken:
            subscription.dispose()
        return {"update cpu us": spent, "update / node": spent / len(self.caches)}


async def grown(
    where: str, begin: Begin, sizes: Sequence[int], records: int, idle_s: float, budget_s: float
) -> list[dict[str, Any]]:
    """Let a swarm grow; gives a row a size, and one that says why where the budget ended it."""
    swarm, began = Swarm(begin), process_time()
    rows: list[dict[str, Any]] = []
    for size in sorted(sizes):
        joined: dict[str, float] = {}
        while len(swarm.caches) < size:
            if process_time() - began > budget_s:
                why = f"the budget of {budget_s:g} s ended at {len(swarm.caches)} nodes"
                tell(f"  {where}: {size:,} nodes are left out: {why}")
                return [*rows, {"nodes": size, "left out": why}]
            joined = await swarm.join()
        found = {**joined, **await swarm.stay(idle_s), **await swarm.write(records)}
        rows.append({"nodes": size, **found})
        told = ", ".join(f"{name} {value:,.3f}" for name, value in found.items())
        tell(f"  {where}: {size:,} nodes: {told}")
    return rows


async def in_process(sizes: Sequence[int], *limits: Any) -> list[dict[str, Any]]:
    """Measure servers on loopback."""
    ports = free_ports(max(sizes))
    async with AsyncExitStack() as stack:

        async def begin() -> Cache:
            return await stack.enter_async_context(fero("nodes", ports=ports, constants=PATIENT))

        return await grown("process", begin, sizes, *limits)


async def simulated(sizes: Sequence[int], *limits: Any) -> list[dict[str, Any]]:
    """Measure servers on the simulated network; their seconds are simulated ones."""
    async with SimulatedCluster(seed=1, servers=1, keep=1) as cluster:
        first = [cluster.servers[0].cache]

        async def begin() -> Cache:
            return first.pop() if first else (await cluster.add_server()).cache

        return await grown("simulated", begin, sizes, *limits)


def ring(size: int) -> dict[str, Any]:
    """Measure a ring of so many members: making it, making it with one more, looking up."""
    names = [f"10.0.{at // 250}.{at % 250}:7000/{size}" for at in range(size + 1)]
    begun = perf_counter()
    before = Ring(names[:-1])
    made = perf_counter()
    after = Ring(names)
    again = perf_counter()
    moved = len(before.moved(after)) / before.shards
    keys = [f"{size}/{at}" for at in range(LOOK_UPS)]
    looking = perf_counter()
    for key in keys:
        after.owner(key)
    looked = perf_counter()
    return {
        "nodes": size, "made ms": (made - begun) * 1e3,
        "one more ms": (again - made) * 1e3, "moved %": moved * 100,
        "look-up us": (looked - looking) / LOOK_UPS * 1e6,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.nodes", description=__doc__)
    options.add_argument("--process", type=counts, default=[1, 2, 5, 10, 20, 50])
    options.add_argument("--simulated", type=counts, default=[1, 2, 5, 10, 20, 50, 100])
    options.add_argument("--ring", type=counts, default=[1, 10, 100, 1000])
    options.add_argument("-r", dest="records", type=whole, default=1000, help="updates")
    options.add_argument("--idle", type=float, default=2.0, help="seconds they are let be")
    options.add_argument("--budget", type=float, default=120.0, help="processor seconds of a world")
    options.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = options.parse_args(arguments)
    limits = given.records, given.idle, given.budget
    found = {
        "process": run(in_process(given.process, *limits)),
        "simulated": simulate(simulated(given.simulated, *limits)),
        "ring": [ring(size) for size in given.ring],
    }
    shown = "\n\n".join(f"{where}\n{table(rows)}" for where, rows in found.items())
    print(json.dumps(found, indent=1) if given.json else shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
