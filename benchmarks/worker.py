"""The worker: one rxfero process of a load, `python -m benchmarks.worker PARAMS`.

It keeps the lines of `benchmarks.processes`. Roles: server and client. For latencies the two also
talk over a bare TCP echo, that rxfero's are compared with.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from benchmarks.processes import HOST
from rxfero import Cache, Request, fero, run

Round = Callable[[int], Awaitable[dict[str, Any]]]
Params = dict[str, Any]
CALL_BYTES_MAX = 256
BLOCK = 100
BULK = 500  # messages or updates asked for together, where a load is in bulk
KEYS_AMONG = 100  # looked through for each that is wanted


def rss() -> int:
    """Give the most memory this process has held, in bytes; 0 where that is not told."""
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def say(what: str, **more: Any) -> None:
    """Write a line to the parent."""
    print(json.dumps({"is": what, **more}), flush=True)


async def commands() -> asyncio.StreamReader:
    """Give the lines of the parent; it ends when the parent does."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


class Count:
    """A counter that ends a wait when it gets to a goal."""

    def __init__(self) -> None:
        self.seen, self._goal = 0, -1
        self._reached: asyncio.Future[float] | None = None

    def add(self, count: int) -> None:
        """So many more have been seen."""
        self.seen += count
        if self.seen >= self._goal and self._reached is not None and not self._reached.done():
            self._reached.set_result(perf_counter())

    def one(self, _: object) -> None:
        """One more has been seen."""
        self.seen += 1
        if self.seen == self._goal and self._reached is not None:
            self._reached.set_result(perf_counter())

    def after(self, count: int) -> asyncio.Future[float]:
        """Give the clock's reading at which so many more will have been seen."""
        self._goal = self.seen + count
        self._reached = asyncio.get_running_loop().create_future()
        return self._reached


def speed(cache: Cache, params: Params) -> Round:
    """Send messages without awaiting, one by one or in bulk; see them sent, received, answered."""
    counts = {"tacks": Count(), "yacks": Count(), "sacks": Count()}
    cache.on("tack", counts["tacks"].add)
    cache.on("ack", counts["yacks"].add)
    bulk = params.get("bulk", False)
    if bulk:
        cache.on("replies", lambda answered: counts["sacks"].add(len(answered)))
    else:
        cache.on("reply", counts["sacks"].one)
    text = "*" * params["bytes"]

    async def turn(count: int) -> dict[str, Any]:
        goals = {name: counter.after(count) for name, counter in counts.items()}
        send, send_many = cache.peers.send, cache.peers.send_many
        start = perf_counter()
        if bulk:
            for first in range(0, count, BULK):
                send_many("test", [text] * min(BULK, count - first))
        else:
            for _ in range(count):
                send({"type": "test", "value": text})
        return {name: await goal - start for name, goal in goals.items()}

    return turn


def latency(cache: Cache, params: Params) -> Round:
    """Send one message at a time, when the one before is received or answered.

    Blocks of a bare echo between the same two processes go in turn with blocks of messages: on one
    core an echo takes 20 microseconds, across two cores 50 to 90, so that a floor measured in other
    processes or at another moment says nothing.
    """
    text, stage = "*" * params["bytes"], params["stage"]
    data = text.encode()

    async def turn(count: int) -> dict[str, Any]:
        seconds: list[float] = []
        bare: list[float] = []
        send = cache.peers.send
        loop = asyncio.get_running_loop()
        transport, ping = await loop.create_connection(Ping, HOST, params["bare"])
        for first in range(0, count, BLOCK):
            block = min(BLOCK, count - first)
            for _ in range(block):
                start = perf_counter()
                await ping.send(data)
                bare.append(perf_counter() - start)
            for _ in range(block):
                start = perf_counter()
                sent = send({"type": "test", "value": text})
                await (sent if stage == "reply" else sent.on(stage))
                seconds.append(perf_counter() - start)
        transport.close()
        return {"seconds": seconds, "bare": bare}

    return turn


def commit(cache: Cache, params: Params) -> Round:
    """Update keys without awaiting, until all the writes are confirmed and seen here as changes."""
    keys = [f"k{at}" for at in range(params["keys"])]
    return updating(cache, "*" * params["bytes"], keys, bulk=params.get("bulk", False))


def updating(cache: Cache, text: str, keys: list[str], *, bulk: bool = False) -> Round:
    """Give what updates these keys in turn, one by one, or in bulk."""
    changes, confirmed = Count(), Count()
    if bulk:
        cache.on("changes", lambda seen: changes.add(len(seen)))
    else:
        cache.on("change", changes.one)
    cache.on("replies", lambda answered: confirmed.add(len(answered)))

    async def turn(count: int) -> dict[str, Any]:
        goals = {"seen": changes.after(count), "confirmed": confirmed.after(count)}
        update, every = cache.update, len(keys)
        start = perf_counter()
        if bulk:
            for first in range(0, count, BULK):
                part = range(first, min(first + BULK, count))
                cache.update_many([keys[at % every] for at in part], [text] * len(part))
        else:
            for at in range(count):
                update(keys[at % every], text)
        return {name: await goal - start for name, goal in goals.items()}

    return turn


def owned(cache: Cache, count: int, others: bool) -> list[str]:
    """Give keys of the server that this node hands its writes to, or keys of the other servers.

    Raises:
        RuntimeError: there are too few; it is connected to all of them, or to none.
    """
    me = cache.peers.me
    door = {me} if me is not False else set(cache.peers.lists.connected)
    among = (f"k{at}" for at in range(count * KEYS_AMONG))
    found = (key for key in among if (cache.peers.owner(key) in door) is not others)
    keys = list(itertools.islice(found, count))
    if len(keys) < count:
        raise RuntimeError(f"{len(keys)} keys found, not {count}, with {len(door)} servers at hand")
    return keys


def passing(cache: Cache, params: Params) -> Round:
    """Update keys that the server written to owns, or that it passes on; then one at a time."""
    text, keys = "*" * params["bytes"], owned(cache, params["keys"], params["others' keys"])
    burst = updating(cache, text, keys)

    async def turn(count: int) -> dict[str, Any]:
        times, seconds = await burst(count), list[float]()
        for at in range(min(count, params["trips"])):
            start = perf_counter()
            await cache.update(keys[at % len(keys)], text)
            seconds.append(perf_counter() - start)
        return {**times, "seconds": seconds}

    return turn


LOADS: dict[str, Callable[[Cache, Params], Round]] = {
    "speed": speed, "latency": latency, "commit": commit, "passing": passing,
}  # fmt: skip


def echoes(request: Request) -> str:
    """Answer a message."""
    return "echo"


async def serve(params: Params) -> None:
    """Be a server, that answers "echo" where `echo` is set."""
    heard = await commands()
    cache = await fero("bench", echoes if params["echo"] else None, ports=tuple(params["ports"]))
    await cache.connected(params["others"])
    await cache.stable(params["others"] + 1)
    bare = await asyncio.get_running_loop().create_server(Echo, HOST, 0)
    say("ready", bare=bare.sockets[0].getsockname()[1])
    while await heard.readline():
        say("result", rss=rss())
    bare.close()
    await cache.destroy()


async def ask(params: Params) -> None:
    """Be a client, or one more server, that runs a load a command."""
    heard = await commands()
    pending = (params["count"] + params["warm"]) * (params["bytes"] + CALL_BYTES_MAX)
    cache = await fero(
        "bench", client=params.get("client", True), ports=tuple(params["ports"]),
        constants={"requests": {"pending": max(pending, 1 << 28)}}, ack=params.get("ack", "auto"),
    )
    await cache.stable(params["servers"])
    await cache.connected(1)
    turn = LOADS[params["load"]](cache, params)
    if params["warm"]:
        await turn(params["warm"])
    say("ready")
    while await heard.readline():
        say("result", times=await turn(params["count"]), rss=rss())
    await cache.destroy()


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


class Ping(asyncio.Protocol):
    """Sends some bytes and tells when so many have come back."""

    def __init__(self) -> None:
        self.back: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._missing = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def send(self, data: bytes) -> asyncio.Future[None]:
        """Send; gives what ends when all is back."""
        self._missing, self.back = len(data), asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return self.back

    def data_received(self, data: bytes) -> None:
        self._missing -= len(data)
        if self._missing <= 0 and not self.back.done():
            self.back.set_result(None)


ROLES = {"server": serve, "client": ask}


def main() -> None:
    """Play the role that the argument asks for."""
    params = json.loads(sys.argv[1])
    try:
        run(ROLES[params["role"]](params))
    except Exception as error:
        say("failed", error=f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main()
