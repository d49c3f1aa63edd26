"""The storm: writers, faults, and what is checked when it is over.

Three modes, and what is acknowledged in each: `memory` (replicated to one more server; one server at
a time is hurt, and the next only when all are whole again), `disks` (durable on two disks) and
`quorum` (three voters); in the last two anything may be hurt at any time. Each writer pushes rising
numbers to lists of its own, so that a write that is lost, doubled or out of order is seen in the end.
"""

from __future__ import annotations

import asyncio
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from rxfero import Cache, RxferoError, fero
from tests.chaos.hosts import Hosts
from tests.chaos.proxy import Proxy
from tests.integration.cluster import Process, free_ports

MODES = ("memory", "disks", "quorum")
NAMES = ("one", "two", "three")
LIST = 40  # numbers in a list
WINDOW = 32  # writes of one writer in flight
PACE_S = 0.004  # between the writes of one writer
CUT_S = 6.0  # longest that a network stays cut
CALM_S = 60.0  # longest the cluster may take to come to rest
FAULTS = ("kill", "stop", "leave", "reset", "stall", "delay", "slow", "slices")
CUTS = ("cut", "half", "alone")  # where there are hosts: two cut off, one way, one off from all


class Writer:
    """One client that pushes rising numbers, and remembers which were acknowledged."""

    def __init__(self, number: int, level: Any) -> None:
        self.number, self._level = number, level
        self.sent = 0
        self.acked: dict[int, float] = {}  # and when
        self.unsure: set[int] = set()
        self.cache: Cache
        self._tasks: set[asyncio.Task[None]] = set()

    def key(self, number: int) -> str:
        """Give the list of a number."""
        return f"writer{self.number}-{number // LIST}"

    async def run(self, until: float) -> None:
        """Write until a time, then wait for every answer."""
        while time.monotonic() < until:
            if len(self._tasks) < WINDOW:
                task = asyncio.ensure_future(self._write(self.sent))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                self.sent += 1
            await asyncio.sleep(PACE_S)
        async with asyncio.timeout(CALM_S):
            await asyncio.gather(*self._tasks)

    async def _write(self, number: int) -> None:
        try:
            await self.cache.push(self.key(number), number, ack=self._level)
        except RxferoError as error:
            if error.outcome != "uncertain":
                raise
            self.unsure.add(number)
        else:
            self.acked[number] = time.monotonic()

    def lost(self, state: Mapping[Any, Any]) -> list[int]:
        """Give what was acknowledged and is not in a node's state."""
        return [n for n in self.acked if n not in state.get(self.key(n), ())]

    def judge(self, state: Mapping[Any, Any]) -> tuple[int, int, int]:
        """Give how many are lost, doubled and out of order in a node's state."""
        lost, doubled, disordered = len(self.lost(state)), 0, 0
        for first in range(0, self.sent, LIST):
            found = list(state.get(self.key(first), []))
            doubled += len(found) - len(set(found))
            sure = [n for n in found if n not in self.unsure]
            disordered += sum(b < a for a, b in pairwise(sure))
        return lost, doubled, disordered

    def gap(self, begun: float, ended: float) -> float:
        """Give the longest time without an acknowledgement in a span, in seconds.

        A pause that goes on beyond the span counts as far as it goes.
        """
        times = sorted(self.acked.values())
        later = min((t for t in times if t > ended), default=ended)
        marks = [begun, *(t for t in times if begun <= t <= ended), later]
        return max(b - a for a, b in pairwise(marks))


async def caught_up(node: Cache, writer: Writer, within: float = CALM_S) -> float:
    """Wait until a node shows all that a writer had acknowledged; gives for how many seconds.

    What is read may be old, after a heal too: a server hears again what its broken connection has
    lost. It is not old for ever: what has not come in time is lost, and the judge finds it.
    """
    begun = time.monotonic()
    missing = writer.lost(node)
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while missing := [n for n in missing if n not in node.get(writer.key(n), ())]:
                await node.once("*")
    return time.monotonic() - begun


class Storm:
    """One run.

    Args:
        mode: One of MODES.
        seconds: Of faults.
        seed: Draws the faults.
        hosts: Whether each server is on a host of its own (see `hosts`).
    """

    def __init__(
        self, mode: str, seconds: float, seed: int, clients: int = 2, *, hosts: bool = False
    ) -> None:
        self.mode, self.seconds, self.seed = mode, seconds, seed
        self.hosts = Hosts(len(NAMES)) if hosts else None
        self.rng = random.Random(seed)
        level = {"memory": 1, "disks": "durable(2)", "quorum": "commit"}[mode]
        self.writers = [Writer(i, level) for i in range(clients)]
        self.servers: dict[str, Process] = {}
        self.proxies: dict[str, Proxy] = {}
        self.told: list[str] = []
        self.faults: list[tuple[str, float]] = []  # and when each began
        self.ports: dict[str, int] = {}
        self.witness: Cache
        self._place: tempfile.TemporaryDirectory[str]

    # --- the cast

    async def run(self) -> dict[str, Any]:
        """Play it; gives the figures. Every process it started is gone afterwards."""
        with tempfile.TemporaryDirectory() as place:
            self._where = Path(place)
            try:
                return await self._played()
            finally:
                await self._clear()

    async def _start(self, name: str) -> None:
        options: dict[str, Any] = {}
        if self.mode != "memory":
            options["storage"] = str(self._where / name)
        if self.mode == "quorum":
            options |= {"quorum": "majority", "voters": list(NAMES)}
        port = self.ports[name]
        on: list[str] = []
        if self.hosts is None:
            options["hosts"] = self._direct
        else:
            number = NAMES.index(name)
            on = self.hosts.command(number)
            options["hosts"] = [self.hosts.addresses[number], *self._direct]
        self.servers[name] = await Process.start("storm", (port, port), name, on=on, **options)

    def _address(self, name: str) -> str:
        return self.hosts.addresses[NAMES.index(name)] if self.hosts else "127.0.0.1"

    @property
    def _direct(self) -> list[str]:
        return [f"{self._address(name)}:{port}" for name, port in self.ports.items()]

    async def _played(self) -> dict[str, Any]:
        if self.hosts is not None:
            await self.hosts.start()
        first, _ = free_ports(len(NAMES))
        self.ports = {name: first + i for i, name in enumerate(NAMES)}
        for name in NAMES:
            await self._start(name)
            proxy = self.proxies[name] = Proxy(self.ports[name], self.rng, self._address(name))
            await proxy.start()
        constants = {"requests.timeout": 20_000, "retries.max": 1_000_000, "retries.cap": 1_000}
        hosts = [f"127.0.0.1:{proxy.port}" for proxy in self.proxies.values()]
        for writer in self.writers:
            writer.cache = await fero(
                "storm", client=True, hosts=self.rng.sample(hosts, len(hosts)), constants=constants
            )
        self.witness = await fero("storm", client=True, hosts=self._direct, constants=constants)
        await self._whole()
        begun = time.monotonic()
        writing = [asyncio.ensure_future(w.run(begun + self.seconds)) for w in self.writers]
        try:
            while time.monotonic() < begun + self.seconds - 2:
                await self._fault()
        finally:
            await self._calm()
            await asyncio.gather(*writing)
        await self._whole()
        return await self._figures(time.monotonic() - begun)

    # --- faults

    async def _fault(self) -> None:
        rng, name = self.rng, self.rng.choice(NAMES)
        what = rng.choice(FAULTS if self.hosts is None else (*FAULTS, *CUTS * 2))
        self.told.append(f"{what} {name}")
        self.faults.append((what, time.monotonic()))
        server, proxy = self.servers[name], self.proxies[name]
        if what == "kill":
            await server.kill()
            await asyncio.sleep(rng.random() * 2)
            await self._start(name)
        elif what == "stop":
            server.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(rng.random() * rng.choice((0.5, 3.0, 8.0)))
            server.process.send_signal(signal.SIGCONT)
        elif what == "leave":
            with suppress(TimeoutError):
                await server.stop()
            await server.kill()
            await self._start(name)
        elif what in CUTS:
            await self._cut(what, name)
        elif what == "reset":
            proxy.reset()
        else:
            if what == "stall":
                proxy.stall()
            proxy.delay = 0.2 if what == "delay" else 0.0
            proxy.rate = 20_000 if what == "slow" else 0
            proxy.slices = what == "slices"
            await asyncio.sleep(rng.random() * 4)
            proxy.calm()
        if self.mode == "memory":
            await self._whole()
        await asyncio.sleep(rng.random())

    async def _cut(self, what: str, name: str) -> None:
        assert self.hosts is not None
        hosts, one = self.hosts, NAMES.index(name)
        others = [n for n in range(len(NAMES)) if n != one]
        if what != "alone":
            others = [self.rng.choice(others)]
        for other in others:
            await hosts.blackhole(one, hosts.addresses[other])
            if what != "half":
                await hosts.blackhole(other, hosts.addresses[one])
        await asyncio.sleep(self.rng.random() * CUT_S)
        await hosts.heal()

    async def _calm(self) -> None:
        if self.hosts is not None:
            await self.hosts.heal()
        for proxy in self.proxies.values():
            proxy.calm()
        for name, server in list(self.servers.items()):
            if server.process.returncode is None:
                server.process.send_signal(signal.SIGCONT)
            else:
                await self._start(name)

    async def _whole(self) -> None:
        """Wait until three servers serve, and take what is written."""
        witness = self.witness
        async with asyncio.timeout(CALM_S):
            while True:
                await witness.stable(3, CALM_S)
                with suppress(RxferoError):
                    await asyncio.gather(*(
                        witness.update(f"probe{i}", time.monotonic(), ack="all").timeout(5)
                        for i in range(64)
                    ))
                    return

    # --- the end

    async def _figures(self, seconds: float) -> dict[str, Any]:
        lost = doubled = disordered = 0
        behind = 0.0
        for node in (self.witness, *(w.cache for w in self.writers)):
            for writer in self.writers:
                assert writer.sent, "a writer that has written nothing"
                behind = max(behind, await caught_up(node, writer))
                one, two, three = writer.judge(node)
                lost, doubled, disordered = lost + one, doubled + two, disordered + three
                if one:
                    self._explain(node, writer)
        ends = [begun for _, begun in self.faults[1:]] + [max(t for w in self.writers for t in w.acked.values())]
        spans = [(t, end) for (what, t), end in zip(self.faults, ends, strict=True) if what == "kill"]
        gaps = [w.gap(*span) for span in spans for w in self.writers]
        return {
            "mode": self.mode, "seed": self.seed, "seconds": round(seconds, 1),
            "sent": sum(w.sent for w in self.writers),
            "acknowledged": sum(len(w.acked) for w in self.writers),
            "uncertain": sum(len(w.unsure) for w in self.writers),
            "lost": lost, "doubled": doubled, "disordered": disordered,
            "faults": len(self.told), "kills": len(spans), "behind, worst s": round(behind, 3),
            "pause after a kill, median s": round(statistics.median(gaps), 3) if gaps else None,
            "pause after a kill, worst s": round(max(gaps), 3) if gaps else None,
        }

    def _explain(self, node: Cache, writer: Writer) -> None:
        """Say between which faults what was lost was acknowledged."""
        begun = self.faults[0][1]
        rows = [(t, f"{t - begun:.2f} {what}") for (_, t), what in
                zip(self.faults, self.told, strict=True)]  # fmt: skip
        rows += [
            (t, f"  {t - begun:.2f} {writer.key(n)} {n}")
            for n in writer.lost(node) for t in (writer.acked[n],)
        ]  # fmt: skip
        whose = next((f"writer {w.number}" for w in self.writers if w.cache is node), "witness")
        print(f"{node} of {whose} lacks of writer {writer.number}:", file=sys.stderr)
        print(*(row for _, row in sorted(rows)), sep="\n", file=sys.stderr)

    async def _clear(self) -> None:
        caches = [w.cache for w in self.writers if hasattr(w, "cache")]
        if hasattr(self, "witness"):
            caches.append(self.witness)
        await asyncio.gather(*(c.destroy() for c in caches), return_exceptions=True)
        for proxy in self.proxies.values():
            await proxy.close()
        for server in self.servers.values():
            with suppress(ProcessLookupError):
                server.process.send_signal(signal.SIGCONT)
            await server.kill()
        if self.hosts is not None:
            await self.hosts.close()

    def __repr__(self) -> str:
        return f"<Storm {self.mode} seed={self.seed} faults={len(self.told)}>"
