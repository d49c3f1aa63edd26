"""The surroundings: what a node has of the world besides its sockets: a loop, two clocks, chance.

In a process they are the running loop, the system's clocks and a generator that the system seeds. A
loop that simulates the world has a method ``surroundings()`` that gives others
(:mod:`rxfero.testing.loop`); a node asks for them once, when it is made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple


class Surroundings(NamedTuple):
    """What a node is given.

    Attributes:
        loop: Where everything of the node runs.
        monotonic: Gives seconds that never go back.
        wall: Gives seconds since 1970, as this machine believes them.
        rng: Chance: names, boots, challenges, jitter.
    """

    loop: asyncio.AbstractEventLoop
    monotonic: Callable[[], float]
    wall: Callable[[], float]
    rng: Random


def surroundings() -> Surroundings:
    """Give the surroundings of the running loop.

    Raises:
        RuntimeError: no loop runs.
    """
    loop: Any = asyncio.get_running_loop()
    simulated = getattr(loop, "surroundings", None)
    if simulated is not None:
        return simulated()
    return Surroundings(loop, time.monotonic, time.time, Random())
