"""A swarm of processes that start at once find each other by multicast, on loopback.

Six, once; `RXFERO_SWARM=20 RXFERO_SWARM_TIMES=20` for more, which also prints how long it took.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from statistics import median
from typing import Any

import pytest

from tests.chaos.hosts import missing
from tests.discovery.seeker import group_port
from tests.integration.cluster import free_ports
from tests.integration.swarm import start, stop

SERVERS = int(os.environ.get("RXFERO_SWARM", "6"))
TIMES = int(os.environ.get("RXFERO_SWARM_TIMES", "1"))
BY = os.environ.get("RXFERO_SWARM_BY", "multicast")


async def swarm() -> float:
    if BY == "scan":
        options: dict[str, Any] = {"ports": free_ports(SERVERS)}
    else:
        options = {"multicast": {"host": "127.0.0.1", "port": group_port(), "ttl": 0}}
    seconds, processes = await start([options] * SERVERS)
    await stop(processes, kill=TIMES > 1)
    return seconds


def test_a_swarm_that_starts_at_once_finds_itself() -> None:
    took = [asyncio.run(swarm()) for _ in range(TIMES)]
    if TIMES > 1:
        print(f"{len(took)} of {TIMES} times {SERVERS} servers by {BY}: seconds from the first"
              f" process to a ring all agree on: median {median(took):.2f}, worst {max(took):.2f}")  # fmt: skip


on_hosts = pytest.mark.skipif(
    bool(missing()), reason=f"no network namespaces here: {missing()}"
)  # fmt: skip


def told_by(program: str) -> str:
    """Run a program that makes hosts of its own; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.integration.{program}"],
        capture_output=True, text=True, timeout=80, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@on_hosts
def test_servers_on_three_hosts_find_each_other_and_are_seen_from_a_fourth() -> None:
    assert sorted(told_by("apart").split()) == ["10.99.0.2", "10.99.0.3", "10.99.0.4"]


@on_hosts
def test_a_split_cluster_finds_itself_again() -> None:
    """Whether its halves had met before or not, and nothing that a half has committed is gone."""
    assert [json.loads(line) for line in told_by("split").splitlines()] == [
        {"stage": "never met", "apart": True, "one ring": True, "held": ["a b"] * 3},
        {"stage": "met and parted", "apart": True, "one ring": True, "held": ["c d"] * 3},
    ]
