"""The swarm: servers in processes of their own, started at once, that know of each other nothing.

As a program it is one of them: it says when it is in a ring of so many, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from rxfero import fero, run

STABLE_S = 60.0


async def start(
    each: list[dict[str, Any]], on: Callable[[int], list[str]] = lambda number: []
) -> tuple[float, list[Any]]:
    """Start a swarm; gives the seconds until all agree on the ring, and the processes.

    Args:
        each: The options of each.
        on: What the command of each begins with.
    """
    begun = time.monotonic()
    swarm = await asyncio.gather(*[
        asyncio.create_subprocess_exec(
            *on(number), sys.executable, __file__, json.dumps({"servers": len(each), **options}),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        for number, options in enumerate(each)
    ])  # fmt: skip
    try:
        async with asyncio.timeout(STABLE_S * 2):
            lines = await asyncio.gather(*[process.stdout.readline() for process in swarm])
        rings = {line.decode().strip() for line in lines}
        assert len(rings) == 1, rings
        assert rings.pop().isdigit()
    except BaseException:
        await stop(swarm, kill=True)
        raise
    return time.monotonic() - begun, swarm


async def stop(swarm: list[Any], *, kill: bool = False) -> None:
    """End a swarm."""
    for process in swarm:
        if process.returncode is None:
            if kill:
                process.kill()
            else:
                process.stdin.close()
    async with asyncio.timeout(STABLE_S):
        for process in swarm:
            await process.wait()
            process._transport.close()


async def main(spec: dict[str, Any]) -> None:
    """Be one of the swarm."""
    servers = spec.pop("servers")
    async with fero("swarm", **spec) as cache:
        await cache.stable(servers, timeout=STABLE_S)
        print(cache.ring.checksum, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    run(main(json.loads(sys.argv[1])))
