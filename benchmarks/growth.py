"""The growth: microseconds a record against keys, bytes, observers, servers and clients.

`python -m benchmarks.growth --keys 1e3,1e4,1e5,1e6`. All nodes are in one process over loopback, so
that of servers and clients the whole work is seen, not that of the slowest: `cpu / unit` divides by
how many hold or get each record. One axis changes at a time; runs of all points in turn, medians,
the lowest and the highest. `us` is of the clock, `cpu us` of the processor: where they differ, the
machine was at something else. `--axes keys --alone` lets the server itself write, without a client,
so that twice as many records fit into the memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import perf_counter, process_time
from typing import Any

from benchmarks.command import tell
from benchmarks.figures import table, whole
from benchmarks.processes import free_ports
from benchmarks.worker import Count
from rxfero import fero, run

STANDARD = {"keys": 1000, "bytes": 100, "observers": 1, "servers": 1, "clients": 1}
SHARED = {"servers", "clients"}  # axes along which more nodes hold each record
PENDING = {"requests": {"pending": 1 << 29}}
BURST_BYTES = 1 << 24  # written at once
BURST = 1000
RECORDS_MIN = 100  # of a point: fewer are over before a busy machine lets the process run again


def counts(text: str) -> list[int]:
    """Read numbers with commas between them, `1e6` too; an argparse type."""
    return [whole(str(int(float(part)))) for part in text.split(",")]


def names(text: str) -> list[str]:
    """Read names of axes with commas between them; an argparse type."""
    found = text.split(",")
    if unknown := [name for name in found if name not in STANDARD]:
        raise argparse.ArgumentTypeError(f"no axis {unknown[0]!r}; there are {', '.join(STANDARD)}")
    return found


async def point(case: dict[str, int], records: int) -> tuple[float, float]:
    """Run one point: updates until they are changes at every client, or at the server alone.

    Returns:
        Microseconds a record, of the clock and of the processor.
    """
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
        for client in clients:
            await client.connected(1)
        seers = clients or [server]
        writer, seen = seers[0], [Count() for _ in seers]
        for count, seer in zip(seen, seers, strict=True):
            seer.on("change", count.one)
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
        begun, worked = perf_counter(), process_time()
        await write(0, records)
        took, work = perf_counter() - begun, process_time() - worked
        return took / records * 1e6, work / records * 1e6


def amount(case: dict[str, int], records: int) -> int:
    """Give how many records a point is measured with: fewer where each is more work."""
    some = max(RECORDS_MIN, records * 100 // max(100, case["bytes"]))
    return max(RECORDS_MIN, some // (max(1, case["clients"]) * case["servers"]))


def measure(
    axes: dict[str, list[int]], records: int, runs: int, alone: bool = False
) -> list[dict[str, Any]]:
    """Give a row a point of each axis."""
    taken: dict[tuple[str, int], list[tuple[float, float]]] = {}
    standard = {**STANDARD, "clients": 0} if alone else STANDARD
    for turn in range(runs):
        for axis, values in axes.items():
            for value in values:
                case = {**standard, axis: value}
                some = amount(case, records)
                if axis != "keys":
                    case["keys"] = min(case["keys"], some)
                us, cpu = run(point(case, some))
                taken.setdefault((axis, value), []).append((us, cpu))
                tell(f"  {turn + 1}/{runs}: {value:,} {axis}: {us:,.1f} us, {cpu:,.1f} of the cpu")
    return [row(axis, value, found) for (axis, value), found in taken.items()]


def row(axis: str, value: int, found: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Give the row of a point from its runs."""
    us, cpu = [one[0] for one in found], statistics.median([one[1] for one in found])
    return {
        "axis": axis, "value": value, "us": statistics.median(us), "lowest": min(us),
        "highest": max(us), "cpu us": cpu, "cpu / unit": cpu / value if axis in SHARED else None,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    options.add_argument("--keys", type=counts, default=[1_000, 10_000, 100_000])
    options.add_argument("--bytes", type=counts, default=[10, 100, 1_000, 10_000, 100_000, 10**6])
    options.add_argument("--observers", type=counts, default=[1, 2, 5, 10])
    options.add_argument("--servers", type=counts, default=[1, 2, 3, 5])
    options.add_argument("--clients", type=counts, default=[1, 10, 100], help="that see all")
    options.add_argument("--axes", type=names, default=list(STANDARD), help="only these")
    options.add_argument("--alone", action="store_true", help="the server writes, no client")
    options.add_argument("-r", dest="records", type=whole, default=20_000, help="of 100 bytes")
    options.add_argument("--runs", type=whole, default=3)
    options.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = options.parse_args(arguments)
    axes = {axis: getattr(given, axis) for axis in given.axes}
    rows = measure(axes, given.records, given.runs, given.alone)
    print(json.dumps(rows, indent=1) if given.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
