"""The member: a server in a process of its own, until its standard input ends or it is killed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from rxfero import fero, run


async def main(name: str, first: int, last: int, id: str | None, options: Any) -> None:
    async with fero(name, ports=(first, last), id=id, **options) as cache:
        print("ready", cache.stats()["address"], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    service, low, high, given, more = sys.argv[1:]
    run(main(service, int(low), int(high), given or None, json.loads(more)))
