"""The seeker of a test: a node that looks for others, without a node."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from rxfero.search import Here
from rxfero.tasks import end_tasks

WAIT_S = 10.0


def seeker(name: str = "one", **changed: Any) -> Here:
    """Give a server that listens on 127.0.0.1:7001, unless told otherwise."""
    plain: dict[str, Any] = {
        "cluster": "test", "service": "users", "name": name, "host": "127.0.0.1", "port": 7001,
        "secret": None, "alone": lambda: True,
    }  # fmt: skip
    return Here(**{**plain, **changed})


def group_port() -> int:
    """Give a UDP port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Finding:
    """A finder that runs, and what it has found.

    Use: an async context manager; :meth:`has` waits for addresses.
    """

    def __init__(self, finder: Any, here: Here) -> None:
        self.finder, self.here = finder, here
        self.found: list[tuple[str, int]] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Finding:
        self.task = asyncio.ensure_future(self.finder.find(self.here, self._add))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not await end_tasks([self.task])

    def _add(self, host: str, port: int) -> None:
        self.found.append((host, port))
        self._news.set()

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until something holds; looked at whenever an address is found."""
        async with asyncio.timeout(WAIT_S):
            while not predicate():
                self._news.clear()
                await self._news.wait()

    async def has(self, *addresses: tuple[str, int]) -> None:
        """Wait until all of these have been found."""
        await self.until(lambda: {*addresses} <= {*self.found})
