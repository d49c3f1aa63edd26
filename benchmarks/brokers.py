"""The brokers: servers of others, each started on loopback on a port of its own, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator
from importlib.util import find_spec

from benchmarks.npm import Unavailable
from benchmarks.processes import HOST, free_ports

BEGIN_S = 10.0
LOOK_S = 0.02


def needed(program: str | None, module: str | None) -> None:
    """Check that a program and a Python module are there.

    Raises:
        Unavailable: one is not; says which, and how it is had.
    """
    if program is not None and shutil.which(program) is None:
        raise Unavailable(f"{program} is not installed")
    if module is not None and find_spec(module) is None:
        raise Unavailable(f"the Python module {module} is not installed (extra: beside)")


@contextlib.asynccontextmanager
async def broker(program: str, *words: str) -> AsyncGenerator[int, None]:
    """Run a server; `PORT` and `FOLDER` in its words are replaced. Gives its port.

    Raises:
        Unavailable: it is not installed, or did not listen within 10 seconds.
    """
    needed(program, None)
    port, _ = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        given = [word.replace("PORT", str(port)).replace("FOLDER", folder) for word in words]
        process = await asyncio.create_subprocess_exec(
            program, *given, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await listening(process, port)
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def listening(process: asyncio.subprocess.Process, port: int) -> None:
    """Wait until somebody listens on the port.

    Raises:
        Unavailable: it ended, or 10 seconds went by.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + BEGIN_S
    while process.returncode is None and loop.time() < until:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(LOOK_S)
            continue
        writer.close()
        return
    raise Unavailable("the server did not begin to listen")


def redis() -> contextlib.AbstractAsyncContextManager[int]:
    """Run redis-server in memory only."""
    return broker(
        "redis-server", "--port", "PORT", "--bind", HOST, "--save", "", "--appendonly", "no",
        "--dir", "FOLDER",
    )  # fmt: skip


def nats() -> contextlib.AbstractAsyncContextManager[int]:
    """Run nats-server with JetStream."""
    return broker("nats-server", "-a", HOST, "-p", "PORT", "-js", "-sd", "FOLDER")
