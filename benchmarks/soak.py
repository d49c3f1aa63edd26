"""The soak: steady writes while servers and clients come and go; what stays must not grow.

`python -m benchmarks.soak --minutes 60`. Two servers and a client stay; the client writes, at a
steady rate, to keys that it goes round and round, and reads all changes. Beside them one server or
client after the other joins, writes, and leaves or is killed. Each second the ones that stay tell
their memory, tasks and open files; shown are these at the first and the last of the time measured,
and their slope, by least squares. The first fifth (`--warm`) is left out: until then histories
fill, and tables of sessions (the last 256 of each shard).

Exit status 0 if no write failed or was refused, and all servers hold the same at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.figures import MIB, table, whole
from benchmarks.processes import HOST, Cast, Worker, free_ports
from benchmarks.worker import commands, say
from rxfero import Cache, fero, run
from rxfero.core.value import pack

CONSTANTS = {"shards": 16, "partitions.history.max": 64}  # histories, sessions: full soon
MEASURED = ("rss MiB", "tasks", "files")
AWAIT_S = 60.0
UNDER_WAY = 16  # writes at once
WRITE = "a write"


def files() -> int:
    """Give how many files and sockets are open; 0 where that is not told."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def tasks() -> int:
    """Give how many tasks there are but the writes under way."""
    return sum(task.get_name() != WRITE for task in asyncio.all_tasks())


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Give the slope of the line through points with the least squares; 0 of a single point."""
    if len(points) < 2 or len({x for x, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope


class Writer:
    """Writes at a steady rate, and counts what became of it."""

    def __init__(self, cache: Cache, rate: int, keys: int) -> None:
        self._cache, self._rate, self._keys = cache, rate, keys
        self.acknowledged = 0
        self.failures: list[str] = []

    async def run(self, name: str) -> None:
        """Write until cancelled; falls behind rather than queue more than `UNDER_WAY` writes."""
        begun, sent = time.monotonic(), 0
        under_way = asyncio.Semaphore(UNDER_WAY)
        async with asyncio.TaskGroup() as group:
            while True:
                await under_way.acquire()
                write = self._one(f"{name}-{sent % self._keys}", sent, under_way)
                group.create_task(write, name=WRITE)
                sent += 1
                ahead = begun + sent / self._rate - time.monotonic()
                if ahead > 0:
                    await asyncio.sleep(ahead)

    async def _one(self, key: str, number: int, under_way: asyncio.Semaphore) -> None:
        try:
            await self._cache.update(key, {"n": number, "text": "*" * 80})
            self.acknowledged += 1
        except Exception as error:  # counted and told
            self.failures.append(f"{type(error).__name__}: {error}")
        finally:
            under_way.release()


async def stay(params: dict[str, Any]) -> None:
    """Be one process: a sample at each line that comes, an orderly end when no more come."""
    options: dict[str, Any] = {
        "hosts": [HOST], "ports": params["ports"], "constants": CONSTANTS,
        "client": params["role"] == "client",
    }  # fmt: skip
    seen = 0

    def count(_: object) -> None:
        nonlocal seen
        seen += 1

    async with fero("soak", **options) as cache:
        cache.on("change", count)
        writer = Writer(cache, params["rate"], params["keys"])
        writing = asyncio.create_task(writer.run(params["name"])) if params["rate"] else None
        lines = await commands()
        say("ready")
        while await lines.readline():
            gc.collect()
            state = sorted((str(key), pack(value)) for key, value in cache.items())
            say(
                "result", acknowledged=writer.acknowledged, failures=writer.failures[:3],
                failed=len(writer.failures), seen=seen, keys=len(state),
                sha=hashlib.sha256(repr(state).encode()).hexdigest(),
                **{"rss MiB": cache.stats()["rss"] / MIB, "tasks": tasks(), "files": files()},
            )  # fmt: skip
        if writing is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


class Soak:
    """The processes, and what they told."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._ports = free_ports(6)
        self._cast = Cast(timeout_s=AWAIT_S, module=("benchmarks.soak", "--role"))
        self._last: dict[str, Any] = {}
        self._staying: dict[str, Worker] = {}
        self._told: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        self.joins = self.leaves = self.kills = 0

    async def run(self) -> dict[str, Any]:
        """Run for so many minutes; gives the figures."""
        given, seconds = self._given, self._given.minutes * 60
        try:
            for at in range(2):
                self._staying[f"server {at + 1}"] = await self._start("server", f"s{at}", 0)
            self._staying["client"] = await self._start("client", "c", given.rate)
            begun = time.monotonic()
            guests = asyncio.create_task(self._guests())
            while time.monotonic() - begun < seconds:
                await asyncio.sleep(min(1.0, seconds / 20))
                await self._sample(begun)
                if guests.done():
                    guests.result()
            guests.cancel()
            await asyncio.gather(guests, return_exceptions=True)
            equal = await self._equal()
            return self._figures(time.monotonic() - begun, equal)
        finally:
            await asyncio.gather(*[worker.end() for worker in self._staying.values()])

    async def _start(self, role: str, name: str, rate: int) -> Worker:
        params = {"name": name, "rate": rate, "keys": self._given.keys, "ports": self._ports}
        worker = await self._cast.start(role, params)
        try:
            worker.ready = await worker.hear("ready")
        except BaseException:
            await worker.end()
            raise
        return worker

    async def _guests(self) -> None:
        """Let one after the other join, write, and go: by leaving, or by being killed."""
        every, number = self._given.every, 0
        while True:
            number += 1
            role = "client" if number % 3 == 0 else "server"
            guest = await self._start(role, f"guest-{number % 5}", self._given.rate // 10 or 1)
            self.joins += 1
            try:
                await asyncio.sleep(every)
                if number % 4 == 2:
                    self.kills += 1
                    guest.process.kill()
                else:
                    self.leaves += 1
            finally:
                await guest.end()
            await asyncio.sleep(every / 2)

    async def _sample(self, begun: float) -> None:
        for name, worker in self._staying.items():
            told = await worker.ask()
            self._told.setdefault(name, []).append((time.monotonic() - begun, told))
        print(f"\r{time.monotonic() - begun:7.0f} s  joins {self.joins}", end="",
              file=sys.stderr, flush=True)  # fmt: skip

    async def _equal(self) -> bool:
        """Whether both servers come to hold the same, the writer having stopped."""
        client = self._staying.pop("client")
        self._last = await client.ask()
        await client.end()
        until = time.monotonic() + AWAIT_S
        while time.monotonic() < until:
            states = [await worker.ask() for worker in self._staying.values()]
            if len({state["sha"] for state in states}) == 1:
                return True
            await asyncio.sleep(0.1)
        return False

    def _figures(self, seconds: float, equal: bool) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        for name, told in self._told.items():
            first = self._given.warm * seconds
            measured = [(at, one) for at, one in told if at >= first] or told[-1:]
            row: dict[str, Any] = {"process": name, "samples": len(measured)}
            for what in MEASURED:
                row[what] = float(measured[0][1][what])
                row[f"{what} at the end"] = float(measured[-1][1][what])
                row[f"{what} an hour"] = slope([(at / 3600, one[what]) for at, one in measured])
            rows.append(row)
        return {
            "minutes": seconds / 60, "writes": self._last["acknowledged"],
            "failed": self._last["failed"], "failures": self._last["failures"],
            "joins": self.joins, "leaves": self.leaves, "kills": self.kills,
            "equal": equal, "processes": rows,
        }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    said = __doc__ or ""
    options = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=said)
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--rate", type=whole, default=500, help="writes a second")
    options.add_argument("--keys", type=whole, default=1000, help="keys that a writer goes round")
    options.add_argument("--every", type=float, default=5.0, help="seconds that a guest stays")
    options.add_argument("--warm", type=float, default=0.2, help="share of the time left out")
    options.add_argument("--json", action="store_true")
    options.add_argument("--role", help=argparse.SUPPRESS)
    given = options.parse_args(arguments)
    if given.role is not None:
        run(stay(json.loads(given.role)))
        return 0
    if not given.minutes > 0 or not given.every > 0:
        options.error("--minutes and --every are more than 0")
    if not 0 <= given.warm < 1:
        options.error("--warm is 0 to less than 1")
    found = asyncio.run(Soak(given).run())
    print(file=sys.stderr)
    if given.json:
        print(json.dumps(found))
    else:
        rows = found.pop("processes")
        print(table([found]), table(rows), sep="\n\n")
    return 0 if found["equal"] and not found["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
