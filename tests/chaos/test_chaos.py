"""Short storms over real processes, and the judge on hand-made ends.

Longer ones: ``python -m tests.chaos --seconds 600``, with ``--hosts`` on hosts whose links are cut.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from rxfero import Cache
from rxfero.testing import FakeCache
from tests.chaos.hosts import missing
from tests.chaos.storm import LIST, MODES, Writer, caught_up

SECONDS = 6
ROOT = Path(__file__).parents[2]


def storm(*more: str) -> dict[str, Any]:
    """Run one in a process of its own; gives its figures."""
    command = [sys.executable, "-m", "tests.chaos", "--json", "--seconds", str(SECONDS), *more]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def sound(figures: dict[str, Any]) -> None:
    assert figures["acknowledged"] > 0
    assert figures["faults"] > 0
    assert (figures["lost"], figures["doubled"], figures["disordered"]) == (0, 0, 0)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_acknowledged_is_lost_doubled_or_out_of_order(mode: str) -> None:
    sound(storm("--mode", mode, "--seed", "7"))


def test_nor_where_hosts_are_cut_off() -> None:
    why = missing()
    if why:
        pytest.skip(f"no network namespaces here: {why}")
    sound(storm("--mode", "quorum", "--seed", "4", "--hosts"))


def writer() -> Writer:
    """Give one that has sent ten numbers more than a list holds, all but 3 acknowledged."""
    made = Writer(0, 1)
    made.sent = LIST + 10
    made.acked = {n: float(n) for n in range(made.sent) if n != 3}
    made.unsure = {3}
    return made


def test_the_judge_finds_what_is_lost_doubled_and_out_of_order() -> None:
    one, whole, rest = writer(), list(range(LIST)), list(range(LIST, LIST + 10))
    assert one.judge({one.key(0): whole, one.key(LIST): rest}) == (0, 0, 0)
    assert one.judge({one.key(0): [n for n in whole if n != 3], one.key(LIST): rest}) == (0, 0, 0)
    assert one.judge({one.key(0): whole}) == (10, 0, 0)
    assert one.judge({one.key(0): [*whole, 3], one.key(LIST): rest}) == (0, 1, 0)
    assert one.judge({one.key(0): [1, 0, *whole[2:]], one.key(LIST): rest}) == (0, 0, 1)
    assert one.judge({one.key(0): [*whole[:3], *whole[4:], 3], one.key(LIST): rest}) == (0, 0, 0)


async def test_a_node_that_is_behind_is_judged_when_it_has_caught_up_or_never_will() -> None:
    one, node = writer(), FakeCache()
    node.update(one.key(0), [n for n in range(LIST) if n != 3])
    waiting = asyncio.ensure_future(caught_up(cast("Cache", node), one))
    await asyncio.sleep(0)
    assert not waiting.done()
    node.update(one.key(LIST), list(range(LIST, LIST + 10)))
    await waiting
    assert one.judge(node) == (0, 0, 0)
    node.remove(one.key(0))
    await caught_up(cast("Cache", node), one, within=0.01)
    assert one.judge(node) == (LIST - 1, 0, 0)


def test_a_pause_is_the_longest_time_without_an_answer() -> None:
    one = writer()
    one.acked = {4: 1.0, 5: 2.0, 6: 2.5, 7: 7.0}
    assert one.gap(1.5, 2.5) == 4.5
    assert one.gap(0.0, 1.5) == 1.0
