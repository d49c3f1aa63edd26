"""The streams: what an item costs in subjects, chains and bridges, in one process, no network.

`python -m benchmarks.streams -r 200000`. Nanoseconds an item, and as a multiple of the plain way to
do the same: RxPY's own Subject for emitting, for filter and for map, `asyncio.Queue` for
`async for`, and aiostream, where that is installed. All ways run in turn, so often; medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from reactivex import operators as ops
from reactivex.subject import Subject as Plain

from benchmarks.figures import table, whole
from rxfero import operators as fop
from rxfero.events import Hub

CHUNK = 512  # items put into a queue or stream before they are taken out again

Way = Callable[[int], Awaitable[float]]


def ignore(_: Any) -> None:
    """Take an item and do nothing."""


def chain(source: Any) -> Any:
    """Give the chain of filter and map."""
    return source.pipe(ops.filter(lambda n: n >= 0), ops.map(lambda n: n + 1))


def emitting(subject: Any, count: int) -> float:
    """Give the seconds that so many items take."""
    emit = subject.on_next
    begun = time.perf_counter()
    for n in range(count):
        emit(n)
    return time.perf_counter() - begun


async def passing(
    put: Callable[[int], object], get: Callable[[], Awaitable[object]], count: int
) -> float:
    """Give the seconds in which so many items are put in and taken out, `CHUNK` at a time."""
    begun = time.perf_counter()
    for first in range(0, count, CHUNK):
        some = min(CHUNK, count - first)
        for n in range(some):
            put(n)
        for _ in range(some):
            await get()
    return time.perf_counter() - begun


async def emit_rxfero(count: int) -> float:
    """Emit to one observer."""
    subject: Any = Hub("bench").on("change")
    subject.subscribe(ignore)
    return emitting(subject, count)


async def emit_plain(count: int) -> float:
    """Emit to one observer of RxPY's Subject."""
    subject: Plain[int] = Plain()
    subject.subscribe(ignore)
    return emitting(subject, count)


async def unobserved_rxfero(count: int) -> float:
    """Ask whether anybody observes, as the node does before it makes anything."""
    hub = Hub("bench")
    begun = time.perf_counter()
    for _ in range(count):
        if hub.observed("change"):
            raise AssertionError("nobody does")
    return time.perf_counter() - begun


async def unobserved_plain(count: int) -> float:
    """Emit to nobody on RxPY's Subject."""
    return emitting(Plain[int](), count)


async def chain_rxfero(count: int) -> float:
    """Emit through filter and map."""
    subject: Any = Hub("bench").on("change")
    chain(subject).subscribe(ignore)
    return emitting(subject, count)


async def chain_plain(count: int) -> float:
    """Emit through filter and map of RxPY's Subject."""
    subject: Plain[int] = Plain()
    chain(subject).subscribe(ignore)
    return emitting(subject, count)


async def stream_rxfero(count: int) -> float:
    """Emit, and read by `async for`, as `cache.stream` does."""
    subject: Any = Hub("bench").on("change")
    stream = subject.pipe(fop.to_async_iter(CHUNK))
    return await passing(subject.on_next, stream.__anext__, count)


async def stream_queue(count: int) -> float:
    """Put into an `asyncio.Queue`, and take out."""
    queue: asyncio.Queue[int] = asyncio.Queue(CHUNK)
    return await passing(queue.put_nowait, queue.get, count)


async def chain_aiostream(count: int) -> float:
    """Pull through filter and map of aiostream."""
    aio: Any = import_module("aiostream")
    pipe = aio.pipe
    source = aio.stream.range(count) | pipe.filter(lambda n: n >= 0) | pipe.map(lambda n: n + 1)
    begun = time.perf_counter()
    async with source.stream() as items:
        async for _ in items:
            pass
    return time.perf_counter() - begun


ROWS: dict[str, dict[str, Way]] = {
    "emit to one observer": {"rxfero": emit_rxfero, "RxPY": emit_plain},
    "unobserved": {"rxfero": unobserved_rxfero, "RxPY": unobserved_plain},
    "filter and map": {"rxfero": chain_rxfero, "RxPY": chain_plain},
    "async for": {"rxfero": stream_rxfero, "asyncio.Queue": stream_queue},
}
if find_spec("aiostream") is not None:
    ROWS["filter and map"]["aiostream"] = chain_aiostream


async def measure(count: int, runs: int) -> list[dict[str, Any]]:
    """Give a row for each way: nanoseconds an item, and the ratio of rxfero to each other way."""
    rows: list[dict[str, Any]] = []
    for what, ways in ROWS.items():
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(runs):
            for name, way in ways.items():
                taken[name].append(await way(count) / count * 1e9)
        for name in list(ways)[1:]:
            ratios = [a / b for a, b in zip(taken["rxfero"], taken[name], strict=True)]
            rows.append({
                "what": what,
                "rxfero ns": statistics.median(taken["rxfero"]),
                "beside": name,
                "its ns": statistics.median(taken[name]),
                "ratio": statistics.median(ratios),
            })
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.streams", description=__doc__)
    options.add_argument("-r", dest="records", type=whole, default=200_000, help="items")
    options.add_argument("--runs", type=whole, default=5)
    options.add_argument("--json", action="store_true")
    given = options.parse_args(arguments)
    rows = asyncio.run(measure(given.records, given.runs))
    print(json.dumps(rows) if given.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
