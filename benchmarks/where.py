"""The profile: where a microsecond goes, module by module, a load's server and client together.

`python -m benchmarks.where -r 100000`. Of Python's own profiler: calls a record and the share of
time spent in each module itself. The profiler makes calls dearer than they are and C cheaper, so
the shares say where to look, not how long it takes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.counts import BURST, LOADS, handler_of
from benchmarks.figures import table, whole
from benchmarks.processes import free_ports
from rxfero import fero, run

ROOT = Path(__file__).parent.parent
SHARE_MIN = 0.5  # percent; modules below it are one line


def stage(file: str) -> str:
    """Name the stage of a profiled function by its file."""
    if file in ("~", ""):
        return "C: msgpack, loop, sockets, containers"
    path = Path(file)
    if path.is_relative_to(ROOT):
        return str(path.relative_to(ROOT))
    return "other Python"


async def profiled(name: str, count: int) -> list[dict[str, Any]]:
    """Run a load under the profiler; gives a row a stage, the dearest first."""
    load, ports = LOADS[name], free_ports(1)
    async with (
        fero("where", handler_of(name), ports=ports) as server,
        fero("where", client=True, ports=ports) as client,
    ):
        await server.stable(1)
        await client.connected(1)
        await load(client, BURST)
        profile = cProfile.Profile()
        profile.enable()
        for first in range(0, count, BURST):
            await load(client, min(BURST, count - first))
        profile.disable()
    calls: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    told: Any = pstats.Stats(profile)
    for (file, _, _), (_, called, own, *_) in told.stats.items():
        calls[stage(file)] += called
        seconds[stage(file)] += own
    whole_s = sum(seconds.values())
    shares = {name: 100 * own / whole_s for name, own in seconds.items()}
    big = [n for n in sorted(shares, key=lambda n: -shares[n]) if shares[n] >= SHARE_MIN]
    small = [n for n in shares if n not in big]
    rows = [{"stage": n, "share %": shares[n], "calls a record": calls[n] / count} for n in big]
    return [*rows, {
        "stage": f"{len(small)} others",
        "share %": sum(shares[n] for n in small),
        "calls a record": sum(calls[n] for n in small) / count,
    }]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.where", description=__doc__)
    options.add_argument("-r", dest="records", type=whole, default=100_000, help="records")
    options.add_argument("--json", action="store_true")
    given = options.parse_args(arguments)
    found = {name: run(profiled(name, given.records)) for name in LOADS}
    shown = "\n\n".join(f"{name}\n{table(rows)}" for name, rows in found.items())
    print(json.dumps(found) if given.json else shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
