"""The example notifications: a sink that is declared, not programmed.

Two terminals: ``python -m rxfero.examples.notifications serve`` prints a line for everybody who
joins; ``python -m rxfero.examples.notifications join`` lets some join.
"""

import asyncio
import os
import sys

from rxfero import fero, run
from rxfero import operators as fop

PORTS = (int(os.environ.get("PORTS", "5210")), int(os.environ.get("PORTS", "5210")) + 9)


async def serve() -> None:
    """Welcome whoever is added, once in the whole cluster."""
    async with fero("people", ports=PORTS) as people:
        people.on("change").pipe(
            fop.of_type("add"),
            fop.only_owned(people),
        ).subscribe(lambda c: print(f"to {c.value['email']}: welcome, {c.key}!", flush=True))
        print(f"serving {people!r}", flush=True)
        await asyncio.Event().wait()


async def join() -> None:
    """Let three join."""
    async with fero("people", client=True, ports=PORTS) as people:
        await people.connected()
        for name in ("alice", "bob", "carol"):
            print(name, await people.add(name, {"email": f"{name}@x.org"}))


if __name__ == "__main__":
    run(serve() if sys.argv[1:] == ["serve"] else join())
