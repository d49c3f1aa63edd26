"""The growth: microseconds a record against keys, bytes, observers, servers and clients.

`python -m benchmarks.growth --keys 1e3,1e4,1e5,1e6`. All nodes are in one process over loopback, so
that of servers and clients the whole work is seen, not that of the slowest: `us / unit` divides by
how many hold or get each record. One axis changes at a time; runs of all points in turn, medians,
the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any

from benchmarks.command import tell
from benchmarks.figures import table, whole
from benchmarks.processes import free_ports
from benchmarks.worker import Count
from rxfero import fero, run

STANDARD = {"keys": 1000, "bytes": 100, "observers": 1, "servers": 1, "clients": 1}
PENDING = {"requests": {"pending": 1 << 29}}
BURST_BYTES = 1 << 24  # written at once
BURST = 1000


def counts(text: str) -> list[int]:
    """Read numbers with commas between them, `1e6` too; an argparse type."""
    return [whole(str(int(float(part)))) for part in text.split(",")]


async def point(case: dict[str, int], records: int) -> float:
    """Give microseconds a record, from updates to changes at every client, at one point."""
    ports = free_ports(case["servers"])
    async with AsyncExitStack() as stack:
        for _ in range(case["servers"]):
            server = await stack.enter_async_context(fero("growth", ports=ports))
        await server.stable(case["servers"])
        clients = [
            await stack.enter_async_context(
                fero("growth", client=True, ports=ports, constants=PENDING)
            )
            for _ in range(case["clients"])
        ]
        writer = clients[0]
        await writer.connected(1)
        seen = [Count() for _ in clients]
        for count, client in zip(seen, clients, strict=True):
            client.on("change", count.one)
        for _ in range(1, case["observers"]):
            writer.on("change", Count().one)
        text, keys = "*" * case["bytes"], case["keys"]
        burst = max(1, min(BURST, BURST_BYTES // case["bytes"]))

        async def write(first: int, count: int) -> None:
            for begin in range(first, first + count, burst):
                some = min(burst, first + count - begin)
                goals = [one.after(some) for one in seen]
                for at in range(begin, begin + some):
                    writer.update(f"k{at % keys}", text)
                for goal in goals:
                    await goal

        await write(0, keys)  # every key is there before the clock starts
        begun = perf_counter()
        await write(0, records)
        return (perf_counter() - begun) / records * 1e6


def measure(axes: dict[str, list[int]], records: int, runs: int) -> list[dict[str, Any]]:
    """Give a row a point of each axis."""
    taken: dict[tuple[str, int], list[float]] = {}
    for turn in range(runs):
        for axis, values in axes.items():
            for value in values:
                case = {**STANDARD, axis: value}
                some = max(20, records * 100 // max(100, case["bytes"]))
                some = max(20, some // (case["clients"] * case["servers"]))
                if axis != "keys":
                    case["keys"] = min(case["keys"], some)
                us = run(point(case, some))
                taken.setdefault((axis, value), []).append(us)
                tell(f"  {turn + 1}/{runs}: {value:,} {axis}: {us:,.1f} us a record")
    shared = {"servers", "clients"}
    return [
        {
            "axis": axis, "value": value, "us": statistics.median(us), "lowest": min(us),
            "highest": max(us),
            "us / unit": statistics.median(us) / value if axis in shared else None,
        }
        for (axis, value), us in taken.items()
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    options.add_argument("--keys", type=counts, default=[1_000, 10_000, 100_000])
    options.add_argument("--bytes", type=counts, default=[10, 100, 1_000, 10_000, 100_000])
    options.add_argument("--observers", type=counts, default=[1, 2, 5, 10])
    options.add_argument("--servers", type=counts, default=[1, 2, 3, 5])
    options.add_argument("--clients", type=counts, default=[1, 10, 100], help="that see all")
    options.add_argument("-r", dest="records", type=whole, default=20_000, help="of 100 bytes")
    options.add_argument("--runs", type=whole, default=3)
    options.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = options.parse_args(arguments)
    axes = {axis: getattr(given, axis) for axis in STANDARD}
    rows = measure(axes, given.records, given.runs)
    print(json.dumps(rows, indent=1) if given.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
