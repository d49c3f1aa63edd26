"""The processes: servers and clients of a load, each a real process that is told when to start.

A worker writes JSON lines to stdout ("ready", then one "result" a command) and reads commands from
stdin; it ends when its stdin does. The original's workers keep the same lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

HOST = "127.0.0.1"
HERE = Path(__file__).parent
LINE_BYTES_MAX = 1 << 26
STDERR_LINES_MAX = 20
GRACE_S = 10.0


class WorkerFailed(RuntimeError):
    """A worker ended, or was silent, before it had given its result."""


def free_ports(count: int) -> tuple[int, int]:
    """Find a range of ports nobody listens on, by binding port 0 first."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            try:
                first = _bind(stack, 0)
                for port in range(first + 1, first + count):
                    _bind(stack, port)
            except (OSError, OverflowError):
                continue
            return first, first + count - 1
    raise OSError(f"no {count} free ports in a row found")


def _bind(stack: contextlib.ExitStack, port: int) -> int:
    bound = stack.enter_context(socket.socket())
    bound.bind((HOST, port))
    return int(bound.getsockname()[1])


class Worker:
    """One process of a load.

    Args:
        process: The running process.
        timeout_s: Limit of each wait for it.
    """

    def __init__(self, process: asyncio.subprocess.Process, timeout_s: float) -> None:
        self.process, self._timeout_s = process, timeout_s
        self.ready: dict[str, Any] = {}
        self._busy = True
        self._lines, self._last = 0, deque[str](maxlen=STDERR_LINES_MAX)
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        # Kept and bounded: a worker that fails a million times says so a million times.
        stream = self.process.stderr
        while stream is not None and (line := await stream.readline()):
            self._lines += 1
            self._last.append(line.decode(errors="replace").rstrip())

    async def hear(self, wanted: str) -> dict[str, Any]:
        """Wait for a line; others (a library's prints) are passed by.

        Raises:
            WorkerFailed: it ended, said it failed, or took too long.
        """
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(self._timeout_s):
                while line := await self.process.stdout.readline():
                    said = _said(line)
                    if said.get("is") == "failed":
                        raise WorkerFailed(f"a worker failed: {said.get('error')}")
                    if said.get("is") == wanted:
                        self._busy = False
                        return said
        except TimeoutError:
            raise WorkerFailed(f"no {wanted} within {self._timeout_s:g} s") from None
        raise WorkerFailed(f"a worker ended before its {wanted}")

    async def ask(self) -> dict[str, Any]:
        """Let it run its load once more; gives the result."""
        assert self.process.stdin is not None
        self._busy = True
        self.process.stdin.write(b"go\n")
        await self.process.stdin.drain()
        return await self.hear("result")

    async def end(self) -> None:
        """End it: close its stdin; kill it in the middle of a run, or if that is not enough.

        The last lines of its stderr are then printed on this one's.
        """
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self._busy and self.process.returncode is None:
            self.process.kill()
        try:
            async with asyncio.timeout(GRACE_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        await self._reading
        if self._lines:
            left = self._lines - len(self._last)
            cut = [f"({left:,} lines before these)"] if left else []
            print(*cut, *self._last, sep="\n", file=sys.stderr, flush=True)


def _said(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


class Cast:
    """Starts the workers of one implementation.

    Args:
        modules: The node_modules folder that holds the original, or None for rxfero.
        timeout_s: Limit of each wait for a worker.
        module: Which takes the worker's parameters as its last argument, and its options.
        holder: Whether the original's servers are its holders, that fill themselves.
    """

    def __init__(
        self, modules: Path | None = None, timeout_s: float = 120.0,
        module: Sequence[str] = ("benchmarks.worker",), *, holder: bool = False,
    ) -> None:  # fmt: skip
        self.modules, self.timeout_s, self.module = modules, timeout_s, module
        self._holder = holder

    @property
    def name(self) -> str:
        """What the tables call it."""
        return "rxfero" if self.modules is None else "original"

    async def start(self, role: str, params: dict[str, Any]) -> Worker:
        """Start a server or client; not waited for."""
        environment = dict(os.environ)
        if self.modules is None:
            command = [sys.executable, "-m", *self.module]
            paths = [str(HERE.parent), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        else:
            script = "holder" if self._holder else role
            command = ["node", "--expose-gc", str(HERE / "original" / f"{script}.js")]
            environment["NODE_PATH"] = str(self.modules)
        process = await asyncio.create_subprocess_exec(
            *command, json.dumps({"role": role, **params}), env=environment, limit=LINE_BYTES_MAX,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return Worker(process, self.timeout_s)

    @contextlib.asynccontextmanager
    async def playing(
        self, servers: int, clients: int, params: dict[str, Any], *, spare: int = 0
    ) -> AsyncGenerator[tuple[list[Worker], list[Worker]], None]:
        """Start so many servers, one after the other, then the clients; end all at the exit.

        Args:
            spare: Ports more than there are servers: for clients that are servers too.
        """
        async with AsyncExitStack() as stack:
            ports = free_ports(servers + spare)

            async def begin(role: str, more: dict[str, Any]) -> Worker:
                worker = await self.start(role, {"ports": ports, **params, **more})
                stack.push_async_callback(worker.end)
                worker.ready = await worker.hear("ready")
                return worker

            started = [await begin("server", {"others": at}) for at in range(servers)]
            bare = started[0].ready.get("bare")
            known = {"bare": bare, "servers": servers + spare}
            joined = [await begin("client", known) for _ in range(clients)]
            yield started, joined


async def results(workers: Sequence[Worker]) -> list[dict[str, Any]]:
    """Let all run their load at once."""
    return list(await asyncio.gather(*[worker.ask() for worker in workers]))
