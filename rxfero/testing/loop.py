"""The loop: an asyncio event loop on virtual time: where nothing is due, the clock goes forward.

A sleep of an hour takes as long as what happens meanwhile. Sockets are those of a simulated
network; a function for a thread runs at once, and takes no time. What is due at one moment runs in
the order in which it was scheduled; tasks and futures hash by their number, so that sets of them
have an order too: a run depends on nothing but the program and its seeds.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from rxfero.surroundings import Surroundings
from rxfero.testing.host import DEAD, EPOCH_S, PROCESS, RUNNING, Process

if TYPE_CHECKING:
    from rxfero.testing.network import Network

T = TypeVar("T")

ROUNDS_MAX = 100_000  # at one moment; more: the program goes in a circle
CANCELLED_MIN = 100  # timers, before the cancelled ones are thrown out


class Standstill(RuntimeError):
    """Virtual time cannot go on: nothing is due any more, or ever more at the same moment."""


class _Future(asyncio.Future[Any]):
    """A future that hashes by its number."""

    def __new__(cls, *args: Any, **options: Any) -> _Future:
        self = super().__new__(cls, *args, **options)
        self.number = options["loop"].next_number()
        return self

    number: int

    def __hash__(self) -> int:
        return self.number


class _Task(asyncio.Task[Any]):
    """A task that hashes by its number, and knows its process.

    One of a dead process takes no step any more, so when it is cancelled it ends on the spot.
    """

    def __new__(cls, *args: Any, **options: Any) -> _Task:
        self = super().__new__(cls, *args, **options)
        self.number = options["loop"].next_number()
        return self

    number: int
    process: Process | None = None

    def __hash__(self) -> int:
        return self.number

    @property
    def is_dead(self) -> bool:
        """Whether nothing of its process runs any more."""
        return self.process is not None and self.process.state == DEAD

    def cancel(self, msg: Any | None = None) -> bool:
        """As of a task."""
        if not self.is_dead or self.done():
            return super().cancel(msg)
        unseen: Any = self
        with suppress(Exception):
            unseen.get_coro().close()
        asyncio.tasks._unregister_task(self)  # noqa: SLF001  (documented, for loops)
        return asyncio.Future.cancel(self, msg)  # pyright: ignore[reportUnknownMemberType]


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop.

    Attributes:
        network: What its sockets are of; None until there is one.
        turns: Rounds since it was made.
    """

    # Those of the loop in the standard library that take part here; the same since Python 3.4.
    _ready: deque[Any]
    _stopping: bool
    _timer_cancelled_count: int

    def __init__(self) -> None:
        super().__init__()
        self.network: Network | None = None
        self.turns = 0
        self._time = 0.0
        self._number = 0
        self._scheduled: list[tuple[float, int, Any]] = []
        self._rounds = 0
        self._living: dict[_Task, None] = {}
        self.set_task_factory(self._make_task)

    # --- time

    def time(self) -> float:
        """Give the virtual seconds since the loop was made."""
        return self._time

    def next_number(self) -> int:
        """Give a number that was not given before."""
        self._number += 1
        return self._number

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:  # fmt: skip
        """As of a loop; at one moment in the order of the calls."""
        self._check_closed()
        handle: Any = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, (when, self.next_number(), handle))
        handle._scheduled = True  # noqa: SLF001  (so that a cancelled one is counted)
        return handle

    if TYPE_CHECKING:

        def _check_closed(self) -> None: ...

    def _run_once(self) -> None:
        """Let time go on if nothing is due; then run what is due now."""
        scheduled = self._scheduled
        if self._timer_cancelled_count > max(CANCELLED_MIN, len(scheduled) // 2):
            scheduled[:] = [entry for entry in scheduled if not entry[2].cancelled()]
            heapq.heapify(scheduled)
            self._timer_cancelled_count = 0
        while scheduled and scheduled[0][2].cancelled():
            heapq.heappop(scheduled)
            self._timer_cancelled_count = max(0, self._timer_cancelled_count - 1)
        if not self._ready and not self._stopping:
            if not scheduled:
                raise Standstill(f"nothing is due any more; {self._waiting()}")
            if scheduled[0][0] > self._time:
                self._time = scheduled[0][0]
                self._rounds = 0
        self._rounds += 1
        if self._rounds > ROUNDS_MAX:
            self._rounds = 0
            raise Standstill(f"{ROUNDS_MAX} rounds at {self._time:.6f} s; {self._waiting()}")
        while scheduled and scheduled[0][0] <= self._time:
            handle = heapq.heappop(scheduled)[2]
            handle._scheduled = False  # noqa: SLF001
            self._ready.append(handle)
        self.turns += 1
        for _ in range(len(self._ready)):
            self._run(self._ready.popleft())

    def _run(self, handle: Any) -> None:
        if handle.cancelled():
            return
        process = handle._context.get(PROCESS)  # noqa: SLF001  (there is no public way to it)
        if process is None or process.state == RUNNING:
            handle._run()  # noqa: SLF001  (as the loop of the standard library)
        else:
            process.park(handle)

    def requeue(self, handles: list[Any]) -> None:
        """Take back what was parked, before all that is due now."""
        self._ready.extendleft(reversed(handles))

    def _waiting(self) -> str:
        names = [t.get_name() for t in self._living if t.process is None]
        return f"{len(names)} tasks of the program wait: {', '.join(names[:5])}"

    # --- tasks

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, *,
        context: Context | None = None, **options: Any,
    ) -> asyncio.Task[Any]:  # fmt: skip
        options.pop("eager_start", None)
        task = _Task(work, loop=loop, context=context, **options)
        task.process = PROCESS.get() if context is None else context.get(PROCESS)
        self._living[task] = None
        task.add_done_callback(self._forget, context=Context())
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        assert isinstance(task, _Task), "it was made here"
        self._living.pop(task, None)

    def create_future(self) -> asyncio.Future[Any]:
        """As of a loop."""
        return _Future(loop=self)

    def tasks_of(self, process: Process) -> list[asyncio.Task[Any]]:
        """Give the tasks of a process that are not done, the oldest first."""
        return [task for task in self._living if task.process is process]

    def bury(self) -> None:
        """End the tasks of dead processes, in silence: nobody hears what they still say."""
        for task in list(self._living):
            if task.is_dead:
                task.cancel()

    # --- the world

    def surroundings(self) -> Surroundings:
        """Give what a node of the running code has of the world."""
        process = PROCESS.get()
        if process is None and self.network is not None:
            process = self.network.program
        if process is not None:
            return process.surroundings()
        return Surroundings(self, self.time, lambda: EPOCH_S + self._time, Random(0))

    def _here(self) -> tuple[Network, Process]:
        if self.network is None:
            raise RuntimeError("the loop has no network: make a SimulatedCluster first")
        return self.network, PROCESS.get() or self.network.program

    async def create_server(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """Listen on the host of the running process."""
        del options
        network, process = self._here()
        return network.listen(process, protocol_factory, host, port or 0)

    async def create_connection(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """Connect from the host of the running process."""
        network, process = self._here()
        return await network.connect(process, protocol_factory, host, port, options)

    async def create_datagram_endpoint(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None,
        **options: Any,
    ) -> Any:  # fmt: skip
        """Open a socket of datagrams on the host of the running process."""
        network, process = self._here()
        return network.datagrams(process, protocol_factory, local_addr, remote_addr, options)

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0,
        flags: int = 0,
    ) -> Any:  # fmt: skip
        """Find a host of the network by its name."""
        del family, flags
        network, _ = self._here()
        return [(2, type or 1, proto or 6, "", (network.address(host), port or 0))]

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Run it at once: threads would bring their own time."""
        del executor
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  (handed on)
            future.set_exception(error)
        return future

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As call_soon: there are no threads."""
        return self.call_soon(callback, *args, context=context)

    def __repr__(self) -> str:
        return f"<VirtualLoop {self._time:.6f} s {self.turns} turns>"


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on virtual time.

    Args:
        main: The program; it makes its own :class:`~rxfero.testing.SimulatedCluster`.

    Returns:
        What it returns.
    Raises:
        Standstill: nothing is due any more and it has not ended, or time stands still.
        RuntimeError: inside a running loop.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
