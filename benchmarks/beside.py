"""The comparison: rxfero and what others do for the same purpose, the same work, in turn, one run.

`python -m benchmarks.beside` runs rxfero beside npm's fero, redis, nats, ZeroMQ and a bare echo;
`--must` prints only the goals: ratio, goal, reached or not. Ratios are medians of pairs of runs,
with the lowest and the highest pair; what is not installed is skipped and says why. The servers of
others keep their data in memory; all talk over loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks import commit, join, latency, speed
from benchmarks.brokers import nats, needed, redis
from benchmarks.command import Figures, tell
from benchmarks.figures import spread, table, whole
from benchmarks.npm import VERSION, Unavailable, install
from benchmarks.processes import Cast, Worker, WorkerFailed, free_ports

Measure = Callable[[], Awaitable[Figures]]
TIMEOUT_S = 60.0
KEYS = 1000
WAYS = (("", False), (", in bulk", True))  # one by one; by the verbs that take and give columns
COLUMNS = (
    "load", "against", "figure", "ours", "theirs", "ratio", "lowest", "highest", "pairs", "goal",
    "reached",
)  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """A ratio to be reached: `figure` of ours to `other` of the rival.

    Args:
        at_most: The ratio is of times, the less the better; `bound` None is a ratio without goal.
    """

    figure: str
    other: str
    bound: float | None
    at_most: bool = False

    def reached(self, ratio: float) -> bool | None:
        """Say whether the goal is reached; None without one."""
        if self.bound is None:
            return None
        return ratio <= self.bound if self.at_most else ratio >= self.bound


@dataclass(frozen=True)
class Contest:
    """A load that two run in turn."""

    load: str
    against: str
    ours: Measure
    theirs: Measure | None
    goals: tuple[Goal, ...]


def speed_of(cast: Cast, size: int, records: int, *, bulk: bool = False) -> Measure:
    """Send messages and take the replies."""
    case = {"records": records, "bytes": size, "clients": 1, "servers": 1}
    return lambda: speed.once(True, None, bulk=bulk)(cast, case)


def commits_of(cast: Cast, records: int, *, bulk: bool = False) -> Measure:
    """Update keys and see the changes."""
    case = {"records": records, "bytes": 100, "servers": 1, "copies": 0}
    return lambda: commit.once(KEYS, None, bulk=bulk)(cast, case)


def join_of(cast: Cast, records: int) -> Measure:
    """Fill a server, and let another join."""
    return lambda: join.once(cast, {"records": records, "bytes": 100})


def latency_of(cast: Cast, records: int) -> Measure:
    """Ask one request at a time."""
    return lambda: latency.once(None)(cast, {"records": records, "bytes": 10})


async def turns(broker: Any, roles: Sequence[str], params: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a rival's processes, the load once to warm up and once for its figures."""
    cast = Cast(timeout_s=TIMEOUT_S, module=("benchmarks.rival",))
    async with AsyncExitStack() as stack:
        port = free_ports(1)[0] if broker is None else await stack.enter_async_context(broker())
        started: list[Worker] = []
        for role in roles:
            worker = await cast.start(role, {"port": port, **params})
            stack.push_async_callback(worker.end)
            await worker.hear("ready")
            started.append(worker)
        await asyncio.gather(*[worker.ask() for worker in started])
        return list(await asyncio.gather(*[worker.ask() for worker in started]))


def rate_of(broker: Any, roles: Sequence[str], size: int, records: int) -> Measure:
    """Give a rival's records a second, from the first's beginning to the last's end."""

    async def measure() -> Figures:
        told = await turns(broker, roles, {"bytes": size, "count": records})
        begun = min(one["begun"] for one in told if "begun" in one)
        return {"rate": records / (max(one["ended"] for one in told if "ended" in one) - begun)}

    return measure


def rounds_of(broker: Any, roles: Sequence[str], size: int, records: int) -> Measure:
    """Give a rival's round trips, in microseconds."""

    async def measure() -> Figures:
        told = await turns(broker, roles, {"bytes": size, "count": records})
        return spread(told[-1]["seconds"])

    return measure


def redis_benchmark(records: int) -> Measure:
    """Let redis's own client in C do its SETs."""

    async def measure() -> Figures:
        needed("redis-benchmark", None)
        async with redis() as port:
            process = await asyncio.create_subprocess_exec(
                "redis-benchmark", "-p", str(port), "-P", "16", "-c", "50", "-t", "set", "-d",
                "100", "-n", str(records), "-r", str(KEYS), "--csv",
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            told, _ = await process.communicate()
        return {"rate": float(told.decode().splitlines()[-1].split(",")[1].strip('"'))}

    return measure


def must(modules: Any, scale: float) -> list[Contest]:
    """Give the contests with goals."""
    mine, other = Cast(timeout_s=TIMEOUT_S), Cast(modules, TIMEOUT_S)
    many = max(200, int(200_000 * scale))
    few = max(50, int(3_000 * scale))
    original = f"npm fero {VERSION}"
    contests: list[Contest] = []
    bounds = {10: (2.0, 4.0, None), 100: (2.0, 4.0, 1.0), 1000: (1.5, 2.0, None)}
    for size, (sacks, yacks, tacks) in bounds.items() if modules else ():
        goals = [Goal("sacks", "sacks", sacks), Goal("yacks", "yacks", yacks)]
        goals += [Goal("tacks", "tacks", tacks)] if tacks else []
        theirs = speed_of(other, size, many)
        for how, bulk in WAYS:
            ours = speed_of(mine, size, many, bulk=bulk)
            load = f"messages {size} B{how}"
            contests.append(Contest(load, original, ours, theirs, tuple(goals)))
    if modules:
        count = max(200, int(20_000 * scale))
        contests += [
            Contest(
                f"updates 100 B, seen as change{how}", original,
                commits_of(mine, count, bulk=bulk), commits_of(other, count),
                (Goal("commits", "commits", 12.0),),
            )
            for how, bulk in WAYS
        ]  # fmt: skip
        contests.append(Contest(
            "request round trip", original, latency_of(mine, few), latency_of(other, few),
            (Goal("reply p50", "reply p50", 0.05, True), Goal("reply p99", "reply p99", 0.2, True)),
        ))  # fmt: skip
        count = max(200, int(50_000 * scale))
        contests.append(Contest(
            "records 100 B held and joined", original, join_of(mine, count), join_of(other, count),
            (Goal("RSS B", "RSS B", 0.4, True), Goal("joined", "joined", 10.0)),
        ))  # fmt: skip
    contests += [
        Contest(
            "request round trip", "bare uvloop echo", latency_of(mine, few), None,
            (Goal("reply p50", "bare p50", 1.4, True),),
        ),
        *[
            Contest(
                f"updates 100 B{how}", "redis-py pipelined SET", commits_of(mine, many, bulk=bulk),
                rate_of(redis, ["redis set"], 100, many), (Goal("commits", "rate", 8.0),),
            )
            for how, bulk in WAYS
        ],
        Contest(
            "updates 100 B, in bulk", "redis-benchmark -P 16 -c 50 SET",
            commits_of(mine, many, bulk=True), redis_benchmark(many),
            (Goal("commits", "rate", 1.0),),
        ),
        Contest(
            "messages 100 B", "nats-py publish to delivered", speed_of(mine, 100, many),
            rate_of(nats, ["nats deliver", "nats publish"], 100, many),
            (Goal("sacks", "rate", 4.0),),
        ),
    ]  # fmt: skip
    return contests


def more(scale: float) -> list[Contest]:
    """Give the contests without goals."""
    mine = Cast(timeout_s=TIMEOUT_S)
    many, few = max(200, int(100_000 * scale)), max(50, int(3_000 * scale))
    some = max(200, int(10_000 * scale))
    p50 = (Goal("reply p50", "p50", None, True),)
    return [
        Contest(
            "request round trip", "nats-py request", latency_of(mine, few),
            rounds_of(nats, ["nats reply", "nats request"], 10, few), p50,
        ),
        Contest(
            "updates 100 B", "nats-py JetStream KV put", commits_of(mine, many),
            rate_of(nats, ["nats put"], 100, some), (Goal("commits", "rate", None),),
        ),
        Contest(
            "request round trip", "pyzmq req/rep", latency_of(mine, few),
            rounds_of(None, ["zmq rep", "zmq req"], 10, few), p50,
        ),
        Contest(
            "messages 100 B", "pyzmq push/pull", speed_of(mine, 100, many),
            rate_of(None, ["zmq pull", "zmq push"], 100, many), (Goal("yacks", "rate", None),),
        ),
    ]  # fmt: skip


MODULES = {"redis-py": "redis", "nats-py": "nats", "pyzmq": "zmq"}


async def held(contest: Contest, runs: int) -> list[dict[str, Any]]:
    """Run a contest's pairs; gives a row a goal, or one that says why it was skipped."""
    named = {"load": contest.load, "against": contest.against}
    pairs: list[tuple[Figures, Figures]] = []
    try:
        needed(None, MODULES.get(contest.against.split()[0]))
        for run in range(runs):
            ours = await contest.ours()
            theirs = ours if contest.theirs is None else await contest.theirs()
            pairs.append((ours, theirs))
            tell(f"  {contest.load} / {contest.against}: {run + 1}/{runs}")
    except (Unavailable, WorkerFailed) as reason:
        tell(f"  {contest.load} / {contest.against} ends: {reason}")
        if not pairs:
            return [{**named, "reached": f"skipped: {reason}"}]
    return [{**named, **judged(goal, pairs)} for goal in contest.goals]


def judged(goal: Goal, pairs: Sequence[tuple[Figures, Figures]]) -> dict[str, Any]:
    """Give a goal's row: the medians, the ratio with its spread, whether it is reached."""
    found = [ours[goal.figure] / theirs[goal.other] for ours, theirs in pairs]
    ratio = statistics.median(found)
    reached = goal.reached(ratio)
    bound = None if goal.bound is None else f"{'<=' if goal.at_most else '>='} {goal.bound:g}x"
    return {
        "figure": goal.figure,
        "ours": statistics.median([ours[goal.figure] for ours, _ in pairs]),
        "theirs": statistics.median([theirs[goal.other] for _, theirs in pairs]),
        "ratio": ratio,
        "lowest": min(found),
        "highest": max(found),
        "pairs": len(found),
        "goal": bound,
        "reached": {None: None, True: "yes", False: "no"}[reached],
    }


async def compared(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run what the options ask for; gives the rows."""
    rows: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    modules = None
    try:
        modules = await install()
    except Unavailable as reason:
        skipped[f"npm fero {VERSION}"] = str(reason)
    contests = must(modules, options.scale)
    if not options.must:
        contests += more(options.scale)
        skipped["aiokafka"] = "no broker: needs Java and Kafka, that no script here starts"
    for contest in contests:
        if options.only in f"{contest.load} {contest.against}":
            rows += await held(contest, options.runs)
    return rows + [
        {"load": "all", "against": who, "reached": f"skipped: {reason}"}
        for who, reason in skipped.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__)
    options.add_argument("--must", action="store_true", help="only what has a goal")
    options.add_argument("--only", default="", help="only contests with this in their names")
    options.add_argument("--runs", type=whole, default=5, help="pairs of runs")
    options.add_argument("--scale", type=float, default=1.0, help="of the loads; 0.01 is tiny")
    options.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = options.parse_args(arguments)
    rows = asyncio.run(compared(given))
    shown = [{name: row.get(name) for name in COLUMNS} for row in rows]
    print(json.dumps(rows, indent=1) if given.json else table(shown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
