"""Tests of listeners."""

from __future__ import annotations

import asyncio

import pytest

from rxfero.testing.network import Network
from tests.testing.world import PORT, End, pair, world


def test_a_listener_has_a_port_until_it_is_closed() -> None:
    async def main(network: Network) -> None:
        a, b = network.host("a").start(), network.host("b").start()
        near, far = await pair(network, a, b)
        listener = b.host.listeners[PORT]
        assert listener.sockets[0].getsockname() == (b.host.address, PORT)
        assert listener.is_serving()
        assert listener.get_loop() is b.loop
        await listener.start_serving()
        listener.close()
        listener.close()
        assert not listener.sockets
        await listener.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await network.connect(a, End, "b", PORT, {})
        near.transport.write(b"goes on")
        await asyncio.sleep(1)
        assert far.data == b"goes on"

    world(main)


@pytest.mark.parametrize("abort", [False, True])
def test_its_connections_can_be_ended(abort: bool) -> None:
    async def main(network: Network) -> None:
        a, b = network.host("a").start(), network.host("b").start()
        near, _ = await pair(network, a, b)
        listener = b.host.listeners[PORT]
        (listener.abort_clients if abort else listener.close_clients)()
        await asyncio.sleep(1)
        assert near.told[-1] == ("ConnectionResetError" if abort else "lost")

    world(main)


def test_it_serves_until_it_is_cancelled() -> None:
    async def main(network: Network) -> None:
        listener = network.listen(network.host("a").start(), End, None, PORT)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await listener.serve_forever()
        assert not listener.is_serving()

    world(main)
