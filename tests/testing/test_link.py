"""Tests of links: order, width, cuts and heals."""

from __future__ import annotations

import asyncio

from hypothesis import example, given
from hypothesis import strategies as st

from rxfero.testing.link import Flow, Quality
from rxfero.testing.network import Network
from tests.testing.world import world

BYTES = Quality(latency_s=1.0, jitter_s=0.0, bandwidth=10.0)


@example(sizes=[0] * 14, seed=5, cuts=True)
@given(st.lists(st.integers(0, 50), max_size=20), st.integers(0, 9), st.booleans())
def test_a_flow_keeps_its_order_over_cuts(sizes: list[int], seed: int, cuts: bool) -> None:
    async def main(network: Network) -> None:
        link = network.link(network.host("a"), network.host("b"))
        flow, got = Flow(link), []
        for number, size in enumerate(sizes):
            flow.send(size, got.append, number)
            if cuts and number % 3 == 1:
                link.cut = True
                await asyncio.sleep(0.01)
                link.heal()
        await asyncio.sleep(10)
        assert got == list(range(len(sizes)))

    world(main, seed=seed, quality=Quality(jitter_s=0.5))


def test_bandwidth_and_latency_make_the_arrival() -> None:
    async def main(network: Network) -> None:
        link, when = network.link(network.host("a"), network.host("b")), []
        for flow in (Flow(link), Flow(link)):  # they share it
            flow.send(20, lambda: when.append(network.loop.time()))
        await asyncio.sleep(10)
        assert when == [3.0, 5.0]

    world(main, quality=BYTES)


def test_a_cut_holds_what_is_under_way_and_loses_what_is_said_once() -> None:
    async def main(network: Network) -> None:
        link = network.link(network.host("a"), network.host("b"))
        flow, got = Flow(link), []
        flow.send(0, got.append, "before")
        link.cut = True
        flow.send(0, got.append, "during")
        flow.once(got.append, "once")
        await asyncio.sleep(100)
        assert not got
        link.heal()
        link.heal()
        await asyncio.sleep(5)
        assert got == ["before", "during"]

    world(main)


def test_a_flow_that_is_dropped_or_swallowed_brings_nothing() -> None:
    async def main(network: Network) -> None:
        link = network.link(network.host("a"), network.host("b"))
        dropped, swallowed, got = Flow(link), Flow(link), []
        link.cut = True
        dropped.send(0, got.append, "dropped")
        dropped.drop()
        link.heal()
        swallowed.send(0, got.append, "under way")
        swallowed.blackhole = True
        swallowed.send(0, got.append, "after")
        await asyncio.sleep(5)
        assert not got

    world(main)
    assert BYTES.but(bandwidth=1.0).latency_s == 1.0
