"""The rival: one process of a client library that rxfero is compared with.

`python -m benchmarks.rival PARAMS`; it keeps the lines of `benchmarks.processes`. Roles are named
for the library and what it does; each runs its load once a command and tells when it began and
ended, by the machine's one monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from time import monotonic
from typing import Any

from benchmarks.processes import HOST
from benchmarks.worker import commands, say
from rxfero import run

Params = dict[str, Any]
Turn = Callable[[], Awaitable[dict[str, Any]]]
PIPELINE = 1000  # commands a pipeline of redis-py
IN_FLIGHT = 100  # puts at once into a key-value bucket


async def redis_set(params: Params) -> Turn:
    """SET keys in turn, a pipeline of a thousand after the other."""
    client: Any = import_module("redis.asyncio").Redis(host=HOST, port=params["port"])
    text, keys = "*" * params["bytes"], [f"k{at}" for at in range(1000)]
    await client.ping()

    async def turn() -> dict[str, Any]:
        begun = monotonic()
        for first in range(0, params["count"], PIPELINE):
            pipe = client.pipeline(transaction=False)
            for at in range(first, min(first + PIPELINE, params["count"])):
                pipe.set(keys[at % 1000], text)
            await pipe.execute()
        return {"begun": begun, "ended": monotonic()}

    return turn


async def nats_client(params: Params) -> Any:
    """Give a client of nats-server that may hold all that is published."""
    nats: Any = import_module("nats")
    return await nats.connect(f"nats://{HOST}:{params['port']}", pending_size=1 << 28)


async def nats_publish(params: Params) -> Turn:
    """Publish without awaiting an answer, then flush."""
    client = await nats_client(params)
    data = b"*" * params["bytes"]

    async def turn() -> dict[str, Any]:
        begun = monotonic()
        for _ in range(params["count"]):
            await client.publish("bench", data)
        await client.flush(60)
        return {"begun": begun, "ended": monotonic()}

    return turn


async def nats_deliver(params: Params) -> Turn:
    """Take what is published, until all of it is here."""
    client = await nats_client(params)
    seen, goal, all_here = 0, 0, asyncio.Event()

    async def take(_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == goal:
            all_here.set()

    await client.subscribe("bench", cb=take, pending_msgs_limit=-1, pending_bytes_limit=-1)
    await client.flush()

    async def turn() -> dict[str, Any]:
        nonlocal goal
        goal += params["count"]
        all_here.clear()
        if seen < goal:
            await all_here.wait()
        return {"ended": monotonic()}

    return turn


async def nats_reply(params: Params) -> Turn:
    """Answer requests."""
    client = await nats_client(params)

    async def answer(message: Any) -> None:
        await message.respond(b"echo")

    await client.subscribe("ask", cb=answer)
    await client.flush()
    return idle


async def nats_request(params: Params) -> Turn:
    """Ask, one request at a time."""
    client = await nats_client(params)
    data = b"*" * params["bytes"]

    async def ask() -> None:
        await client.request("ask", data, timeout=10)

    return one_by_one(ask, params["count"])


async def nats_put(params: Params) -> Turn:
    """Put keys into a JetStream bucket in memory, so many at once."""
    client = await nats_client(params)
    api: Any = import_module("nats.js.api")
    bucket = await client.jetstream().create_key_value(
        bucket="bench", storage=api.StorageType.MEMORY
    )
    data = b"*" * params["bytes"]

    async def turn() -> dict[str, Any]:
        begun = monotonic()
        for first in range(0, params["count"], IN_FLIGHT):
            some = range(first, min(first + IN_FLIGHT, params["count"]))
            await asyncio.gather(*[bucket.put(f"k{at % 1000}", data) for at in some])
        return {"begun": begun, "ended": monotonic()}

    return turn


async def zmq_rep(params: Params) -> Turn:
    """Answer requests, on ZeroMQ's asyncio socket."""
    socket = zmq_socket("REP")
    socket.bind(f"tcp://{HOST}:{params['port']}")

    async def answer() -> None:
        while True:
            await socket.recv()
            await socket.send(b"echo")

    params["task"] = asyncio.create_task(answer())
    return idle


async def zmq_req(params: Params) -> Turn:
    """Ask, one request at a time."""
    socket = zmq_socket("REQ")
    socket.connect(f"tcp://{HOST}:{params['port']}")
    data = b"*" * params["bytes"]

    async def ask() -> None:
        await socket.send(data)
        await socket.recv()

    return one_by_one(ask, params["count"])


async def zmq_pull(params: Params) -> Turn:
    """Take what is pushed, until all of it is here."""
    socket = zmq_socket("PULL")
    socket.set_hwm(0)
    socket.bind(f"tcp://{HOST}:{params['port']}")

    async def turn() -> dict[str, Any]:
        for _ in range(params["count"]):
            await socket.recv()
        return {"ended": monotonic()}

    return turn


async def zmq_push(params: Params) -> Turn:
    """Push without awaiting an answer."""
    socket = zmq_socket("PUSH")
    socket.set_hwm(0)
    socket.connect(f"tcp://{HOST}:{params['port']}")
    data = b"*" * params["bytes"]

    async def turn() -> dict[str, Any]:
        begun = monotonic()
        for _ in range(params["count"]):
            await socket.send(data)
        return {"begun": begun, "ended": monotonic()}

    return turn


def zmq_socket(kind: str) -> Any:
    """Give a socket of pyzmq's asyncio face."""
    zmq: Any = import_module("zmq")
    aio: Any = import_module("zmq.asyncio")
    return aio.Context.instance().socket(getattr(zmq, kind))


def one_by_one(ask: Callable[[], Awaitable[None]], count: int) -> Turn:
    """Give what asks so often and tells the seconds of each."""

    async def turn() -> dict[str, Any]:
        begun, seconds = monotonic(), []
        for _ in range(count):
            start = monotonic()
            await ask()
            seconds.append(monotonic() - start)
        return {"begun": begun, "ended": monotonic(), "seconds": seconds}

    return turn


async def idle() -> dict[str, Any]:
    """Have nothing to tell."""
    return {}


ROLES = {
    "redis set": redis_set,
    "nats publish": nats_publish, "nats deliver": nats_deliver,
    "nats request": nats_request, "nats reply": nats_reply, "nats put": nats_put,
    "zmq req": zmq_req, "zmq rep": zmq_rep, "zmq push": zmq_push, "zmq pull": zmq_pull,
}  # fmt: skip


async def play(params: Params) -> None:
    """Be ready, then run the load a command."""
    heard = await commands()
    turn = await ROLES[params["role"]](params)
    say("ready")
    while await heard.readline():
        say("result", **await turn())


def main() -> None:
    """Play the role that the argument asks for."""
    try:
        run(play(json.loads(sys.argv[1])))
    except Exception as error:
        say("failed", error=f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main()
