"""The campaign: whole nodes under load and under faults, a run a seed; then peace and judgment.

``python -m tests.testing.campaign --seeds 100 --mode quorum`` runs seeds one after the other and
prints what they came to and how much virtual time a second took.

=========== ========================================================================================
available   servers without disks, one down at a time; writes wait for one more server
disks       servers with disks, all of them lose their power at times; writes wait for a disk
quorum      three voters, all of them lose their power at times; registers are judged too
=========== ========================================================================================
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import Awaitable
from random import Random
from typing import Any

from rxfero.errors import RxferoError
from rxfero.testing import Schedule, SimulatedCluster, simulate
from rxfero.testing.checkers import UNKNOWN, Operation, converged, kept, linearizable

MODES: dict[str, dict[str, Any]] = {
    "available": {"ack": 1},
    "disks": {"disks": True},
    "quorum": {"disks": True, "quorum": "majority", "voters": ["s1", "s2", "s3"]},
}
QUIET = ("split", "cut", "slow", "reset", "half_open", "pause")  # faults without crashes
REGISTERS, LISTS = 3, 3
EVERY_S = 0.25


class Campaign:
    """One seed."""

    def __init__(self, seed: int, mode: str, seconds: float = 60.0, servers: int = 3) -> None:
        self.seed, self.mode, self.seconds, self.servers = seed, mode, seconds, servers
        self.rng = Random(f"{seed}/campaign")
        self.acknowledged: set[Any] = set()
        self.asked = self.failed = 0
        self.history: list[Operation] = []
        self.digest = ""
        self.simulated_s = 0.0

    def plan(self) -> Schedule:
        """Draw the faults."""
        if self.mode == "available":
            return Schedule.random(self.seed, self.servers, self.seconds)
        steps = list(Schedule.random(self.seed, self.servers, self.seconds, faults=QUIET))
        for part in (0.2, 0.6):  # of the time: then all of them go
            begin = self.seconds * (part + self.rng.uniform(0.0, 0.15))
            for number in range(self.servers):
                power = {"power": self.rng.random() < 0.7}
                who = f"s{number + 1}"
                steps.append((begin + self.rng.uniform(0.0, 0.5), "crash", who, power))
                steps.append((begin + self.rng.uniform(3.0, 6.0), "restart", who))
        return Schedule(steps)

    async def run(self) -> None:
        """Do everything.

        Raises:
            Violation: a promise was broken.
            TimeoutError: the cluster did not come to rest.
        """
        options = MODES[self.mode]
        async with SimulatedCluster(
            seed=self.seed, servers=self.servers, clients=2, skew_s=5.0, **options
        ) as c:
            for member in c.members:
                member.cache.on("error", lambda failure: None)
            playing = c.play(self.plan())
            tasks: list[asyncio.Task[None]] = []
            while not playing.done():
                await asyncio.sleep(EVERY_S)
                client = self.rng.choice(c.clients)
                tasks.append(asyncio.ensure_future(self._step(client.cache, self.asked)))
                self.asked += 1
            await playing
            await c.whole()
            await asyncio.gather(*tasks)
            state = await c.same()
            converged({member.name: dict(member.cache) for member in c.running})
            kept(self.acknowledged, self._log(state))
            linearizable(self.history)
            self.digest, self.simulated_s = c.trace.digest, asyncio.get_running_loop().time()

    async def _step(self, cache: Any, number: int) -> None:
        """Write once; in quorum mode also push to a list, write or read a register."""
        kind = self.rng.randrange(4) if self.mode == "quorum" else 0
        if kind == 0:
            write = cache.update(f"k{number}", number)
            stage = write.durable(1) if self.mode == "disks" else write
            if await self._done(stage):
                self.acknowledged.add(("k", number))
        elif kind == 1:
            if await self._done(cache.push(f"list{number % LISTS}", number)):
                self.acknowledged.add(("list", number))
        else:
            await self._register(cache, f"register{number % REGISTERS}", kind == 2, number)

    async def _register(self, cache: Any, key: str, write: bool, number: int) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if write:
            known = await self._done(cache.update(key, number))
            ended = loop.time() if known else UNKNOWN
            self.history.append(Operation(key, "write", number, begun, ended))
            return
        try:
            value = await cache.read(key, default=None)
        except RxferoError:
            self.failed += 1
            return
        self.history.append(Operation(key, "read", value, begun, loop.time()))

    async def _done(self, guarantee: Awaitable[Any]) -> bool:
        try:
            await guarantee
        except RxferoError:
            self.failed += 1
            return False
        return True

    @staticmethod
    def _log(state: dict[Any, Any]) -> list[Any]:
        log: list[Any] = []
        for key, value in state.items():
            if str(key).startswith("list"):
                log += [("list", number) for number in value]
            elif str(key).startswith("k"):
                log.append(("k", value))
        return log


def campaign(seed: int, mode: str, **options: Any) -> Campaign:
    """Run one seed to its end, and give what it came to."""
    one = Campaign(seed, mode, **options)
    simulate(one.run())
    return one


def main() -> int:
    """Run many seeds; gives how many broke a promise or did not come to rest."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--servers", type=int, default=3, choices=(2, 3, 4, 5))
    parser.add_argument("--mode", choices=sorted(MODES), default="available")
    given = parser.parse_args()
    logging.getLogger("rxfero").setLevel(logging.CRITICAL)
    begin, simulated, asked, failed, broken = time.perf_counter(), 0.0, 0, 0, 0
    for seed in range(given.first, given.first + given.seeds):
        try:
            one = campaign(seed, given.mode, seconds=given.seconds, servers=given.servers)
        except Exception as error:
            broken += 1
            print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
            continue
        simulated, asked, failed = simulated + one.simulated_s, asked + one.asked, failed + one.failed
    took = time.perf_counter() - begin
    print(f"{given.mode}: {given.seeds} seeds of {given.seconds:g} s, {broken} broken; "
          f"{asked} requests, {failed} without an answer; {simulated:.0f} s in {took:.0f} s, "
          f"{simulated / took:.0f} a second")  # fmt: skip
    return broken


if __name__ == "__main__":
    raise SystemExit(main())
