"""The DNS: every address of a name is found, and looked up again; SRV records bring their ports."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rrset
import pytest

from rxfero.discovery.dns import Dns, _made
from rxfero.errors import ConfigurationError
from tests.discovery.seeker import Finding, seeker

NAME = "users.default.svc"


async def test_every_address_of_a_name_is_found_and_later_ones_too() -> None:
    answers = [[("10.0.0.1", 5000)], [("10.0.0.1", 5000), ("10.0.0.2", 5000)]]
    asked: list[tuple[str, int]] = []

    async def lookup(name: str, port: int) -> list[tuple[str, int]]:
        asked.append((name, port))
        return answers[min(len(asked), 2) - 1]

    async with Finding(Dns(NAME, 5000, every_s=0.001, lookup=lookup), seeker()) as finding:
        await finding.has(("10.0.0.1", 5000), ("10.0.0.2", 5000))
    assert {*asked} == {(NAME, 5000)}


async def test_a_name_that_is_not_there_yet_is_looked_up_again() -> None:
    asked: list[str] = []

    async def lookup(name: str, port: int) -> list[tuple[str, int]]:
        asked.append(name)
        if len(asked) < 3:
            raise OSError("no such name")
        return [("10.0.0.1", port)]

    async with Finding(Dns(NAME, 5000, every_s=0.001, lookup=lookup), seeker()) as finding:
        await finding.has(("10.0.0.1", 5000))


async def test_the_system_is_asked() -> None:
    async with Finding(Dns("localhost", 5000), seeker()) as finding:
        await finding.until(lambda: bool(finding.found))
    assert {*finding.found} <= {("127.0.0.1", 5000), ("::1", 5000)}


class Server(asyncio.DatagramProtocol):
    """A name server that knows the SRV records of one name."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        question = query.question[0]
        if question.name.to_text() == f"_rxfero._tcp.{NAME}.":
            response.answer.append(
                dns.rrset.from_text(
                    question.name, 5, "IN", "SRV",
                    "20 1 5002 b.example.", "10 1 5001 a.example.", "10 9 5003 c.example.",
                )
            )  # fmt: skip
        else:
            response.set_rcode(3)
        self.transport.sendto(response.to_wire(), addr)


async def test_srv_records_bring_their_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    monkeypatch.setattr(dns.asyncresolver, "default_resolver", resolver)
    try:
        finder = Dns(f"_rxfero._tcp.{NAME}", srv=True)
        async with Finding(finder, seeker()) as finding:
            await finding.until(lambda: len(finding.found) >= 3)
        assert finding.found == [("c.example", 5003), ("a.example", 5001), ("b.example", 5002)]
        async with Finding(Dns("nobody", srv=True, every_s=0.001), seeker()) as nothing:
            await asyncio.sleep(0.05)
            assert not nothing.task.done()
    finally:
        transport.close()


async def test_a_socket_whose_making_is_cancelled_is_closed() -> None:
    made: list[asyncio.DatagramTransport] = []

    async def make() -> Any:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        made.append(transport)
        return Made(transport)

    class Made:
        def __init__(self, transport: asyncio.DatagramTransport) -> None:
            self._transport = transport

        async def close(self) -> None:
            self._transport.close()

    for turns in range(6):
        making = asyncio.ensure_future(_made(make))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not making.done():
            making.cancel()
        with suppress(asyncio.CancelledError):
            await (await making).close()
    assert made
    assert all(transport.is_closing() for transport in made)


async def test_srv_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns", None)
    with pytest.raises(ConfigurationError, match=r"rxfero\[dns\]"):
        await Dns(NAME, srv=True).find(seeker(), lambda host, port: None)


@pytest.mark.parametrize(
    ("args", "options"),
    [((NAME,), {}), ((NAME, 5000), {"srv": True}), (("a:1", 5000), {}), ((NAME, 0), {}),
     (("", 5000), {}), ((NAME, 5000), {"every_s": 0})],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_refused(args: tuple[Any, ...], options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Dns(*args, **options)
