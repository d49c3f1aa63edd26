"""The sink: one that takes a hundredth of what its source could give; what it costs the others.

`python -m benchmarks.sink --seconds 20`. Two loads, each of three processes: a server, a source and
a sink.

changes   The source writes at a steady rate; the sink reads ``stream("change")`` and takes a
          hundredth of that. Beside it another reads all. The source does not wait for readers: what
          they have not read yet lies in the bounded history of the log, once; a sink for which it
          no longer reaches back is told `reset` and goes on from the state.
messages  The source sends with ``fop.send(window=1000)`` what it can; the handler is the sink, it
          takes one message at a time. The source has to wait.

Shown: items a second that were given and taken, the most that waited in the sink's stream or for
the handler, and the memory of each process after a fifth of the time and at the end. The exit
status is 0 if no process grew by more than --bound MiB meanwhile, and no more items waited than the
sink allows for.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from benchmarks.figures import MIB, table, whole
from benchmarks.processes import HOST, Cast, Worker, free_ports
from benchmarks.worker import commands, say
from rxfero import Cache, Request, fero, run
from rxfero import operators as fop

CONSTANTS = {"shards": 16, "partitions.history.max": 1024}
WAITING = 1024  # changes in the sink's stream
WINDOW = 1000  # messages of the source that are unanswered
KEYS = 100
WARM = 0.2  # of the time


class Part:
    """One process: what it gave or took, and what waits in it."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.count = self.waiting = self.lags = self.resets = 0
        self._pause = 1.0 / params["rate"]
        self._slow = self._pause * params["factor"]
        self._text = "*" * params["size"]
        self._one = asyncio.Lock()

    async def handle(self, request: Request) -> str:
        """Take one message at a time, slowly."""
        self.waiting += 1
        async with self._one:
            await asyncio.sleep(self._slow)
        self.waiting -= 1
        self.count += 1
        return "taken"

    async def write(self, cache: Cache) -> None:
        """Write at a steady rate."""
        begun = time.monotonic()
        while True:
            due = int((time.monotonic() - begun) / self._pause)
            while self.count < due:
                cache.update(f"k{self.count % KEYS}", [self.count, self._text])
                self.count += 1
            await asyncio.sleep(0.005)

    async def send(self, cache: Cache) -> None:
        """Send what the handler takes."""
        texts = fop.from_async_iter(self._texts())
        await texts.pipe(fop.send(cache, type="work", window=WINDOW))

    async def _texts(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            self.count += 1
            yield {"type": "work", "value": self._text}

    async def read(self, cache: Cache, slow: bool) -> None:
        """Read the changes: slowly, or as they come."""
        cache.on("reset", self._reset)
        stream = cache.stream("change", maxsize=WAITING)
        async for _ in stream:
            self.count += 1
            if slow:
                told = stream.stats()
                self.waiting = max(self.waiting, told["waiting"])
                self.lags = told["lags"]
                await asyncio.sleep(self._slow)

    def _reset(self, _: object) -> None:
        self.resets += 1


async def play(params: dict[str, Any]) -> None:
    """Be one process: tell figures at each line that comes."""
    part, role = Part(params), params["role"]
    options: dict[str, Any] = {
        "hosts": [HOST], "ports": params["ports"], "constants": CONSTANTS,
        "client": role != "server",
    }  # fmt: skip
    handler = part.handle if role == "server" and params["load"] == "messages" else None
    async with fero("sink", handler, **options) as cache:
        works = {"source": part.write if params["load"] == "changes" else part.send}
        lines, work = await commands(), None
        say("ready")
        while await lines.readline():
            if work is None and role in works:
                work = asyncio.create_task(works[role](cache))
            elif work is None and role in ("sink", "reader"):
                work = asyncio.create_task(part.read(cache, role == "sink"))
            if work is not None and work.done():
                work.result()
            gc.collect()
            stats = cache.stats()
            say(
                "result", count=part.count, waiting=part.waiting, lags=part.lags,
                pending=stats["pending"],
                resets=part.resets, rss=stats["rss"] / MIB,
            )
        if work is not None:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def measure(load: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Run one load; gives a row a process."""
    cast, ports = Cast(timeout_s=60.0, module=("benchmarks.sink", "--role")), free_ports(3)
    params = {
        "load": load, "ports": ports, "rate": given.rate, "factor": given.factor,
        "size": given.size,
    }  # fmt: skip
    roles = ("server", "sink", "reader", "source") if load == "changes" else ("server", "source")
    workers: dict[str, Worker] = {}
    try:
        for role in roles:
            workers[role] = await cast.start(role, params)
            await workers[role].hear("ready")
        samples = await _sampled(workers, given.seconds)
    finally:
        await asyncio.gather(*[worker.end() for worker in workers.values()])
    rows: list[dict[str, Any]] = []
    for role, told in samples.items():
        measured = [(at, one) for at, one in told if at >= WARM * given.seconds] or told[-1:]
        (first_at, first), (last_at, last) = measured[0], measured[-1]
        rows.append({
            "load": load, "process": role,
            "items a s": (last["count"] - first["count"]) / max(last_at - first_at, 1e-9),
            "waited at most": max(max(one["waiting"], one["pending"]) for _, one in told),
            "read from the log": last["lags"], "resets": last["resets"],
            "rss MiB": first["rss"], "rss MiB at the end": last["rss"],
        })  # fmt: skip
    return rows


async def _sampled(
    workers: dict[str, Worker], seconds: float
) -> dict[str, list[tuple[float, dict[str, Any]]]]:
    samples: dict[str, list[tuple[float, dict[str, Any]]]] = {role: [] for role in workers}
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        for role, worker in workers.items():
            samples[role].append((time.monotonic() - begun, await worker.ask()))
        await asyncio.sleep(seconds / 40)
    return samples


def within(rows: Sequence[dict[str, Any]], bound: float) -> bool:
    """Whether the memory stayed where it was, and no more waited than the sink allows for."""
    grown = max(row["rss MiB at the end"] - row["rss MiB"] for row in rows)
    return grown <= bound and all(row["waited at most"] <= max(WAITING, WINDOW) for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.sink", description=__doc__ or "")
    options.add_argument("--seconds", type=float, default=20.0, help="of each load")
    options.add_argument("--rate", type=whole, default=2000, help="items a second of the source")
    options.add_argument("--factor", type=whole, default=100, help="the sink is so much slower")
    options.add_argument("--size", type=whole, default=1000, help="bytes of an item")
    options.add_argument("--bound", type=whole, default=32, help="MiB that a process may grow by")
    options.add_argument("--json", action="store_true")
    options.add_argument("--role", help=argparse.SUPPRESS)
    given = options.parse_args(arguments)
    if given.role is not None:
        run(play(json.loads(given.role)))
        return 0
    if not given.seconds > 0:
        options.error("--seconds is more than 0")
    rows = [row for load in ("changes", "messages") for row in asyncio.run(measure(load, given))]
    print(json.dumps(rows) if given.json else table(rows))
    return 0 if within(rows, given.bound) else 1


if __name__ == "__main__":
    sys.exit(main())
