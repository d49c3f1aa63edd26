"""The cluster of a test: real nodes on loopback, found free ports, and waiting without sleeping."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from rxfero import fero
from rxfero.cache import Cache

HOST = "127.0.0.1"
WAIT_S = 20.0  # longest any step may take on a slow machine


def free_ports(n: int) -> tuple[int, int]:
    """Give (first, last) of n free ports in a row.

    They are below the range from which the system takes ports by itself, and drawn at random, so
    that neither the sockets of dials nor other tests running now are likely to meet them.
    """
    for _ in range(1000):
        first = random.randrange(12_000, 32_000 - n)
        held = [socket.socket() for _ in range(n)]
        try:
            for number, sock in enumerate(held):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((HOST, first + number))
        except OSError:
            continue
        finally:
            for sock in held:
                sock.close()
        return first, first + n - 1
    raise AssertionError(f"no {n} free ports in a row")


async def until(
    predicate: Callable[[], bool], *caches: Cache, timeout: float = WAIT_S, what: str = ""
) -> None:
    """Wait until something holds; looked at after every turn of any of the caches' nodes."""
    if predicate():
        return
    waits = [
        asyncio.ensure_future(cache._node.until(predicate, what, timeout)) for cache in caches
    ]
    done, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    if not predicate():
        for future in done:
            future.result()
        raise AssertionError(f"did not hold within {timeout} s: {what}")


def differences(*caches: Cache) -> dict[Any, list[Any]]:
    """Give the keys on which caches differ, with what each holds."""
    keys = {key for cache in caches for key in cache}
    found = {key: [cache.get(key, "(nothing)") for cache in caches] for key in keys}
    return {key: values for key, values in found.items() if any(v != values[0] for v in values)}


async def same(*caches: Cache, timeout: float = WAIT_S) -> None:
    """Wait until all the caches hold the same."""
    with suppress(TimeoutError):
        await until(lambda: not differences(*caches), *caches, timeout=timeout, what="same")
    found = differences(*caches)
    shown = dict(list(found.items())[:5])
    assert not found, f"{len(found)} keys differ after {timeout} s: {shown}"


async def alike(one: Cache, two: Cache) -> None:
    """Wait until the logs of two servers are equal.

    A burst that stalls a busy machine moves shards to other owners: equal state may be there first.
    """
    await until(
        lambda: one.partitions.heads() == two.partitions.heads(), one, two, what="equal logs"
    )


def key_of(server: Cache, stem: str = "key") -> str:
    """Give a key that a server owns."""
    return keys_of(server, 1, stem)[0]


def keys_of(server: Cache, n: int, stem: str = "key") -> list[str]:
    """Give n keys that a server owns."""
    found: list[str] = []
    for number in count():
        key = f"{stem}{number}"
        if server.peers.owner((key,)) is server.peers.me:
            found.append(key)
            if len(found) == n:
                return found
    raise AssertionError


def collect(cache: Cache, event: str = "change", **options: Any) -> list[Any]:
    """Give a list that fills with an event's payloads."""
    seen: list[Any] = []
    cache.on(event, seen.append, **options)
    return seen


class Cluster:
    """The nodes of one test: destroyed at its end, their stray errors shown.

    Args:
        name: The service.
        ports: How many ports in a row the nodes share.
        options: Of every node.

    Use: what is in `closing` is called at the end. `errors` collects what came on every node's
        `error` event, `loop_errors` what only the loop was told; the latter fails the test.
    """

    def __init__(self, name: str = "test", ports: int = 4, **options: Any) -> None:
        self.name = name
        self.ports = free_ports(ports)
        self.options = options
        self.nodes: list[Cache] = []
        self.closing: list[Callable[[], None]] = []
        self.errors: list[Any] = []
        self.loop_errors: list[Mapping[str, Any]] = []

    async def __aenter__(self) -> Cluster:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.loop_errors.append(context))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for close in self.closing:
            close()
        async with asyncio.timeout(30):
            clients = [n for n in self.nodes if n.peers.me is False]
            servers = [n for n in self.nodes if n.peers.me is not False]
            await asyncio.gather(*(node.destroy() for node in clients))
            await asyncio.gather(*(node.destroy() for node in servers))
        if kind is None:
            assert not self.loop_errors, self.loop_errors

    def adopt(self, cache: Cache) -> Cache:
        """Take a node that somebody else started."""
        self.nodes.append(cache)
        cache.on("error", self.errors.append)
        return cache

    async def server(self, handler: Any = None, **options: Any) -> Cache:
        """Start a server."""
        merged = {"ports": self.ports, **self.options, **options}
        async with asyncio.timeout(WAIT_S):
            return self.adopt(await fero(self.name, handler, **merged))

    async def client(self, **options: Any) -> Cache:
        """Start a client."""
        return await self.server(**{"client": True, **options})

    async def servers(self, n: int, handler: Any = None, **options: Any) -> list[Cache]:
        """Start n servers, one after the other, and wait until they agree."""
        started = [await self.server(handler, **options) for _ in range(n)]
        await stable(*started)
        return started


async def stable(*servers: Cache, timeout: float = WAIT_S) -> None:
    """Wait until servers know one another and agree on the ring."""
    await asyncio.gather(*(s.stable(len(servers), timeout) for s in servers))
    await asyncio.gather(*(s.connected(len(servers) - 1, timeout) for s in servers))


def flat(values: Iterable[Iterable[Any]]) -> list[Any]:
    """Give the items of the items."""
    return [item for value in values for item in value]


class Process:
    """A server in a process of its own: `member.py` beside this file.

    Use: `await Process.start(...)`; :meth:`kill` is kill -9; :meth:`stop` lets it leave.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(
        cls, name: str, ports: tuple[int, int], id: str = "", *, on: Sequence[str] = (),
        **options: Any,
    ) -> Process:
        """Start one and wait until it is ready; `on` is a command to run it by."""
        script = Path(__file__).with_name("member.py")
        process = await asyncio.create_subprocess_exec(
            *on, sys.executable, str(script), name, str(ports[0]), str(ports[1]), id,
            json.dumps(options),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            cwd=script.parents[2],
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
        assert line.startswith(b"ready"), line
        return cls(process)

    async def kill(self) -> None:
        """End it with SIGKILL."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        self._close()

    async def stop(self) -> int:
        """Let it leave the cluster; gives its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        async with asyncio.timeout(30):
            status = await self.process.wait()
        self._close()
        return status

    def _close(self) -> None:
        transport = getattr(self.process, "_transport", None)
        if transport is not None:
            transport.close()
