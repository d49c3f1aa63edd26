"""Tests of hosts and processes: clocks, ports, standing still, ending."""

from __future__ import annotations

import asyncio

import pytest

from rxfero.surroundings import surroundings
from rxfero.testing import host as host_module
from rxfero.testing.host import EPOCH_S
from rxfero.testing.network import Network
from tests.testing.world import PORT, End, pair, world


def test_a_host_has_clocks_of_its_own() -> None:
    async def main(network: Network) -> None:
        a, b = network.host("a"), network.host("b")
        b.skew_s = 30.0
        await asyncio.sleep(5)
        assert a.wall() == EPOCH_S + 5
        assert b.wall() == EPOCH_S + 35
        assert a.monotonic() != b.monotonic()
        before = a.monotonic()
        await asyncio.sleep(5)
        assert a.monotonic() - before == pytest.approx(5)

    world(main)


def test_code_of_a_process_finds_its_surroundings() -> None:
    async def main(network: Network) -> None:
        one, other = network.host("a").start(), network.host("b").start()
        found = []

        async def look() -> None:
            found.append(surroundings())

        await asyncio.gather(one.loop.create_task(look()), other.loop.create_task(look()))
        assert [f.monotonic() for f in found] == [one.host.monotonic(), other.host.monotonic()]
        assert found[0].rng.random() != found[1].rng.random()
        assert surroundings().wall() == network.program.host.wall()

    world(main)


def test_a_stopped_process_does_later_what_was_due() -> None:
    async def main(network: Network) -> None:
        process, did = network.host("a").start(), []

        async def work() -> None:
            for number in range(3):
                await asyncio.sleep(1)
                did.append((number, network.loop.time()))

        process.loop.create_task(work())
        await asyncio.sleep(1.5)
        process.stop()
        process.loop.call_soon(did.append, "soon")
        await asyncio.sleep(10)
        assert did == [(0, 1.0)]
        process.resume()
        await asyncio.sleep(5)
        assert did == [(0, 1.0), "soon", (1, 11.5), (2, 12.5)] or did == [
            (0, 1.0), (1, 11.5), "soon", (2, 12.5),
        ]  # fmt: skip

    world(main)


def test_nothing_of_a_killed_process_runs() -> None:
    async def main(network: Network) -> None:
        process, did = network.host("a").start(), []

        async def work() -> None:
            try:
                await asyncio.sleep(1)
            finally:
                did.append("ended")

        process.loop.create_task(work())
        process.loop.call_later(1, did.append, "timer")
        await asyncio.sleep(0.5)
        process.kill()
        process.kill()
        await asyncio.sleep(5)
        assert not did
        process.resume()
        assert "dead" in repr(process)

    world(main)


@pytest.mark.parametrize("power", [False, True])
def test_the_other_end_learns_of_a_kill_but_not_of_lost_power(power: bool) -> None:
    async def main(network: Network) -> None:
        a, b = network.host("a").start(), network.host("b").start()
        near, _ = await pair(network, a, b)
        b.kill(power=power)
        await asyncio.sleep(60)
        assert near.told == (["made"] if power else ["made", "eof", "lost"])
        if not power:
            with pytest.raises(ConnectionRefusedError):
                await network.connect(a, End, "b", PORT, {})
            return
        network.host("b").start()  # a host that is up again knows nothing of the connection
        near.transport.write(b"hello?")
        await asyncio.sleep(1)
        assert near.told == ["made", "ConnectionResetError"]

    world(main)


def test_ports_are_free_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(network: Network) -> None:
        monkeypatch.setattr(host_module, "PORTS", (32_768, 32_770))
        process = network.host("a").start()
        network.listen(process, End, None, 32_769)
        assert [process.host.port() for _ in range(4)] == [32_768, 32_770, 32_768, 32_770]
        network.listen(process, End, None, 32_768)
        network.listen(process, End, None, 32_770)
        with pytest.raises(OSError, match="no port is free"):
            process.host.port()

    world(main)
