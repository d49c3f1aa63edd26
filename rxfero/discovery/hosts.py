"""The hosts: a list of hosts and ports as users write it, read into addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rxfero.errors import ConfigurationError

HINT = "must be 'host', 'host:port', '[ipv6]:port' or (host, port)"


def parse_hosts(hosts: Iterable[Any], ports: tuple[int, int] | int | None) -> list[tuple[str, int]]:
    """Give every address that hosts and ports name, in order, each once.

    Args:
        hosts: Names or addresses; those without a port are combined with every port.
        ports: (first, last), one port, or None for hosts that name theirs.

    Raises:
        ConfigurationError: an entry that is no host; names it.
    """
    first, last = (1, 0) if ports is None else (ports, ports) if isinstance(ports, int) else ports
    places: dict[tuple[str, int], None] = {}
    for entry in hosts:
        host, port = _read(entry)
        for number in range(first, last + 1) if port is None else (port,):
            places[host, number] = None
    return list(places)


def _read(entry: Any) -> tuple[str, int | None]:
    if isinstance(entry, tuple | list) and len(entry) == 2:
        host, port = entry
        if isinstance(host, str) and host and type(port) is int and 0 < port < 65_536:
            return host, port
    elif isinstance(entry, str) and entry.strip() == entry and entry:
        if entry.startswith("["):
            host, closed, rest = entry[1:].partition("]")
            if closed and not rest:
                return host, None
            if closed and rest.startswith(":") and _port(rest[1:]):
                return host, int(rest[1:])
        elif entry.count(":") == 1:
            host, _, port = entry.partition(":")
            if host and _port(port):
                return host, int(port)
        elif " " not in entry:
            return entry, None
    raise ConfigurationError("hosts", entry, HINT)


def _port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 65_536
