"""The split: servers on three hosts of one network that is cut and healed, each a process.

As a program it prints what they agree on, a line a stage. With an argument it is one of the servers: a line
"stable N" on its input waits for a ring of N, "write K" writes a key, "has K ..." waits for keys.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from rxfero import Cache, fero, run
from tests.chaos.hosts import INSIDE, Hosts, enter

WITHIN_S = 60.0


class Server:
    """A server on a host of its own."""

    def __init__(self, process: Any) -> None:
        self.process = process

    async def ask(self, command: str) -> str:
        """Let it do something; gives what it says."""
        self.process.stdin.write(f"{command}\n".encode())
        async with asyncio.timeout(WITHIN_S):
            return (await self.process.stdout.readline()).decode().strip()

    async def end(self) -> None:
        self.process.stdin.close()
        async with asyncio.timeout(WITHIN_S):
            await self.process.wait()


async def serve(address: str) -> None:
    """Be one of the servers, until the input ends."""
    options: dict[str, Any] = {
        "hosts": [address], "multicast": {"host": address, "ttl": 1},
        "constants": {"heartbeat": {"ping": 200, "suspect": 1000, "dead": 2000}},
    }  # fmt: skip
    loop = asyncio.get_running_loop()
    async with fero("split", **options) as cache:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(await _do(cache, *line.split()), flush=True)


async def _do(cache: Cache, what: str, *given: str) -> str:
    if what == "stable":
        await cache.stable(int(given[0]), timeout=WITHIN_S)
        return cache.ring.checksum
    if what == "write":
        await cache.update(given[0], what).on("commit")
        return "written"
    async with asyncio.timeout(WITHIN_S):
        async for _ in cache.stream("change", since="state"):
            if {*given} <= {*cache}:
                break
    return " ".join(sorted(given))


async def main() -> None:
    """Start them cut off from each other, heal, cut and heal again."""
    hosts = Hosts(3)
    await hosts.start()
    servers: list[Server] = []
    try:
        await hosts.unplug(2)
        for number, address in enumerate(hosts.addresses):
            servers.append(Server(await asyncio.create_subprocess_exec(
                *hosts.command(number), sys.executable, __file__, address,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )))  # fmt: skip
        for stage, (one, other) in {"never met": "ab", "met and parted": "cd"}.items():
            rings = await asyncio.gather(*[
                server.ask(f"stable {size}") for server, size in zip(servers, (2, 2, 1), strict=True)
            ])
            apart = rings[0] == rings[1] != rings[2]
            await asyncio.gather(servers[0].ask(f"write {one}"), servers[2].ask(f"write {other}"))
            await hosts.plug(2)
            whole = await asyncio.gather(*[server.ask("stable 3") for server in servers])
            held = await asyncio.gather(*[server.ask(f"has {one} {other}") for server in servers])
            print(json.dumps({
                "stage": stage, "apart": apart, "one ring": len(set(whole)) == 1, "held": held,
            }), flush=True)  # fmt: skip
            await hosts.unplug(2)
        await hosts.plug(2)
        await asyncio.gather(*[server.end() for server in servers])
    finally:
        for server in servers:
            if server.process.returncode is None:
                server.process.kill()
                await server.process.wait()
        await hosts.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(serve(sys.argv[1]))
    elif not os.environ.get(INSIDE):
        sys.exit(enter("tests.integration.split", []))
    else:
        run(main())
