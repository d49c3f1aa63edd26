"""The pictured: `rxfero ls` as it looks while a cluster is written to, for the README.

``python -m tests.docs.pictured`` starts the servers, writes, looks twice, and draws docs/ls.svg: in
the fonts that are there, with no address of another place in it.
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
from pathlib import Path

from rich.console import Console, Group

from rxfero import fero
from rxfero.commands.listing import _by_name, dressed, fitting, rows_of, summary
from rxfero.commands.output import table_of
from rxfero.commands.whereabouts import Whereabouts
from rxfero.monitor import Monitor
from tests.integration.cluster import free_ports

PLACE = Path(__file__).parents[2] / "docs" / "ls.svg"
SERVERS = (("users", "ada"), ("users", "bela"), ("users", "cleo"), ("teams", "dora"))
WIDTH = 104  # characters
SERVER = """
import asyncio, sys
from rxfero import fero, run

async def main(service, name, first, last):
    async with fero(service, id=name, ports=(int(first), int(last))) as cache:
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

run(main(*sys.argv[1:]))
"""


async def looked() -> Group:
    """Give the table of a cluster that is written to."""
    ports = free_ports(len(SERVERS) + 1)
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVER, *names, *map(str, ports), stdin=pipe, stdout=pipe
        )
        for names in SERVERS
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        async with (
            fero("users", client=True, ports=ports) as users,
            fero("teams", client=True, ports=ports) as teams,
            Monitor(None, Whereabouts(ports="{}-{}".format(*ports)).read()) as monitor,
        ):
            await users.stable(3)
            await teams.stable(1)
            before = await monitor.look(1.0)
            for number in range(1200):
                users.update(f"user {number % 400}", {"n": number})
                if number % 3 == 0:
                    teams.update(f"team {number % 12}", number)
                await asyncio.sleep(0.001)
            await users.update("user 1", {"n": -1}, ack="all")
            seen = await monitor.look(1.0)
        rows = dressed(rows_of(seen, _by_name(before)))
        return Group(summary(seen), table_of(rows, fitting(rows, WIDTH)))
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        await asyncio.gather(*(process.wait() for process in processes))


def drawn(shown: Group) -> str:
    """Give a table as an SVG that needs nothing from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(shown)
    svg = console.export_svg(title="rxfero ls", unique_id="ls")
    svg = re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL)
    return re.sub(r"font-family: Fira Code, monospace", "font-family: ui-monospace, monospace", svg)


if __name__ == "__main__":
    PLACE.write_text(drawn(asyncio.run(looked())), encoding="utf-8")
    print(PLACE)
