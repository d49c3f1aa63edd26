"""The schedule: faults by a plan: which, when, to whom; written down, or drawn from a seed.

::

    Schedule([(5.0, "split", "s1"), (9.5, "crash", "s2"), (20.0, "heal"), (25.0, "restart", "s2")])
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from rxfero.errors import ConfigurationError, nearest

Step = tuple[Any, ...]

FAULTS = (
    "split", "cut", "slow", "heal", "reset", "half_open", "crash", "pause", "resume", "skew",
    "restart", "fill_disk",
)  # fmt: skip
LENGTH_S = (0.2, 8.0)  # of a drawn fault, until it is undone


class Schedule:
    """A plan of faults for one cluster.

    Args:
        steps: (seconds from the beginning, name of a fault, its arguments; a dict as the last one
            holds those by name), in any order; those of one moment in theirs.

    Raises:
        ConfigurationError: there is no such fault, or its time is no number from 0 on.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps = [tuple(step) for step in steps]
        for when, name, *_ in self.steps:
            if name not in FAULTS:
                hint = f"no such fault; {nearest(str(name), FAULTS)}"
                raise ConfigurationError("schedule", name, hint)
            if type(when) not in (int, float) or not 0 <= when < float("inf"):
                raise ConfigurationError("schedule", when, "must be seconds from the beginning")
        self.steps.sort(key=lambda step: step[0])

    @staticmethod
    def random(
        seed: int, servers: int, seconds: float, *, every_s: float = 2.0,
        faults: Sequence[str] = ("split", "cut", "slow", "reset", "half_open", "crash", "pause"),
    ) -> Schedule:  # fmt: skip
        """Draw a plan that undoes all of its faults by its end.

        One server at a time is down, and the next one goes some seconds after it is back: what
        others hold has time to reach it.

        Args:
            seed: The same gives the same plan.
            servers: How many servers there are to hit: s1, s2 and so on.
            seconds: How long it lasts.
            every_s: Seconds between two faults, on average.
            faults: Which to draw from.
        """
        rng = Random(f"{seed}/schedule")
        names = [f"s{n + 1}" for n in range(servers)]
        steps: list[Step] = []
        free = dict.fromkeys([*names, "crash"], 0.0)  # from when on it can be hit, and any crash
        now = rng.expovariate(1 / every_s)
        while now < seconds:
            end = min(seconds, now + rng.uniform(*LENGTH_S))
            fault = rng.choice(list(faults))
            steps += _drawn(fault, rng, names, free, now, end)
            now += rng.expovariate(1 / every_s)
        return Schedule([*steps, (seconds, "heal")])

    async def run(self, cluster: Any) -> None:
        """Let it happen, counted from now. A restart goes on while the next faults happen.

        One that the plan crashes again before it is ready is over with that.
        """
        loop = asyncio.get_running_loop()
        begin = loop.time()
        async with asyncio.TaskGroup() as group:
            for when, name, *given in self.steps:
                await asyncio.sleep(begin + when - loop.time())
                options: dict[str, Any] = given.pop() if given and type(given[-1]) is dict else {}
                fault: Callable[..., Any] = getattr(cluster, name)
                outcome = fault(*given, **options)
                if name == "restart":
                    group.create_task(_started(outcome))

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        return f"Schedule({self.steps!r})"


async def _started(start: Awaitable[Any]) -> None:
    with suppress(ConnectionAbortedError):
        await start


def _drawn(
    fault: str, rng: Random, names: list[str], free: dict[str, float], now: float, end: float
) -> list[Step]:
    """Draw whom a fault hits, and give it with what undoes it."""
    if fault in ("crash", "pause"):
        ready = [name for name in names if free[name] <= now]
        if not ready or (fault == "crash" and now < free["crash"]):
            return []
        who = rng.choice(ready)
        free[who] = end + LENGTH_S[1]
        if fault == "crash":
            free["crash"] = free[who]
        undo = "restart" if fault == "crash" else "resume"
        options = {"power": True} if fault == "crash" and rng.random() < 0.5 else {}
        return [(now, fault, who, options), (end, undo, who)]
    if fault == "split":
        part = rng.sample(names, rng.randint(1, max(1, len(names) - 1)))
        return [(now, fault, part), (end, "heal", part)]
    if len(names) < 2:
        return []
    a, b = rng.sample(names, 2)
    options = {
        "cut": {"both": rng.random() < 0.5},
        "slow": {"latency_s": rng.uniform(0.01, 1.0), "buffer": rng.choice((512, 65_536))},
    }.get(fault, {})
    undo = [] if fault in ("reset", "half_open") else [(end, "heal", a, b)]
    return [(now, fault, a, b, options), *undo]
