"""Tests of the network: names, how connections come about, and cuts."""

from __future__ import annotations

import asyncio

import pytest

from rxfero.testing.network import Network
from tests.testing.world import PORT, End, pair, world


def test_hosts_have_names_and_addresses() -> None:
    async def main(network: Network) -> None:
        a = network.host("a")
        assert network.host("a") is a
        assert network.address("a") == network.address(a.address) == a.address
        many = {network.host(f"h{n}").address for n in range(600)}
        assert len(many) == 600
        with pytest.raises(OSError, match="no host 'z'"):
            network.address("z")

    world(main)


def test_a_port_is_taken_once_and_on_its_own_host() -> None:
    async def main(network: Network) -> None:
        a, b = network.host("a").start(), network.host("b").start()
        network.listen(a, End, "a", PORT)
        with pytest.raises(OSError, match="in use"):
            network.listen(a, End, "0.0.0.0", PORT)
        with pytest.raises(OSError, match="assign"):
            network.listen(a, End, "b", PORT)
        network.listen(b, End, "b", PORT)
        assert network.listen(b, End, None, 0).address[1] != PORT

    world(main)


def test_streams_of_the_standard_library_work_on_it() -> None:
    async def main(network: Network) -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "localhost", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.read() == b"hello\n"
        writer.close()
        await writer.wait_closed()
        server.close()

    world(main)


def test_what_is_not_simulated_is_refused() -> None:
    async def main(network: Network) -> None:
        with pytest.raises(ValueError, match="not simulated: ssl"):
            await asyncio.get_running_loop().create_connection(End, "a", PORT, ssl=True)

    world(main)


def test_a_dial_waits_for_a_cut_and_for_power() -> None:
    async def main(network: Network) -> None:
        a, b = network.host("a").start(), network.host("b").start()
        network.listen(b, End, None, PORT)
        b.host.up = False
        dial = asyncio.ensure_future(network.connect(a, End, "b", PORT, {}))
        await asyncio.sleep(10)
        assert not dial.done()
        b.host.up = True
        network.cut(b.host, a.host)
        network.cut(a.host, a.host)  # a host reaches itself
        await asyncio.sleep(10)
        assert not dial.done()
        network.heal()
        await asyncio.sleep(1)
        assert dial.done()
        assert [line.split()[1] for line in network.trace if "b>a" in line] == ["cut", "mend"]

    world(main)


def test_a_dial_that_is_given_up_leaves_nothing() -> None:
    async def main(network: Network) -> None:
        a, b = network.host("a").start(), network.host("b").start()
        ends: list[End] = []

        def factory() -> End:
            ends.append(End())
            return ends[-1]

        network.listen(b, factory, None, PORT)
        for cut in ((a.host, b.host), (b.host, a.host)):
            network.cut(*cut)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await network.connect(a, End, "b", PORT, {})
            network.heal()
            await asyncio.sleep(5)
        assert not a.streams
        assert not b.streams
        assert [end.told for end in ends] == [["made", "ConnectionResetError"]]

    world(main)


def test_the_connections_between_hosts_can_be_found() -> None:
    async def main(network: Network) -> None:
        a, b = network.host("a").start(), network.host("b").start()
        near, far = await pair(network, a, b)
        assert network.between([a.host], [b.host]) == [near.transport]
        assert network.between([b.host], [a.host]) == [far.transport]
        assert not network.between([a.host], [network.host("c")])

    world(main)
