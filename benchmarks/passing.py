"""The passing: writes through a server that does not own the key, beside writes to the owner.

`python -m benchmarks.passing -r 100000`. Two servers, and a client that is connected to one of
them, or a third server that writes itself. It updates keys of the server it hands them to, which
are no way longer than they must be, then as many keys of the others, which are passed on: without
awaiting, until all are confirmed and seen as changes, then one at a time. The two ways go in turn;
a ratio is that of a pair, passed on to straight.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.command import tell
from benchmarks.figures import table, whole
from benchmarks.processes import Cast, WorkerFailed, results

KEYS = 1000  # written in turn
TRIPS = 1000  # writes awaited one by one, at most
WARM_MAX = 2000
WRITERS = {"client": 2, "server": 1}  # who writes, and how many servers there are besides
FIGURES = ("commits", "confirmed", "write us")


async def once(cast: Cast, writer: str, others: bool, records: int, size: int) -> dict[str, float]:
    """Run one way once; gives commits and confirmations a second, and a write's median time."""
    params = {
        "load": "passing", "echo": False, "bytes": size, "count": records, "keys": KEYS,
        "trips": TRIPS, "warm": min(records, WARM_MAX), "client": writer == "client",
        "others' keys": others,
    }  # fmt: skip
    spare = 0 if writer == "client" else 1
    async with cast.playing(WRITERS[writer], 1, params, spare=spare) as (_, writers):
        (told,) = await results(writers)
    times = told["times"]
    return {
        "commits": records / times["seen"],
        "confirmed": records / times["confirmed"],
        "write us": statistics.median(times["seconds"]) * 1e6,
    }


async def measure(records: int, size: int, runs: int, timeout_s: float) -> list[dict[str, Any]]:
    """Give a row a writer and figure.

    Raises:
        WorkerFailed: a process failed.
    """
    cast = Cast(timeout_s=timeout_s)
    taken: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {w: [] for w in WRITERS}
    for turn in range(runs):
        for writer, pairs in taken.items():
            straight, passed = [await once(cast, writer, o, records, size) for o in (False, True)]
            pairs.append((straight, passed))
            told = f"{straight['commits']:,.0f} straight, {passed['commits']:,.0f} passed on"
            tell(f"  {turn + 1}/{runs}: {writer}: {told}")
    return [judged(writer, name, pairs) for writer, pairs in taken.items() for name in FIGURES]


def judged(
    writer: str, name: str, pairs: Sequence[tuple[dict[str, float], dict[str, float]]]
) -> dict[str, Any]:
    """Give the row of a figure: both medians, and the ratio with its spread."""
    ratios = [passed[name] / straight[name] for straight, passed in pairs]
    return {
        "writer": writer, "figure": name,
        "straight": statistics.median([straight[name] for straight, _ in pairs]),
        "passed on": statistics.median([passed[name] for _, passed in pairs]),
        "ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.passing", description=__doc__)
    options.add_argument("-m", dest="size", type=whole, default=100, help="bytes of a value")
    options.add_argument("-r", dest="records", type=whole, default=100_000, help="updates")
    options.add_argument("--runs", type=whole, default=5, help="pairs of runs")
    options.add_argument("--timeout", type=whole, default=120, help="seconds of silence")
    options.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = options.parse_args(arguments)
    try:
        rows = asyncio.run(measure(given.records, given.size, given.runs, given.timeout))
    except WorkerFailed as error:
        tell(f"error: {error}")
        return 1
    print(json.dumps(rows, indent=1) if given.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
