"""The counts: what a message or an update costs in operations, that no busy machine can change.

`python -m benchmarks.counts -r 10000`: a server and a client on virtual time, so what a turn of
the loop finds is the same in every run (on real sockets a busy machine makes smaller batches).
Python's calls, frames encoded, writes to a socket and memory blocks that stay, each a record, in
bursts of so many at once; `tests/test_costs.py` holds them to bounds.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from benchmarks.figures import table, whole
from benchmarks.worker import BULK, Count, echoes
from rxfero import Cache
from rxfero.testing import SimulatedCluster, simulate

BURST = 1000
COUNTED = {  # modules and functions that are counted by themselves
    ("rxfero.core.frame", "encode_raw"): "frames",
    ("rxfero.transport", "send"): "writes",
    ("rxfero.transport", "push"): "writes",
    ("rxfero.core.replica", "receive"): "received",
    **{
        ("rxfero.core.value", name): "packs"
        for name in ("pack", "pack_scalars", "pack_column", "pack_body", "pack_body_of")
    },
}
FIGURES = ("calls", "packs", "frames", "writes")


class Tally:
    """Counts the calls of this package's Python functions while it is on."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def __enter__(self) -> Tally:
        sys.setprofile(self._take)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _take(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if module.startswith("rxfero") and not module.startswith("rxfero.testing"):
            self.found["calls"] += 1
            if what := COUNTED.get((module, name)):
                self.found[what] += 1


async def told(cache: Cache, event: str, count: int, ask: Callable[[], None]) -> None:
    """Ask for something, and wait until an event has told of so many."""
    seen = Count()
    batches = event.endswith("s")
    taken = cache.on(event).subscribe((lambda m: seen.add(len(m))) if batches else seen.one)
    all_here = seen.after(count)
    ask()
    await all_here
    taken.dispose()


async def messages(cache: Cache, count: int) -> None:
    """Send messages without awaiting, until all are answered."""

    def ask() -> None:
        for _ in range(count):
            cache.peers.send({"type": "test", "value": "*" * 100})

    await told(cache, "reply", count, ask)


async def messages_in_bulk(cache: Cache, count: int) -> None:
    """As `messages`, by the verbs that take and give columns."""

    def ask() -> None:
        for first in range(0, count, BULK):
            cache.peers.send_many("test", ["*" * 100] * min(BULK, count - first))

    await told(cache, "replies", count, ask)


async def updates(cache: Cache, count: int) -> None:
    """Update keys without awaiting, until all are seen here as changes."""

    def ask() -> None:
        for at in range(count):
            cache.update(f"k{at}", "*" * 100)

    await told(cache, "change", count, ask)


async def updates_in_bulk(cache: Cache, count: int) -> None:
    """As `updates`, by the verbs that take and give columns."""

    def ask() -> None:
        for first in range(0, count, BULK):
            keys = [f"k{at}" for at in range(first, min(first + BULK, count))]
            cache.update_many(keys, ["*" * 100] * len(keys))

    await told(cache, "changes", count, ask)


LOADS = {
    "messages": messages, "messages in bulk": messages_in_bulk,
    "updates": updates, "updates in bulk": updates_in_bulk,
}  # fmt: skip


def handler_of(load: str) -> Callable[..., Any] | None:
    """Give the handler that a load needs at its servers."""
    return echoes if load.startswith("messages") else None


async def measure(count: int) -> dict[str, dict[str, float]]:
    """Give each load's operations a record."""
    found: dict[str, dict[str, float]] = {}
    for name, load in LOADS.items():
        handler = handler_of(name)
        async with SimulatedCluster(servers=1, clients=1, handler=handler) as cluster:
            client = cluster.clients[0].cache
            await load(client, BURST)  # what is made once is made now
            gc.collect()
            before = sys.getallocatedblocks()
            with Tally() as tally:
                for first in range(0, count, BURST):
                    await load(client, min(BURST, count - first))
            gc.collect()
            kept = sys.getallocatedblocks() - before
            figures = {what: tally.found[what] / count for what in FIGURES}
            found[name] = {**figures, "blocks": kept / count}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.counts", description=__doc__)
    options.add_argument("-r", dest="records", type=whole, default=10_000, help="records")
    options.add_argument("--json", action="store_true")
    given = options.parse_args(arguments)
    found = simulate(measure(given.records))
    rows = [{"a record": name, **figures} for name, figures in found.items()]
    print(json.dumps(found) if given.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
