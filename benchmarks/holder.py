"""The holder: one rxfero server of `benchmarks.join`, `python -m benchmarks.holder PARAMS`.

The first fills itself with records and tells by how much its memory grew; the next is timed until
it has them all. It keeps the lines of `benchmarks.processes`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks.worker import commands, rss, say
from rxfero import Cache, fero, run

BATCH = 1000
LOOK_S = 0.01  # as often as its records are counted: what a join's seconds are exact to
TIMEOUT_S = 600.0


def held() -> int:
    """Give the memory this process holds now, in bytes; the most it held where that is not told."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return rss()
    return pages * os.sysconf("SC_PAGE_SIZE")


async def fill(cache: Cache, count: int, size: int) -> int:
    """Hold so many records; gives the bytes that the process grew by."""
    text = "*" * size
    gc.collect()
    before = held()
    for first in range(0, count, BATCH):
        last = None
        for at in range(first, min(first + BATCH, count)):
            last = cache.update(f"k{at}", text)
        if last is not None:
            await last
    gc.collect()
    return held() - before


async def hold(params: dict[str, Any]) -> None:
    """Be the first server or the next, until the parent ends."""
    heard = await commands()
    begun, count = monotonic(), params["count"]
    cache = await fero("bench", ports=tuple(params["ports"]))
    if params["others"]:
        async with asyncio.timeout(TIMEOUT_S):
            while len(cache) < count:  # noqa: ASYNC110  (a snapshot is no event for each record)
                await asyncio.sleep(LOOK_S)
        say("ready", seconds=monotonic() - begun, held=held())
    else:
        await cache.stable(1)
        say("ready", grown=await fill(cache, count, params["bytes"]))
    while await heard.readline():
        say("result")
    await cache.destroy()


if __name__ == "__main__":
    run(hold(json.loads(sys.argv[1])))
