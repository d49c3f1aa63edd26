"""The demo's node: one process of the demo cluster, told what to do by lines of JSON.

``python -m rxfero.demo_node '{"role": "server", ...}'`` reads commands from standard input and
answers on standard output, a line an object. It uses nothing but the public API.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any

from rxfero import Cache, RxferoError, fero, run
from rxfero import operators as fop

WINDOW = 64  # writes of one process in flight at once


def say(**what: Any) -> None:
    """Tell the demo something."""
    sys.stdout.write(json.dumps(what, separators=(",", ":")) + "\n")
    sys.stdout.flush()


class Watcher:
    """Checks, on one node, that the changes of each key come in the order they were written.

    What a rollback takes back comes again: a client may have seen what only the killed server had.
    """

    def __init__(self, users: Cache) -> None:
        self.seen = 0
        self.disorder = 0
        self._last: dict[Any, int] = {}
        users.on("change", self._changed)
        users.on("rollback", self._undone)

    def _changed(self, change: Any) -> None:
        self.seen += 1
        number = change.value["n"]
        key = change.partition
        if number <= self._last.get(key, -1):
            self.disorder += 1
        self._last[key] = number

    def _undone(self, changes: list[Any]) -> None:
        for change in changes:
            number, key = change.value["n"], change.partition
            self._last[key] = min(self._last.get(key, -1), number - 1)


async def write(users: Cache, name: str, first: int, count: int, pace: float) -> None:
    """Write: every tenth to one key again and again, the others each to a key of its own."""
    acked: list[str] = []
    failed: list[str] = []
    free = asyncio.Semaphore(WINDOW)

    async def one(number: int) -> None:
        key = f"{name}-latest" if number % 10 == 0 else f"{name}-{number}"
        value = {"n": number, "email": f"{key}@x.org"}
        try:
            await (users.update(key, value) if number % 10 == 0 else users.add(key, value))
        except RxferoError as error:
            failed.append(f"{key}={number}: {error}")
        else:
            acked.append(f"{key}={number}")
        finally:
            free.release()

    async with asyncio.TaskGroup() as tasks:
        for number in range(first, first + count):
            await free.acquire()
            tasks.create_task(one(number))
            if number % 8 == 0:
                await asyncio.sleep(pace)
                if acked:
                    say(event="acked", writes=acked)
                    acked = []
    say(event="acked", writes=acked)
    say(event="written", failed=failed)


def digest(cache: Cache) -> dict[str, Any]:
    """Sum up a state so that equal ones are seen to be equal."""
    items = sorted((str(key), cache[key]) for key in cache)
    text = json.dumps(items, sort_keys=True)
    return {"keys": len(items), "sha": hashlib.sha256(text.encode()).hexdigest()[:16]}


async def serve(spec: dict[str, Any], users: Cache, own: Cache | None) -> None:
    """Do what the lines say until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    watcher = Watcher(users)
    writing: set[asyncio.Task[None]] = set()
    say(event="ready", name=spec["name"], keys=len(users))
    while line := await reader.readline():
        ask = json.loads(line)
        match ask["do"]:
            case "write":
                task = asyncio.create_task(
                    write(users, spec["name"], ask["first"], ask["count"], ask["pace"])
                )
                writing.add(task)
                task.add_done_callback(writing.discard)
            case "stable":
                await users.stable(ask["servers"], timeout=20)
                say(event="stable", shares=users.ring.shares())
            case "holds":
                missing = [w for w in ask["writes"] if not holds(users, w)]
                say(event="holds", missing=missing)
            case "state":
                say(event="state", own=None if own is None else dict(own), seen=watcher.seen,
                    disorder=watcher.disorder, **digest(users))  # fmt: skip
            case other:
                say(event="unknown", do=other)


def holds(users: Cache, written: str) -> bool:
    """Whether a write, or a later one of the same key, is in the state."""
    key, _, number = written.rpartition("=")
    value = users.get(key)
    return value is not None and value["n"] >= int(number)


def notifications(users: Cache, sent: Cache) -> None:
    """Welcome everybody who was added: one operator chain."""
    users.on("change").pipe(
        fop.of_type("add"),
        fop.update(
            sent, key=lambda c: (str(c.partition),), value=lambda c: f"welcome {c.value['email']}"
        ),
    ).subscribe()


def counts(users: Cache, totals: Cache) -> None:
    """Count the changes by their type: one operator chain."""
    users.on("change").pipe(
        fop.count_by("type"),
        fop.update(totals, key=lambda pair: pair[0], value=lambda pair: pair[1]),
    ).subscribe()


PIPELINES: dict[str, Callable[[Cache, Cache], None]] = {
    "notifications": notifications,
    "counts": counts,
}


async def main(spec: dict[str, Any]) -> None:
    """Be the node of a spec."""
    ports, name = tuple(spec["ports"]), spec["name"]
    pipeline = PIPELINES.get(spec["role"])
    async with fero(
        "users", id=name, client=spec["role"] != "server", ports=ports
    ) as users:
        await users.connected(0 if spec["role"] == "server" else 1, timeout=20)
        if pipeline is None:
            await serve(spec, users, None)
            return
        async with fero(spec["role"], id=f"{name}-own") as own:
            pipeline(users, own)
            await serve(spec, users, own)


if __name__ == "__main__":
    run(main(json.loads(sys.argv[1])))
