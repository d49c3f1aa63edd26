"""Tests of streams: what asyncio's sockets do, they do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.testing.link import Quality
from rxfero.testing.network import Network
from tests.testing.world import End, pair, world

SMALL = Quality(buffer=10)


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=20), st.integers(1, 30), st.integers(0, 3)
)
def test_all_bytes_come_in_order_whatever_the_buffer(
    chunks: list[bytes], buffer: int, seed: int
) -> None:
    async def main(network: Network) -> None:
        near, far = await pair(network, network.host("a").start(), network.host("b").start())
        for chunk in chunks:
            near.transport.write(chunk)
        near.transport.close()
        await asyncio.sleep(60)
        assert far.data == b"".join(chunks)
        assert far.told == ["made", "eof", "lost"]
        assert near.told == ["made", "lost"]

    world(main, seed=seed, quality=Quality(buffer=buffer))


def test_a_reader_that_pauses_makes_the_writer_pause() -> None:
    async def main(network: Network) -> None:
        near, far = await pair(network, network.host("a").start(), network.host("b").start())
        near.transport.set_write_buffer_limits(high=20, low=5)
        assert near.transport.get_write_buffer_limits() == (5, 20)
        far.transport.pause_reading()
        assert not far.transport.is_reading()
        near.transport.writelines([b"x" * 10, b"y" * 20])
        await asyncio.sleep(1)
        assert near.told == ["made"]
        assert near.transport.get_write_buffer_size() == 20
        near.transport.write(b"z")
        assert near.told == ["made", "pause"]
        far.transport.resume_reading()
        far.transport.resume_reading()
        await asyncio.sleep(1)
        assert near.told == ["made", "pause", "resume"]
        assert far.data == b"x" * 10 + b"y" * 20 + b"z"

    world(main, quality=SMALL)


def test_limits_have_asyncios_defaults() -> None:
    async def main(network: Network) -> None:
        near, _ = await pair(network, network.host("a").start(), network.host("b").start())
        transport = near.transport
        transport.set_write_buffer_limits()
        assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        transport.set_write_buffer_limits(low=10)
        assert transport.get_write_buffer_limits() == (10, 40)
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_write_buffer_limits(high=1, low=2)

    world(main)


def test_an_end_that_says_no_more_can_still_listen() -> None:
    async def main(network: Network) -> None:
        class Answering(End):
            def eof_received(self) -> bool:
                self.told.append("eof")
                self.transport.write(b"got " + self.data)
                return True

        a, b = network.host("a").start(), network.host("b").start()
        far: list[Answering] = []

        def factory() -> Answering:
            far.append(Answering())
            return far[-1]

        network.listen(b, factory, None, 1)
        transport, near = await network.connect(a, End, "b", 1, {})
        transport.write(b"x")
        transport.write_eof()
        assert transport.can_write_eof()
        with pytest.raises(RuntimeError, match="after write_eof"):
            transport.write(b"y")
        await asyncio.sleep(1)
        assert near.data == b"got x"
        far[0].transport.close()
        await asyncio.sleep(1)
        assert near.told == ["made", "eof", "lost"]
        assert far[0].told == ["made", "eof", "lost"]

    world(main)


def test_an_abort_is_a_reset_behind_what_arrived() -> None:
    async def main(network: Network) -> None:
        near, far = await pair(network, network.host("a").start(), network.host("b").start())
        near.transport.write(b"first")
        near.transport.abort()
        assert near.transport.is_closing()
        near.transport.write(b"never")
        await asyncio.sleep(1)
        assert far.data == b"first"
        assert far.told == ["made", "ConnectionResetError"]
        assert near.told == ["made", "lost"]

    world(main)


def test_bytes_for_an_end_that_is_gone_are_answered_with_a_reset() -> None:
    async def main(network: Network) -> None:
        near, far = await pair(network, network.host("a").start(), network.host("b").start())
        far.transport.pause_reading()
        network.cut(network.host("a"), network.host("b"))
        near.transport.abort()  # nobody is told
        network.heal()
        far.transport.write(b"hello?")
        await asyncio.sleep(1)
        far.transport.resume_reading()
        await asyncio.sleep(1)
        assert far.told == ["made", "ConnectionResetError"]

    world(main)


def test_a_half_open_connection_tells_one_side_only() -> None:
    async def main(network: Network) -> None:
        near, far = await pair(network, network.host("a").start(), network.host("b").start())
        near.transport.break_off()
        far.transport.write(b"x" * 100)
        await asyncio.sleep(3600)
        assert near.told == ["made", "TimeoutError"]
        assert far.told == ["made"]
        assert near.data == b""

    world(main)


def test_a_stopped_process_is_sent_as_much_as_its_host_holds() -> None:
    async def main(network: Network) -> None:
        a, b = network.host("a").start(), network.host("b").start()
        near, far = await pair(network, a, b)
        b.stop()
        near.transport.write(b"x" * 25)
        near.transport.close()
        await asyncio.sleep(100)
        assert far.data == b""
        assert near.transport.get_write_buffer_size() == 15
        b.resume()
        await asyncio.sleep(1)
        assert far.data == b"x" * 25
        assert far.told[-1] == "lost"

    world(main, quality=SMALL)


def test_a_protocol_that_raises_ends_its_connection() -> None:
    async def main(network: Network) -> None:
        faults: list[dict[str, Any]] = []
        network.loop.set_exception_handler(lambda _, context: faults.append(context))
        near, far = await pair(network, network.host("a").start(), network.host("b").start())

        def refuse(data: bytes) -> None:
            raise ValueError("no such bytes")

        far.data_received = refuse
        near.transport.write(b"x")
        await asyncio.sleep(1)
        assert far.told[-1] == "ValueError"
        assert near.told[-1] == "ConnectionResetError"
        assert [str(fault["exception"]) for fault in faults] == ["no such bytes"]

    world(main)


def test_it_has_names_like_a_socket() -> None:
    async def main(network: Network) -> None:
        a, b = network.host("a").start(), network.host("b").start()
        near, far = await pair(network, a, b)
        name = near.transport.get_extra_info("sockname")
        assert far.transport.get_extra_info("peername") == name
        assert near.transport.get_extra_info("socket").getsockname() == name
        assert near.transport.get_extra_info("cipher", "none") == "none"
        assert near.transport.get_protocol() is near
        other = End()
        near.transport.set_protocol(other)
        far.transport.write(b"x")
        await asyncio.sleep(1)
        assert other.data == b"x"
        assert b.host.address in repr(near.transport)

    world(main)
