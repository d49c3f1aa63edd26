"""The hosts: what a user wrote in `hosts=` and `ports=`, as places to look at.

An entry is a numeric address or a name, with or without a port: ``"10.0.0.1"``,
``"db-1.example.org:5000"``, ``"::1"``, ``"[::1]:5000"``, ``("::1", 5000)``. One with a port is that
one address; one without is looked at on all `ports`. Addresses are pairs from here on and nothing
downstream takes them apart again, so names with dashes and IPv6 work.

It does not resolve names and does not connect.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, cast

from rxfero.errors import ConfigurationError

_HINT: Final = "must be a host, 'host:port', '[ipv6]:port' or (host, port)"
_NOT_IN_HOSTS: Final = frozenset(" \t\r\n/\\@#?[],;'\"")


class Place(NamedTuple):
    """One host and the ports to look at, `first` to `last`, both included."""

    host: str
    first: int
    last: int


def parse_hosts(entries: Iterable[Any], ports: tuple[int, int] | int | None = None) -> list[Place]:
    """Give the places that entries and ports name, in their order, each once.

    Args:
        entries: The hosts as the user wrote them.
        ports: `(first, last)` with last included, or one port, for entries without a port; None
            leaves those out, for there is no saying where to look.

    Raises:
        ConfigurationError: an entry is no address; names it.
    """
    if ports is not None and not isinstance(ports, tuple):
        ports = (ports, ports)
    places: dict[Place, None] = {}
    for entry in entries:
        host, port = parse_host(entry)
        if port is not None:
            places[Place(host, port, port)] = None
        elif ports is not None:
            places[Place(host, *ports)] = None
    return list(places)


def parse_host(entry: Any) -> tuple[str, int | None]:
    """Give host and port of one entry; the port is None when there is none.

    Raises:
        ConfigurationError: the entry is no address; names it.
    """
    given: object = entry  # as it was written, for the error
    if isinstance(entry, tuple | list):
        pair = cast("tuple[Any, ...]", entry)
        if len(pair) != 2:
            raise ConfigurationError("hosts", given, _HINT)
        host, port = pair
        if type(port) is not int:
            raise ConfigurationError("hosts", given, f"{port!r} is no port; {_HINT}")
    elif isinstance(entry, str):
        host, port = _split(entry)
    else:
        raise ConfigurationError("hosts", given, _HINT)
    if type(host) is not str or not host or not _NOT_IN_HOSTS.isdisjoint(host):
        raise ConfigurationError("hosts", given, f"{host!r} is no host; {_HINT}")
    if port is not None and not 0 < port < 65_536:
        raise ConfigurationError("hosts", given, f"port {port} is not in 1..65535")
    return host, port


def _split(entry: str) -> tuple[str, int | None]:
    """Cut a port off; more than one colon without brackets is an IPv6 address without a port."""
    if entry.startswith("["):
        host, closed, rest = entry[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or ":" not in host:
            raise ConfigurationError("hosts", entry, _HINT)
        number = rest[1:] if rest else None
    elif entry.count(":") == 1:
        host, _, number = entry.partition(":")
    else:
        return entry, None
    if number is None:
        return host, None
    if not (number.isascii() and number.isdigit() and len(number) <= 5):
        raise ConfigurationError("hosts", entry, f"{number!r} is no port; {_HINT}")
    return host, int(number)
