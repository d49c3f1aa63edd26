"""The member: one node of a simulated cluster: its host, its present life, and its cache in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from rxfero.cache import Cache
from rxfero.service import fero
from rxfero.testing.host import DEAD, RUNNING, STOPPED, Host, Process

if TYPE_CHECKING:
    from rxfero.node import Node

T = TypeVar("T")


class Member:
    """A server or client of a simulated cluster.

    Args:
        host: Where it lives.
        service: The service's name.
        handler: As of :func:`rxfero.fero`.
        options: Gives the options of the next life.

    Attributes:
        name: Of its host.
        id: Its node's name; at first that of the host.
        lives: How often it was started.
    """

    def __init__(
        self, host: Host, service: str, handler: Any, options: Callable[[Member], dict[str, Any]]
    ) -> None:
        self.host, self.name = host, host.name
        self.id = host.name
        self.lives = 0
        self._service, self._handler, self._options = service, handler, options
        self._process: Process | None = None
        self._cache: Cache | None = None
        self._ready: asyncio.Future[Cache] | None = None

    @property
    def cache(self) -> Cache:
        """The cache of its present life; of the last one if it is down.

        Raises:
            RuntimeError: it has not been ready yet.
        """
        if self._cache is None:
            raise RuntimeError(f"{self.name} is not ready: await start() first")
        return self._cache

    @property
    def client(self) -> bool:
        """Whether it is a client."""
        return bool(self._options(self).get("client"))

    @property
    def running(self) -> bool:
        """Whether it is ready and neither down nor paused."""
        return self._up and self._process is not None and self._process.state == RUNNING

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._process is not None and self._process.state == STOPPED

    @property
    def down(self) -> bool:
        """Whether it has no life: not started yet, stopped or crashed."""
        return self._process is None or self._process.state == DEAD

    @property
    def _up(self) -> bool:
        return self._cache is not None and not self.node.closed

    @property
    def node(self) -> Node:
        """The node under its cache."""
        return self.cache._node  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    async def start(self) -> Cache:
        """Begin a life and wait until its cache is ready.

        Raises:
            RuntimeError: it lives already.
            ConnectionAbortedError: it crashed before it was ready.
            Exception: what :func:`rxfero.fero` raises.
        """
        if not self.down:
            raise RuntimeError(f"{self.name} lives already")
        self.lives += 1
        self._cache = None
        process = self._process = self.host.start()
        ready = self._ready = asyncio.get_running_loop().create_future()
        self._note("starts")

        async def live() -> Cache:
            return await fero(self._service, self._handler, **self._options(self))

        def done(task: asyncio.Task[Cache]) -> None:
            if task.cancelled() or ready.done():
                return
            error = task.exception()
            if error is not None:
                ready.set_exception(error)
                return
            self._cache = task.result()
            ready.set_result(self._cache)

        process.loop.create_task(live()).add_done_callback(done)
        cache = await ready
        self._note("is ready")
        return cache

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the member's process: it stands still and ends with it.

        Raises:
            ConnectionAbortedError: it crashed meanwhile.
            Whatever the coroutine raises.
        """
        process = self._process
        if process is None or process.state == DEAD:
            work.close()
            raise ConnectionAbortedError(f"{self.name} is down")
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        process.waiters.append(outcome)

        def done(task: asyncio.Task[T]) -> None:
            if outcome.done():
                return
            error = None if task.cancelled() else task.exception()
            if task.cancelled():
                outcome.cancel()
            elif error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(task.result())

        task = process.loop.create_task(work)
        task.add_done_callback(done)
        try:
            return await outcome
        finally:
            process.waiters.remove(outcome)
            task.cancel()

    async def stop(self) -> None:
        """Leave the cluster in good order."""
        self._note("leaves")
        await self.run(self.cache.destroy())
        self._kill(power=False)

    def crash(self, *, power: bool = False) -> None:
        """End at once, as by SIGKILL: the host closes the connections. Idempotent.

        What waits for something of its cache ends with Closed.

        Args:
            power: Whether the host goes too: nobody tells the others.
        """
        if not self.down:
            self._note("loses power" if power else "crashes")
            self._kill(power=power)

    def _kill(self, *, power: bool) -> None:
        process = self._process
        assert process is not None, "who calls has looked"
        process.kill(power=power)
        gone = ConnectionAbortedError(f"{self.name} is down")
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(gone)
        for waiter in process.waiters:
            if not waiter.done():
                waiter.set_exception(gone)
        if self._cache is not None:
            self.node.end()
            self.node.hub.close()

    def pause(self) -> None:
        """Stand still, as by SIGSTOP; the host goes on taking bytes for it."""
        if self._process is not None and self._process.state == RUNNING:
            self._note("pauses")
            self._process.stop()

    def resume(self) -> None:
        """Go on after a pause."""
        if self.paused and self._process is not None:
            self._note("resumes")
            self._process.resume()

    def _note(self, what: str) -> None:
        self.host.network.note(f"{self.name} {what}")

    def __repr__(self) -> str:
        state = "down" if self.down else "paused" if self.paused else "up"
        return f"<Member {self.name} {self.host.address} {state}>"
