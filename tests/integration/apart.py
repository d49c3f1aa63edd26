"""The servers apart: a swarm on three hosts of one network, each a network namespace.

As a program it starts them and prints the addresses of those that a monitor on a fourth host sees.
"""

from __future__ import annotations

import asyncio
import os
import sys

from rxfero import run
from rxfero.monitor import Monitor
from rxfero.options import read_options
from tests.chaos.hosts import HERE, INSIDE, Hosts, enter
from tests.integration.swarm import start, stop


async def main() -> None:
    """Start them, look, and end them."""
    hosts = Hosts(3)
    await hosts.start()
    try:
        each = [
            {"hosts": [address], "multicast": {"host": address, "ttl": 1}}
            for address in hosts.addresses
        ]
        _, swarm = await start(each, hosts.command)
        async with Monitor(None, read_options({"multicast": {"host": HERE, "ttl": 1}})) as monitor:
            seen: set[str] = set()
            async with asyncio.timeout(20):
                while len(seen) < len(each):
                    seen = {n.figures["address"].partition(":")[0] for n in await monitor.look()}
        print(*seen)
        await stop(swarm)
    finally:
        await hosts.close()


if __name__ == "__main__":
    if not os.environ.get(INSIDE):
        sys.exit(enter("tests.integration.apart", []))
    run(main())
