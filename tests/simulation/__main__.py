"""``python -m tests.simulation --mode memory,disks,quorum --seeds 0:1000``: campaigns, many of them.

Of each mode it prints the seeds, what was acknowledged, what was lost where a mode allows it (all of
a shard's copies in memory gone), the violations, and simulated seconds a second: of one processor's
time, and of the wall's clock, in which `--jobs` run side by side.
The exit status is 0 only if no promise was broken.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

from tests.simulation.campaign import Campaign

MODES: dict[str, dict[str, Any]] = {
    "memory": {"disks": 0}, "disks": {"disks": 9}, "quorum": {"quorum": True},
}  # fmt: skip
HOSTILE = 0.02  # of the frames lost, as many late, as many twice


def play(mode: str, seconds: float, hostile: float, rest: float, seed: int) -> dict[str, Any]:
    """Run one seed on three or five servers; gives its figures."""
    begun = time.process_time()
    campaign = Campaign(
        seed, seconds, servers=3 + seed % 2 * 2, hostile=hostile, rest=rest, **MODES[mode]
    )
    broken = ""
    try:
        campaign.run()
    except AssertionError as error:
        broken = f"{campaign}: {error}"
    world = campaign.world
    return {
        "acknowledged": world.acked(), "lost": world.lost, "reads": world.reads,
        "simulated": world.now, "took": time.process_time() - begun, "broken": broken,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    options.add_argument("--mode", default=",".join(MODES), help="of " + ", ".join(MODES))
    options.add_argument("--seeds", default="0:20", help="first:last")
    options.add_argument("--seconds", type=float, default=60.0, help="simulated, under faults")
    options.add_argument("--hostile", action="store_true", help="frames are lost, late and twice")
    options.add_argument("--rest", type=float, default=6.0, help="times the time between writes")
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--json", action="store_true")
    given = options.parse_args(arguments)
    seeds = range(*map(int, given.seeds.split(":")))
    failed = False
    for mode in given.mode.split(","):
        run = partial(play, mode, given.seconds, HOSTILE if given.hostile else 0.0, given.rest)
        begun = time.perf_counter()
        with ProcessPoolExecutor(given.jobs) as pool:
            found = list(pool.map(run, seeds))
        broken = [f["broken"] for f in found if f["broken"]]
        failed = failed or bool(broken)
        passed, wall = sum(f["simulated"] for f in found), time.perf_counter() - begun
        figures = {
            "mode": mode, "network": "hostile" if given.hostile else "orderly",
            "seeds": len(seeds), "violations": len(broken),
            **{name: sum(f[name] for f in found) for name in ("acknowledged", "lost", "reads")},
            "simulated s": round(passed),
            "a processor's second": round(passed / sum(f["took"] for f in found), 1),
            "a wall's second": round(passed / wall, 1),
        }  # fmt: skip
        if given.json:
            print(json.dumps(figures), flush=True)
        else:
            print("  ".join(f"{name}: {value}" for name, value in figures.items()), flush=True)
        for text in broken:
            print(text, file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
