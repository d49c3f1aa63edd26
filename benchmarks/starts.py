"""The starts: importing, a node's start and end, a takeover, and looking up who owns a key.

`python -m benchmarks.starts`. Milliseconds, but for the look-up's microseconds; medians with the
lowest and the highest. An import is a new interpreter's less a bare one's; a takeover is from a
server's end without a word to the next write committed by the one that is left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from benchmarks.command import tell
from benchmarks.figures import table, whole
from benchmarks.processes import Cast, free_ports
from rxfero import fero, run

LOOK_UPS = 10_000


def interpreter(code: str) -> float:
    """Give the milliseconds that an interpreter takes for some code."""
    begun = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (perf_counter() - begun) * 1e3


def importing() -> float:
    """Import the package."""
    return interpreter("import rxfero; rxfero.fero") - interpreter("pass")


async def starting() -> float:
    """Start a server alone, until it is ready."""
    begun = perf_counter()
    async with fero("starts", ports=free_ports(1)):
        return (perf_counter() - begun) * 1e3


async def ending() -> float:
    """End a server."""
    cache = await fero("starts", ports=free_ports(1))
    begun = perf_counter()
    await cache.destroy()
    return (perf_counter() - begun) * 1e3


async def taking_over() -> float:
    """Kill one of two servers; write a key of its, until that is committed."""
    ports = free_ports(2)
    worker = await Cast().start("server", {"ports": ports, "others": 0, "echo": False})
    try:
        await worker.hear("ready")
        async with fero("bench", ports=ports) as cache:
            await cache.stable(2)
            me = cache.peers.me
            key = next(k for k in map(str, range(1000)) if cache.peers.owner(k) is not me)
            await cache.update(key, 1)
            begun = perf_counter()
            worker.process.kill()
            await cache.update(key, 2)
            return (perf_counter() - begun) * 1e3
    finally:
        await worker.end()


async def looking_up() -> float:
    """Ask for the owners of keys."""
    async with fero("starts", ports=free_ports(1)) as cache:
        keys = [f"k{at}" for at in range(LOOK_UPS)]
        owner = cache.peers.owner
        begun = perf_counter()
        for key in keys:
            owner(key)
        return (perf_counter() - begun) / LOOK_UPS * 1e6


WAYS: dict[str, Callable[[], Any]] = {
    "import, ms": importing,
    "start, ms": starting,
    "end, ms": ending,
    "takeover, ms": taking_over,
    "owner of a key, us": looking_up,
}


def measure(runs: int) -> list[dict[str, Any]]:
    """Give a row a way; the ways run in turn, after one that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(runs + 1):
        for name, way in WAYS.items():
            found = run(way()) if asyncio.iscoroutinefunction(way) else way()
            if turn:
                taken[name].append(found)
                tell(f"  {turn}/{runs}: {name} {found:,.2f}")
    return [
        {"what": name, "median": statistics.median(all_), "lowest": min(all_), "highest": max(all_)}
        for name, all_ in taken.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.starts", description=__doc__)
    options.add_argument("--runs", type=whole, default=5)
    options.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = options.parse_args(arguments)
    rows = measure(given.runs)
    print(json.dumps(rows, indent=1) if given.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
